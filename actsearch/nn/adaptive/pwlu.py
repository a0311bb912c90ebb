"""Piecewise linear units: straight pieces between evenly spaced points whose heights are learned.

Zhou, Zhu, Wang, Zhang 2021, "Learning Specialized Activation Functions with the Piecewise Linear Unit",
arXiv:2104.03693.
"""

from __future__ import annotations

import numpy as np
import sympy

from actsearch.expr.functions import x
from actsearch.expr.parameters import Parameter
from actsearch.nn.adaptive._formula import (
    Formula,
    check_count,
    check_range,
    hinge,
    parameters,
    rounded,
    slopes_at,
    start_expr,
    values_on,
)


def formula(start: sympy.Expr | str = "relu", n_pieces: int = 16, low: float = -4.0, high: float = 4.0) -> Formula:
    """Return the polygon through the points (b_i, y_i), with lines of slopes ``left`` and ``right`` beyond its ends.

    The heights ``y_i`` and both slopes are learned; the places b_i divide [low, high] evenly. It starts at the polygon
    through ``start`` and with its slopes at the ends: relu, and every function of straight pieces with kinks at
    the b_i, is met exactly.

    The paper moves [low, high] to the mean and three standard deviations of the input after some epochs; here they
    stay where they are put, which for an input of variance 1 covers the same.

    Args:
        start: the function it starts at.
        n_pieces: number of pieces, 2 to 64; even, with low = -high, so that a kink at 0 is met.
        low: where the first piece begins.
        high: where the last one ends.

    Raises:
        ActivationError: a setting out of its range, or the start is not finite there.

    Example:
        >>> formula().max_error
        0.0
        >>> formula("gelu").max_error < 0.025
        True
    """
    check_count("n_pieces", n_pieces, 2, 64)
    check_range(low, high)
    target = start_expr(start)
    places = np.linspace(low, high, n_pieces + 1)
    heights = parameters("y", values_on(target, places).tolist())
    slopes = slopes_at(target, (low, high))
    left, right = (Parameter(name, rounded(slope)) for name, slope in zip(("left", "right"), slopes, strict=True))
    width = (high - low) / n_pieces
    expr = heights[0] + left * sympy.Min(x - low, 0) + right * hinge(high)
    for place, before, after in zip(places[:-1], heights[:-1], heights[1:], strict=True):
        expr += (after - before) * sympy.Min(hinge(float(place)), width) / width
    return Formula(expr, target, low, high)
