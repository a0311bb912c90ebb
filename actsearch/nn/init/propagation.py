"""Mean and variance of a signal through layers and functions, each element taken for normal and independent.

Followed analytically: linear and convolutional layers, normalisation layers, average and maximum pooling, dropout,
activations and other elementwise functions (Gaussian quadrature), sums, differences, products, concatenation, means,
embeddings, and what only moves or reshapes values. :func:`of_module` and :func:`of_function` return None for all else.

Reference: Bingham and Miikkulainen 2023, "AutoInit: Analytic Signal-Preserving Weight Initialization for Neural
Networks", arXiv:2109.08958.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.stats import norm
from torch import Tensor, nn

from actsearch.nn.init.gains import Spec, moments_of
from actsearch.nn.trace import NORMS, is_activation

# SELU's limit at minus infinity, where alpha dropout puts what it drops
_SELU_LIMIT = -1.7580993408473766
_MOVES = (
    nn.Identity, nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle, nn.Upsample,
    nn.modules.padding._ReflectionPadNd, nn.modules.padding._ReplicationPadNd, nn.CircularPad1d, nn.CircularPad2d,
)  # fmt: skip


@dataclass(frozen=True)
class Signal:
    """Mean and variance of the elements of a tensor."""

    mean: float
    variance: float

    @property
    def mean_square(self) -> float:
        """E y^2."""
        return self.variance + self.mean**2


def of_module(module: nn.Module, signal: Signal, n_in: int, n_out: int) -> Signal | None:
    """Return the signal behind a module in training, None where there is no rule.

    Args:
        module: not a weight layer: those are set, and give mean 0 and variance 1.
        signal: of its input.
        n_in: elements of its input, and
        n_out: of its output, for adaptive pooling; 0 where they are not known.
    """
    if is_activation(module):
        return through(module, signal)
    if isinstance(module, NORMS):
        return _normalised(module, signal)
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return _dropped(module, signal)
    if isinstance(module, nn.modules.pooling._AvgPoolNd):
        return Signal(signal.mean, signal.variance / _window(module))
    if isinstance(module, nn.modules.pooling._MaxPoolNd):
        return maximum(signal, _window(module))
    if isinstance(module, nn.modules.pooling._AdaptiveAvgPoolNd) and n_out:
        return Signal(signal.mean, signal.variance * n_out / n_in)
    if isinstance(module, nn.modules.pooling._AdaptiveMaxPoolNd) and n_out:
        return maximum(signal, max(1, round(n_in / n_out)))
    if isinstance(module, nn.Embedding):
        return measured(module.weight)
    return signal if isinstance(module, _MOVES) else None


def of_function(name: str, signals: Sequence[Signal], args: Sequence[Any], kwargs: Any, n_out: int) -> Signal | None:
    """Return the signal behind a torch function, None where there is no rule.

    Args:
        name: the function's, such as "add".
        signals: of its tensor arguments, in order; those inside lists included.
        args: all arguments.
        kwargs: keyword arguments.
        n_out: elements of its result.
    """
    operation = name.strip("_").removeprefix("i") if name.startswith("__") else name.rstrip("_")
    operation = operation.removeprefix("r") if operation in ("radd", "rmul", "rsub") else operation
    first = signals[0]
    if operation in ("add", "sub", "mul", "div", "truediv", "neg"):
        return _arithmetic(operation, signals, args, kwargs, name.startswith("__r"))
    if operation in ("cat", "stack", "concat"):
        return mixture(signals, [tensor.numel() for tensor in args[0]])
    if operation == "mean":
        return Signal(first.mean, first.variance * n_out / args[0].numel())
    if operation == "sum":
        n_summed = args[0].numel() / n_out
        return Signal(first.mean * n_summed, first.variance * n_summed)
    if operation.startswith("dropout"):
        p = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
        return Signal(first.mean, first.mean_square / (1 - p) - first.mean**2)
    if operation.startswith(("avg_pool", "adaptive_avg_pool")):
        return Signal(first.mean, first.variance * n_out / args[0].numel())
    if operation.startswith(("max_pool", "adaptive_max_pool")):
        return maximum(first, max(1, round(args[0].numel() / n_out)))
    return None


def through(activation: Spec, signal: Signal) -> Signal:
    """Return the signal behind an activation."""
    moments = moments_of(activation, signal.mean, math.sqrt(max(signal.variance, 1e-30)))
    return Signal(moments.mean, max(moments.mean_square - moments.mean**2, 0.0))


def mixture(signals: Sequence[Signal], weights: Sequence[float]) -> Signal:
    """Return the signal of elements that come from several signals, in proportion to the weights."""
    shares = np.array(weights, dtype=np.float64) / sum(weights)
    mean = float(shares @ [signal.mean for signal in signals])
    return Signal(mean, float(shares @ [signal.mean_square for signal in signals]) - mean**2)


def maximum(signal: Signal, n: int) -> Signal:
    """Return the signal of the greatest of n elements."""
    mean, variance = _greatest_of(n)
    return Signal(signal.mean + math.sqrt(signal.variance) * mean, signal.variance * variance)


def measured(tensor: Tensor) -> Signal:
    """Return the signal of a tensor that is there: weights added to the signal, embeddings."""
    values = tensor.detach().double()
    return Signal(values.mean().item(), values.var(correction=0).item())


@lru_cache(maxsize=256)
def _greatest_of(n: int) -> tuple[float, float]:
    """Return mean and variance of the greatest of n standard normal numbers, by the trapezoid rule."""
    z = np.linspace(-12.0, 12.0, 24_001)
    density = n * norm.pdf(z) * np.exp((n - 1) * norm.logcdf(z)) * (z[1] - z[0])
    mean = float(density @ z)
    return mean, float(density @ z**2) - mean**2


def _normalised(module: Any, signal: Signal) -> Signal:
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    scale = 1.0 if weight is None else weight.detach().double().square().mean().item()
    shift = Signal(0.0, 0.0) if bias is None else measured(bias)
    if isinstance(module, nn.RMSNorm):  # divides by the root mean square and keeps the mean
        return Signal(signal.mean / math.sqrt(signal.mean_square or 1.0), scale * signal.variance / signal.mean_square)
    return Signal(shift.mean, scale + shift.variance)


def _dropped(module: Any, signal: Signal) -> Signal:
    p = module.p
    if not isinstance(module, nn.AlphaDropout | nn.FeatureAlphaDropout):
        return Signal(signal.mean, signal.mean_square / (1 - p) - signal.mean**2) if p < 1 else Signal(0.0, 0.0)
    both = mixture([signal, Signal(_SELU_LIMIT, 0.0)], [1 - p, p])
    scale = ((1 - p) * (1 + p * _SELU_LIMIT**2)) ** -0.5
    return Signal(scale * (both.mean - p * _SELU_LIMIT), scale**2 * both.variance)


def _window(module: Any) -> int:
    """Return the number of elements that a pooling window holds."""
    size = module.kernel_size
    if isinstance(size, int):
        return int(size ** int(type(module).__name__[-2]))
    return math.prod(size)


def _arithmetic(
    operation: str, signals: Sequence[Signal], args: Sequence[Any], kwargs: Any, reflected: bool
) -> Signal | None:
    first = signals[0]
    if operation == "neg":
        return Signal(-first.mean, first.variance)
    if len(signals) == 1:
        number = next((arg for arg in args if isinstance(arg, int | float)), None)
        if number is None:
            return None
        return _with_number(operation, first, float(number), reflected)
    second = signals[1]
    if operation in ("add", "sub"):
        scale = float(kwargs.get("alpha", 1)) * (1 if operation == "add" else -1)
        return Signal(first.mean + scale * second.mean, first.variance + scale**2 * second.variance)
    if operation == "mul":
        mean = first.mean * second.mean
        return Signal(mean, first.mean_square * second.mean_square - mean**2)
    return None


def _with_number(operation: str, signal: Signal, number: float, reflected: bool) -> Signal | None:
    if operation == "add":
        return Signal(signal.mean + number, signal.variance)
    if operation == "sub":
        return Signal(number - signal.mean if reflected else signal.mean - number, signal.variance)
    if operation in ("div", "truediv"):
        if reflected or number == 0:
            return None
        number = 1 / number
    return Signal(signal.mean * number, signal.variance * number**2)
