"""Find a sampler by name, by "module:object", or take an Optuna sampler as it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
)

from actsearch import plugins
from actsearch.errors import StudyError, suggest
from actsearch.space import Space
from actsearch.study.samplers._fixed import check_all_choices_everywhere

_PACKAGE = "actsearch.study.samplers"

# Optuna would fall back to random sampling with these, with a warning at best
_NO_CATEGORICALS = (CmaEsSampler, QMCSampler)
_FIXED_CHOICES_ONLY = (NSGAIISampler, NSGAIIISampler, GPSampler)


def sampler_names() -> list[str]:
    """Return the names of the samplers that come with the package.

    Example:
        >>> "tpe" in sampler_names()
        True
    """
    return plugins.names(_PACKAGE)


def load_sampler(
    sampler: str | BaseSampler, space: Space, seed: int = 0, *, facts: Mapping[str, Any] | None = None, **settings: Any
) -> BaseSampler:
    """Return the Optuna sampler for a space.

    Args:
        sampler: a name (see :func:`sampler_names`), ``"module:object"`` of a function with the arguments of
            ``make_sampler`` (space, seed and settings), or an Optuna sampler.
        space: the space whose choices it will make.
        seed: everything random follows from it and the trials' numbers; unused for an Optuna sampler.
        facts: what is known of the search, such as ``{"normalise": True}``: settings for samplers that have them.
        **settings: settings of the sampler.

    Raises:
        StudyError: the sampler is unknown, does not know a setting, or cannot serve the space.
    """
    if isinstance(sampler, BaseSampler):
        if settings:
            raise StudyError(f"settings ({', '.join(settings)}) go with a sampler's name, not with a made sampler")
        _check_made(sampler, space)
        return sampler
    if ":" in sampler:
        make = plugins.load_object(sampler, StudyError)
    else:
        make = plugins.load(_PACKAGE, sampler, StudyError).make_sampler
    _check_settings(sampler, make, settings)
    taken = inspect.signature(make).parameters
    known = {name: fact for name, fact in (facts or {}).items() if name in taken}
    made = make(space, seed, **{**known, **settings})
    if not isinstance(made, BaseSampler):
        raise StudyError(f"{sampler!r} made a {type(made).__name__}, not an Optuna sampler")
    _check_made(made, space)
    return made


def _check_made(sampler: BaseSampler, space: Space) -> None:
    name = type(sampler).__name__
    if isinstance(sampler, _NO_CATEGORICALS):
        raise StudyError(f"{name} samples numbers only and every choice of a space is a category; use tpe or evolution")
    if isinstance(sampler, GridSampler):
        raise StudyError("GridSampler needs a grid of its own; use exhaustive")
    if isinstance(sampler, _FIXED_CHOICES_ONLY):
        check_all_choices_everywhere(name, space)


def _check_settings(name: str, make: Callable[..., Any], settings: dict[str, Any]) -> None:
    parameters = inspect.signature(make).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [parameter.name for parameter in parameters if parameter.name not in ("space", "seed")]
    for setting in settings:
        if setting not in known:
            allowed = ", ".join(known) or "none"
            raise StudyError(f"sampler {name!r} has no setting {setting!r}{suggest(setting, known)} (known: {allowed})")
