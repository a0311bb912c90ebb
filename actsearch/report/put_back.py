"""A layer's learned activation as a formula, proved where it serves: put back into the network and measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from actsearch.errors import DistillError, suggest
from actsearch.nn.make import make
from actsearch.report.distillation import Distillation, distill
from actsearch.space.space import Space

_PER_CALL, _IN_ALL = 8192, 262_144  # inputs that are kept of one call of the layer, and of all


@dataclass(frozen=True)
class LayerDistillation:
    """What was found for one layer, and what it is worth there.

    Attributes:
        layer: the layer's name in the model.
        found: the formula, or the nearest one.
        before: the metric with the learned activation.
        after: the metric with the formula in its place; None without a match.
    """

    layer: str
    found: Distillation
    before: float
    after: float | None

    def __str__(self) -> str:
        changed = "" if self.after is None else f"; the metric goes from {self.before:.4g} to {self.after:.4g}"
        return f"{self.layer}: {self.found}{changed}"


def distill_layer(
    model: nn.Module,
    layer: str | nn.Module,
    evaluate: Callable[[nn.Module], float],
    space: Space | str | Iterable[Any] = "catalog",
    *,
    max_error: float | None = None,
    keep: bool = False,
) -> LayerDistillation:
    """Find the formula of a layer's activation under the inputs it meets, put it back, and measure the model again.

    Args:
        model: the trained model; apart from ``keep`` it is left as it was.
        layer: the name of an elementwise submodule, or the module itself; one that stands in several places is
            replaced in all of them.
        evaluate: returns the metric of a model; the layer's inputs are taken from its first call.
        space: as for :func:`actsearch.distill`.
        max_error: as for :func:`actsearch.distill`.
        keep: leave the formula in the model, where there is a match.

    Raises:
        DistillError: the model has no such layer, or ``evaluate`` never calls it; as for :func:`actsearch.distill`.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(4, 8), make("rational", start="tanh"), nn.Linear(8, 1))
        >>> x = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
        >>> done = distill_layer(model, "1", lambda m: m(x).detach().mean().item(), max_error=0.02)
        >>> done.found.name, abs(done.after - done.before) < 0.02
        ('tanh', True)
    """
    module, places = _places(model, layer)
    inputs: list[npt.NDArray[np.float64]] = []
    handle = module.register_forward_pre_hook(lambda _, args: _take(args[0], inputs))
    try:
        before = float(evaluate(model))
    finally:
        handle.remove()
    if not inputs:
        raise DistillError(f"the layer {places[0]!r} was never called by evaluate, so its inputs are not known")
    found = distill(module, space, max_error=max_error, distribution=np.concatenate(inputs))
    if found.match is None:
        return LayerDistillation(places[0], found, before, None)
    formula = _like(make(found.match), module)
    _put(model, places, formula)
    try:
        after = float(evaluate(model))
    except BaseException:
        _put(model, places, module)
        raise
    if not keep:
        _put(model, places, module)
    return LayerDistillation(places[0], found, before, after)


def _places(model: nn.Module, layer: str | nn.Module) -> tuple[nn.Module, list[str]]:
    """Return the module and every name it has in the model."""
    known = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    if isinstance(layer, str) and layer not in known:
        raise DistillError(f"the model has no layer {layer!r}{suggest(layer, known)}")
    wanted = known[layer] if isinstance(layer, str) else layer
    names = [name for name, module in known.items() if module is wanted]
    if not names:
        raise DistillError(f"{type(wanted).__name__} is no submodule of the model")
    return wanted, names


def _take(x: Tensor, inputs: list[npt.NDArray[np.float64]]) -> None:
    if sum(map(len, inputs)) >= _IN_ALL:
        return
    values = x.detach().double().cpu().numpy().ravel()
    inputs.append(values[:: max(1, len(values) // _PER_CALL)])


def _like(formula: nn.Module, module: nn.Module) -> nn.Module:
    formula.train(module.training)
    return formula


def _put(model: nn.Module, places: list[str], module: nn.Module) -> None:
    for place in places:
        parent, _, name = place.rpartition(".")
        setattr(model.get_submodule(parent), name, module)
