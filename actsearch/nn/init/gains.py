"""Moments and gains of any activation under a normal distribution, learned parameters included."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import sympy
import torch
from torch import Tensor, nn

from actsearch.errors import ActivationError, ExprError
from actsearch.expr.moments import Array, Moments, moments_of_function
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import derivative, evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.nn.activation import Activation
from actsearch.nn.known import row_of_class
from actsearch.nn.make import families, make, structured
from actsearch.nn.trace import describe

Spec: TypeAlias = sympy.Expr | str | nn.Module | Callable[[Tensor], Tensor]

# 2^18 samples of a module that mixes channels: its moments are good to about half a percent.
_N_SAMPLES, _N_CHANNELS = 2**18, 48


def gain(spec: Spec) -> float:
    """Return 1 / sqrt(E f(z)^2) for z ~ N(0, 1): weights of variance gain^2 / fan_in keep the signal's mean square.

    Args:
        spec: catalog name, text, SymPy expression, activation module (with what it has learned; the mean square is
            averaged over channels), the name of a family or of what is no elementwise formula, or an elementwise
            function of a tensor.

    Raises:
        ExprError: a text outside the grammar.
        ActivationError: the mean square is zero or not finite, or a module is not elementwise.

    Reference: He et al. 2015, arXiv:1502.01852, section 2.2, for any f.

    Example:
        >>> round(gain("relu"), 4), round(gain(nn.Tanh()), 4)
        (1.4142, 1.5925)
    """
    mean_square = moments_of(spec).mean_square
    if not (math.isfinite(mean_square) and mean_square > 0):
        raise ActivationError(f"{spec!s} has no gain: its mean square under N(0, 1) is {mean_square:g}")
    return mean_square**-0.5


def moments_of(spec: Spec, mean: float = 0.0, deviation: float = 1.0) -> Moments:
    """Return the moments of f(mean + deviation z), z ~ N(0, 1): by quadrature, to about 1e-10.

    Those of parameters per channel are averaged over channels. What mixes channels (gated units, Dynamic ReLU) is run
    on 2^18 samples instead, drawn from a fixed seed: to about half a percent, without E f'^2, which is then NaN.

    Args:
        spec: as for :func:`gain`.
        mean: mean of the input.
        deviation: standard deviation of the input, above 0.

    Raises:
        ExprError: a text outside the grammar.
        ActivationError: not an elementwise function, or a deviation of 0 or below.

    Example:
        >>> result = moments_of("relu", mean=1.0, deviation=0.01)
        >>> round(result.mean, 6), round(result.variance, 6)
        (1.0, 0.0001)
    """
    if not deviation > 0:
        raise ActivationError(f"deviation is {deviation}; moments under a normal distribution need one above 0")
    mean, deviation = float(mean), float(deviation)
    if isinstance(spec, str):
        spec = _named(spec)
    if isinstance(spec, sympy.Basic):
        return _of_expr(to_expr(spec), mean, deviation)
    if isinstance(spec, Activation):
        return _averaged([_of_expr(expr, mean, deviation) for expr in _learned(spec)])
    if isinstance(spec, nn.Module):
        row = row_of_class(type(spec))
        if row is not None:
            return _of_expr(to_expr(row.expression(spec)), mean, deviation)
        if getattr(spec, "mixes_channels", False):
            return _sampled(spec, mean, deviation)
        return _measured(copy.deepcopy(spec).double().eval(), mean, deviation)
    return _measured(spec, mean, deviation)


def _named(text: str) -> sympy.Expr | nn.Module:
    """Return the expression of a text, or the module when it names a family or what is no elementwise formula."""
    try:
        return to_expr(text)
    except ExprError:
        if text.partition("(")[0].strip() in (*families(), *structured()):
            return make(text)
        raise


def _learned(module: Activation) -> list[sympy.Expr]:
    """Return the formulas of all channels; parameters per channel that no input has shaped yet are at their start."""
    if any(nn.parameter.is_lazy(parameter) for parameter in module.parameters()):
        return [module.expr]
    expr = module.to_expr()
    return expr if isinstance(expr, list) else [expr]


@lru_cache(maxsize=4096)
def _of_expr(expr: sympy.Expr, mean: float, deviation: float) -> Moments:
    own = parameters_of(expr)
    values = tuple(float(parameter.start) for parameter in own)
    program = lower(expr)
    slope = derivative(program, (1, *(0 for _ in own)))
    return moments_of_function(
        lambda z: evaluate(program, mean + deviation * z, values),
        lambda z: evaluate(slope, mean + deviation * z, values),
    )


def _averaged(rows: list[Moments]) -> Moments:
    return Moments(
        *(
            float(np.mean([getattr(row, name) for row in rows]))
            for name in ("mean", "mean_square", "derivative_mean_square")
        )
    )


def _measured(function: Any, mean: float, deviation: float) -> Moments:
    """Return the moments of a torch function by calling and differentiating it."""

    def both(x: Array) -> tuple[Array, Array]:
        with torch.enable_grad():
            leaf = torch.from_numpy(np.ascontiguousarray(x)).requires_grad_()
            y = function(leaf)
            (slope,) = torch.autograd.grad(y.sum(), leaf, allow_unused=True) if y.requires_grad else (None,)
        return y.detach().double().numpy(), np.zeros_like(x) if slope is None else slope.numpy()

    points, some = np.linspace(-1, 1, 7), [4, 0, 2]
    try:
        together, apart = both(points)[0], both(points[some])[0]
    except (RuntimeError, TypeError, AttributeError, IndexError) as error:
        raise ActivationError(f"{describe(function)} is not a function of one tensor: {error}") from error
    if together.shape != points.shape or not np.array_equal(together[some], apart, equal_nan=True):
        raise ActivationError(f"{describe(function)} is not elementwise, so it has no gain")
    return moments_of_function(
        lambda z: both(mean + deviation * z)[0],
        lambda z: both(mean + deviation * z)[1],
    )


def _sampled(module: nn.Module, mean: float, deviation: float) -> Moments:
    """Return mean and mean square of what a module gives for independent normal channels."""
    n_channels = getattr(module, "n_channels", None) or _N_CHANNELS
    still = copy.deepcopy(module).double().eval()
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(_N_SAMPLES // n_channels + 1, n_channels, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        y = still(mean + deviation * z)
    return Moments(y.mean().item(), y.square().mean().item(), math.nan)
