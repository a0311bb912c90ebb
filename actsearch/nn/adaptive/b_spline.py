"""Cubic splines: a sum of B-splines on evenly spaced knots, whose coefficients are learned.

Scardapane, Scarpiniti, Comminiello, Uncini 2016, "Learning activation functions from data using cubic spline
interpolation", arXiv:1605.05509; the basis is that of de Boor 1978, "A Practical Guide to Splines".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy

from actsearch.expr.functions import x
from actsearch.nn.adaptive._formula import (
    Formula,
    check_count,
    check_range,
    hinge,
    parameters,
    slopes_at,
    start_expr,
    values_on,
)


def formula(start: sympy.Expr | str = "silu", n_pieces: int = 8, low: float = -4.0, high: float = 4.0) -> Formula:
    """Return a twice differentiable function of cubic pieces on [low, high] that goes on in straight lines beyond.

    Its ``n_pieces + 3`` coefficients ``c_k`` are learned. It starts at the cubic spline that has the values of
    ``start`` at the ends of pieces, and its slopes at low and high.

    Args:
        start: the function it starts at.
        n_pieces: number of cubic pieces, 1 to 24.
        low: where the first piece begins.
        high: where the last one ends.

    Raises:
        ActivationError: a setting out of its range, or the start is not finite there.

    Example:
        >>> formula().max_error < 0.003
        True
    """
    check_count("n_pieces", n_pieces, 1, 24)
    check_range(low, high)
    target = start_expr(start)
    width = (high - low) / n_pieces
    values = values_on(target, np.linspace(low, high, n_pieces + 1))
    coefficients = parameters("c", _interpolated(values.tolist(), slopes_at(target, (low, high)), width))
    inside = (sympy.Min(sympy.Max(x, low), high) - low) / width
    expr = sum(c * _b_spline(inside - (k - 1)) for k, c in enumerate(coefficients))
    first, last = (coefficients[2] - coefficients[0]), (coefficients[-1] - coefficients[-3])
    expr += (first * sympy.Min(x - low, 0) + last * hinge(high)) / (2 * width)
    return Formula(expr, target, low, high)


def _b_spline(u: sympy.Expr) -> sympy.Expr:
    """Return the cubic B-spline on the knots -2, ..., 2: the difference of two cubes."""
    outer, inner = (sympy.Max(edge - sympy.Abs(u), 0) for edge in (2, 1))
    return (outer**3 - 4 * inner**3) / 6


def _interpolated(values: Sequence[float], slopes: Sequence[float], width: float) -> list[float]:
    """Return the coefficients of the spline with these values at the ends of its pieces and slopes at its ends."""
    n = len(values)
    matrix = np.zeros((n + 2, n + 2))
    for row in range(n):
        matrix[row + 1, row : row + 3] = 1 / 6, 4 / 6, 1 / 6
    matrix[0, [0, 2]] = matrix[-1, [-3, -1]] = -1 / (2 * width), 1 / (2 * width)
    found: list[float] = np.linalg.solve(matrix, [slopes[0], *values, slopes[1]]).tolist()
    return found
