"""A function under N(0, 1) as a series of Hermite polynomials: which share of its mean square each degree has."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import sympy
from numpy.typing import NDArray

from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import evaluate, lower

Array = NDArray[np.float64]

N_DEGREES = 64  # the rest of relu's mean square is 3e-5 then
_REACH, _STEP = 20.0, 1 / 400  # polynomials of degree 64 are about zero beyond 17; a kink costs an error of 1e-6


def shares(expr: sympy.Expr) -> Array:
    """Return the shares of E f(z)^2, z ~ N(0, 1), by degree; the last one holds all higher degrees.

    With f = sum of a_k He_k / sqrt(k!) they are b_k = a_k^2 / E f^2, so that b_0 is the share of the mean and b_1 that
    of the best line through it. For unit-variance inputs of correlation c, f's outputs have the correlation map
    C(c) = sum of b_k c^k.

    Args:
        expr: a function of x, its parameters at their start values.

    Returns:
        Shape (65,), each in [0, 1], with sum 1; NaN where f is not finite or has no mean square.

    Reference:
        Daniely, Frostig, Singer 2016, "Toward deeper understanding of neural networks", arXiv:1602.05897.

    Example:
        >>> from actsearch.expr.text import parse
        >>> shares(parse("x"))[:3].round(6).tolist(), shares(parse("max(x, 0)"))[:3].round(4).tolist()
        ([0.0, 1.0, 0.0], [0.3183, 0.5, 0.1592])
    """
    points, weights, polynomials = _basis()
    values = tuple(float(parameter.start) for parameter in parameters_of(expr))
    with np.errstate(all="ignore"):
        f = np.broadcast_to(evaluate(lower(expr), points, values), points.shape) * np.sqrt(weights)
        total = f @ f
        if not (np.isfinite(total) and total > 0):
            return np.full(N_DEGREES + 1, np.nan)
        found = (polynomials @ f) ** 2 / total
    rest = 1.0 - found.sum()
    return np.append(found, max(rest, 0.0)) / max(found.sum(), 1.0)


def correlation(found: Array, c: Array | float) -> Array:
    """Return the correlation map C(c) of shares, for correlations of at least 0."""
    return np.asarray(np.polynomial.polynomial.polyval(c, found))


@lru_cache(maxsize=1)
def _basis() -> tuple[Array, Array, Array]:
    """Return points, their weights under N(0, 1), and the orthonormal polynomials times the weights' roots."""
    points = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    weights = np.exp(-0.5 * points**2) * _STEP / np.sqrt(2 * np.pi)
    rows = np.empty((N_DEGREES, len(points)))
    rows[0] = np.sqrt(weights)
    rows[1] = points * rows[0]
    for k in range(1, N_DEGREES - 1):
        rows[k + 1] = (points * rows[k] - np.sqrt(k) * rows[k - 1]) / np.sqrt(k + 1)
    return points, weights, rows
