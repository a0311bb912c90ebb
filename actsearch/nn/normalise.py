"""Normalisation of an activation: mean 0 and variance 1 for a unit-normal input, as part of its formula."""

from __future__ import annotations

import math

import sympy

from actsearch.errors import ActivationError
from actsearch.expr.moments import moments
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import format


def normalised(spec: sympy.Expr | str) -> sympy.Expr:
    """Return (f(x) - mean) / std, with mean and standard deviation of f(z) for z ~ N(0, 1) as numbers.

    Parameters stand at their start values: the affine map is constant and does not follow training.

    Args:
        spec: SymPy expression, catalog name or text.

    Raises:
        ActivationError: f is constant, not finite, or has no finite second moment.

    Example:
        >>> from actsearch.expr.moments import moments
        >>> result = moments(normalised("relu"))
        >>> abs(result.mean) < 1e-9, round(result.mean_square, 9)
        (True, 1.0)
    """
    expr = to_expr(spec)
    under_normal = moments(expr)
    mean, deviation = under_normal.mean, under_normal.standard_deviation
    if not (math.isfinite(mean) and math.isfinite(deviation)):
        raise ActivationError(
            f"{format(expr)!r} cannot be normalised: under N(0, 1) it is not finite everywhere, or its mean square is "
            "infinite"
        )
    if deviation <= 1e-7 * abs(mean) or deviation == 0:
        raise ActivationError(f"{format(expr)!r} cannot be normalised: it is constant (about {mean:.6g}) under N(0, 1)")
    return (expr - sympy.Float(mean)) / sympy.Float(deviation)
