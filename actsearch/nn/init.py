"""The right weight scale for any activation: gains by quadrature, and an initialiser for whole networks."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from actsearch.errors import ActivationError
from actsearch.expr.moments import Moments, moments, moments_of_function
from actsearch.nn.activation import Activation
from actsearch.nn.known import row_of_class
from actsearch.nn.trace import Source, Weighted, in_flow, in_order

_NAME_WIDTH, _AFTER_WIDTH = 30, 22


def gain(spec: sympy.Expr | str | nn.Module | Callable[[Tensor], Tensor]) -> float:
    """Return 1 / sqrt(E f(z)^2) for z ~ N(0, 1): weights of variance gain^2 / fan_in keep the signal's mean square.

    Args:
        spec: catalog name, text, SymPy expression, activation module (with what it has learned; the mean square is
            averaged over channels), or an elementwise function of a tensor.

    Raises:
        ExprError: a text outside the grammar.
        ActivationError: the mean square is zero or not finite, or a module is not elementwise.

    Reference: He et al. 2015, arXiv:1502.01852, section 2.2, for any f.

    Example:
        >>> round(gain("relu"), 4), round(gain(nn.Tanh()), 4)
        (1.4142, 1.5925)
    """
    mean_square = _mean_square(spec)
    if not (math.isfinite(mean_square) and mean_square > 0):
        raise ActivationError(f"{spec!s} has no gain: its mean square under N(0, 1) is {mean_square:g}")
    return mean_square**-0.5


@dataclass(frozen=True)
class Initialised:
    """What was set for one weight layer.

    Attributes:
        name: the layer's name in the model.
        after: the activation that its input came from; "" for data, weights or a normalisation layer.
        fan_in: number of inputs of one output.
        gain: the activation's gain.
        deviation: standard deviation of the new weights, gain / sqrt(fan_in).
    """

    name: str
    after: str
    fan_in: int
    gain: float
    deviation: float


@dataclass(frozen=True)
class Initialisation:
    """What :func:`initialise` did; prints as a table of at most 80 columns.

    Attributes:
        layers: the layers that were set.
        left: names of the layers that were left as they were.
    """

    layers: tuple[Initialised, ...]
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        head = f"{'layer':{_NAME_WIDTH}} {'after':{_AFTER_WIDTH}} {'fan_in':>7} {'gain':>7} {'std':>8}"
        rows = [
            f"{_short(row.name, _NAME_WIDTH)} {_short(row.after or '-', _AFTER_WIDTH)} {row.fan_in:7d} {row.gain:7.4f} "
            f"{row.deviation:8.5f}"
            for row in self.layers
        ]
        return "\n".join([head, *rows, *(f"{_short(name, _NAME_WIDTH)} left as it was" for name in self.left)])


def initialise(model: nn.Module, example: Any = None) -> Initialisation:
    """Give every linear and convolutional layer weights of variance gain^2 / fan_in and zero biases, in place.

    The gain is that of the activation the layer's input comes from, so that every layer's output has mean square 1 as
    long as its activation's input is unit-normal; it is 1 for a layer that reads data, other weights or a normalisation
    layer. The last layer is treated like the others: its outputs start with mean square 1.

    Weights are drawn as standard normals and then scaled: under one ``torch.manual_seed`` two copies of a model with
    different activations get the same draws. Layers are drawn in order of registration. A weight that is shared,
    parametrized or not yet shaped is left as it is when it cannot be set, and named in the result.

    Args:
        model: any module.
        example: an input, or a tuple of inputs. With one, the model is run on it, in evaluation mode, to see which
            activation each layer's input comes from, functional calls included. Without, the order in which modules
            are registered is taken for the order in which they are used.

    Raises:
        ActivationError: the model has no such layers, or an activation has no gain.

    Example:
        >>> model = nn.Sequential(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))
        >>> print(initialise(model))
        layer                          after                   fan_in    gain      std
        0                              -                          100  1.0000  0.10000
        2                              ReLU                        50  1.4142  0.20000
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, Weighted)}
    if not layers:
        raise ActivationError(f"{type(model).__name__} has no linear or convolutional layer to initialise")
    before = in_order(model)
    if example is not None:
        before |= in_flow(model, example)
    gains = {source: gain(source) for source in set(before.values()) if source is not None}
    done: list[Initialised] = []
    left: list[str] = []
    seen: set[int] = set()
    for name, layer in layers.items():
        if _is_fixed(layer) or id(layer.weight) in seen:
            left.append(name)
            continue
        seen.add(id(layer.weight))
        source = before.get(layer)
        factor = 1.0 if source is None else gains[source]
        fan_in = _fan_in(layer)
        _draw(layer, factor / math.sqrt(fan_in))
        done.append(Initialised(name, _describe(source), fan_in, factor, factor / math.sqrt(fan_in)))
    return Initialisation(tuple(done), tuple(left))


def _mean_square(spec: Any) -> float:
    if isinstance(spec, Activation):
        expr = spec.to_expr()
        learned = expr if isinstance(expr, list) else [expr]
        return float(np.mean([moments(channel).mean_square for channel in learned]))
    if isinstance(spec, nn.Module):
        row = row_of_class(type(spec))
        return (moments(row.expression(spec)) if row else _measured(copy.deepcopy(spec).double().eval())).mean_square
    if callable(spec) and not isinstance(spec, sympy.Basic):
        return _measured(spec).mean_square
    return moments(spec).mean_square


def _measured(function: Callable[[Tensor], Tensor]) -> Moments:
    """Return the moments of a torch function by calling it."""

    def values(x: Any) -> Any:
        with torch.no_grad():
            return function(torch.from_numpy(np.ascontiguousarray(x))).double().numpy()

    points = np.linspace(-1, 1, 7)
    try:
        together, apart = values(points), values(points[:3])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ActivationError(f"{_describe(function)} is not a function of one tensor: {error}") from error
    if together.shape != points.shape or not np.array_equal(together[:3], apart, equal_nan=True):
        raise ActivationError(f"{_describe(function)} is not elementwise, so it has no gain")
    return moments_of_function(values)


def _is_fixed(layer: Any) -> bool:
    return parametrize.is_parametrized(layer, "weight") or nn.parameter.is_lazy(layer.weight)


def _fan_in(layer: Any) -> int:
    """Return how many inputs one output sums; for a transposed convolution, on average."""
    if getattr(layer, "transposed", False):
        return max(1, layer.weight[:, 0].numel() // (layer.groups * math.prod(layer.stride)))
    return max(1, layer.weight[0].numel())


def _draw(layer: Any, deviation: float) -> None:
    """Fill weights with the global generator, drawn as float32 on the CPU whatever the layer's device and dtype."""
    draws = torch.randn(layer.weight.shape, dtype=torch.float32)
    with torch.no_grad():
        layer.weight.copy_(draws * deviation)
        if layer.bias is not None:
            layer.bias.zero_()


def _describe(source: Source) -> str:
    if isinstance(source, Activation):
        return source.text
    if isinstance(source, functools.partial):
        return str(getattr(source.args[0], "__name__", source.args[0]))
    if isinstance(source, nn.Module):
        return type(source).__name__
    return "" if source is None else str(getattr(source, "__name__", source))


def _short(text: str, width: int) -> str:
    return f"{text if len(text) <= width else text[: width - 3] + '...':{width}}"
