"""From a family's name and settings to its module, and to the one text that stands for both."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import sympy

from actsearch import plugins
from actsearch.errors import ActivationError, suggest
from actsearch.expr.family import Family
from actsearch.expr.resolve import to_expr
from actsearch.nn.adaptive._adaptive import Adaptive, LazyAdaptive, check_granularity, granularity_of
from actsearch.nn.adaptive._formula import Formula

_FOLDER = "actsearch.nn.adaptive"
_OF_THE_MODULE = [name for name in inspect.signature(Adaptive).parameters if name not in ("formula", "family")]
_OF_THE_PLACE = ("n_channels", "channel_dim", "backend", "normalise")


def make_adaptive(name: str, family: ModuleType, settings: Mapping[str, Any]) -> Adaptive:
    """Return the module of an elementwise family.

    Args:
        name: the family's.
        family: its file, which has ``formula``.
        settings: for ``formula``, and for :class:`~actsearch.nn.adaptive._adaptive.Adaptive`.

    Raises:
        ActivationError: there is no such setting, or its value is not allowed.
    """
    own = _own(name, family, settings)
    formula: Formula = family.formula(**own)
    rest = {key: value for key, value in settings.items() if key not in own}
    granularity = rest.get("granularity") or granularity_of(formula.expr)
    is_lazy = granularity == "channel" and rest.get("n_channels") is None
    text = Family(name, {key: value for key, value in settings.items() if key not in _OF_THE_PLACE}).text
    return (LazyAdaptive if is_lazy else Adaptive)(formula, text, **rest)


def family_file(name: str) -> ModuleType:
    """Return the file of an adaptive family.

    Raises:
        ActivationError: there is no such family.
    """
    known = plugins.names(_FOLDER)
    if name not in known:
        raise ActivationError(
            f"there is no adaptive family {name!r}{suggest(name, known)} (families: {', '.join(known)}; a function of "
            "x takes no settings by name)"
        )
    return plugins.load(_FOLDER, name, ActivationError)


def expression_of_family(family: Family) -> sympy.Expr:
    """Return the expression of an elementwise family, or the function that another family starts at.

    Raises:
        ActivationError: there is no such family or setting, or a value is not allowed.
    """
    module = family_file(family.name)
    if not hasattr(module, "formula"):
        return to_expr(module.START)
    formula: Formula = module.formula(**_own(family.name, module, family.settings))
    return formula.expr


def canonical(family: Family) -> Family:
    """Return a family as it is identified: settings in the order of its file, those left out that have their default.

    Raises:
        ActivationError: there is no such family or setting, or a value is not allowed.

    Example:
        >>> canonical(Family("rational", {"start": "gelu", "version": "A", "degrees": (3, 2)}))
        rational(degrees=(3, 2), start=gelu)
    """
    module, settings = family_file(family.name), family.settings
    if hasattr(module, "formula"):
        formula: Formula = module.formula(**_own(family.name, module, settings))
        check_granularity(settings.get("granularity"), settings.get("n_groups"))
        defaults = _defaults(module.formula) | _defaults(Adaptive)
        defaults["granularity"] = granularity_of(formula.expr)
    else:
        defaults = _defaults(module.make)
        _check_names(family.name, settings, list(defaults))
        module.make(**settings)
    kept = {key: settings[key] for key in defaults if key in settings and settings[key] != defaults[key]}
    return Family(family.name, kept)


def _defaults(maker: Callable[..., Any]) -> dict[str, Any]:
    return {key: given.default for key, given in inspect.signature(maker).parameters.items()}


def _own(name: str, family: ModuleType, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the family's own; see that the others are the module's."""
    accepted = inspect.signature(family.formula).parameters
    _check_names(name, settings, [*accepted, *_OF_THE_MODULE])
    return {key: value for key, value in settings.items() if key in accepted}


def _check_names(name: str, settings: Mapping[str, Any], known: Sequence[str]) -> None:
    for setting in settings:
        if setting not in known:
            raise ActivationError(
                f"{name} has no setting {setting!r}{suggest(setting, known)} (settings: {', '.join(known)})"
            )
