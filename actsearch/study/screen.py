"""The screen: checks on a candidate before any training. What it rejects could not have been trained."""

from __future__ import annotations

import numpy as np
import sympy

from actsearch.expr.checks import value_faults
from actsearch.expr.family import Family
from actsearch.expr.moments import moments
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import derivative, evaluate, lower

# Pre-activations of a network that is initialised well, and some way beyond.
_GRID = np.concatenate([np.linspace(-10, 10, 401), [0.0]])
_CENTRE = np.abs(_GRID) <= 3
MAX_SLOPE = 1e6  # beyond it one step of training at any usual learning rate leaves the range of float32 products
MIN_SLOPE = 1e-6  # below it everywhere nothing in front of the activation learns in float32
SKIPPED = "skipped: "  # begins a reason that is no fault: a proxy promises little of the candidate
MIN_VARIATION = 1e-7  # standard deviation relative to the mean: less is lost in float32


def screen(expr: sympy.Expr) -> str | None:
    """Return why a candidate cannot be trained, as a few words, or None when nothing speaks against it.

    Example:
        >>> from actsearch.expr.text import parse
        >>> screen(parse("x * sigmoid(x)")) is None, screen(parse("exp(exp(x))")) is None
        (True, False)
    """
    if isinstance(expr, Family):  # it starts at a function that its own file answers for
        return None
    return _value_reason(expr) or slope_reason(expr) or moment_reason(expr)


def _value_reason(expr: sympy.Expr) -> str | None:
    faults = value_faults(expr)
    return faults[0] if faults else None


def slope_reason(expr: sympy.Expr) -> str | None:
    """Return what is wrong with the slope on [-10, 10], parameters at their start values."""
    parameters = parameters_of(expr)
    program = derivative(lower(expr), (1, *(0 for _ in parameters)))
    values = tuple(float(parameter.start) for parameter in parameters)
    slope = np.broadcast_to(evaluate(program, _GRID, values), _GRID.shape)
    if not np.isfinite(slope).all():
        return "the derivative is not finite"
    if np.abs(slope).max() > MAX_SLOPE:
        return "the derivative explodes"
    if np.abs(slope[_CENTRE]).max() < MIN_SLOPE:
        return "the derivative is zero: nothing could be trained through it"
    return None


def moment_reason(expr: sympy.Expr) -> str | None:
    """Return what is wrong with the moments under N(0, 1)."""
    result = moments(expr)
    if not np.isfinite([result.mean, result.mean_square, result.derivative_mean_square]).all():
        return "its moments under N(0, 1) are not finite"
    if result.standard_deviation <= MIN_VARIATION * abs(result.mean):
        return "constant under N(0, 1)"
    return None
