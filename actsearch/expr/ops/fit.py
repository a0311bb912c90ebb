"""Polynomials for functions without a closed form: interpolated at Chebyshev's points when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mpmath

from actsearch.expr.value import Value

_DIGITS = 60


def interpolate(function: Callable[[mpmath.mpf], mpmath.mpf], degree: int) -> list[mpmath.mpf]:
    """Return the coefficients, lowest degree first, of the polynomial that is ``function`` at Chebyshev's points.

    Args:
        function: Analytic on [-1, 1].
        degree: Of the polynomial.
    """
    with mpmath.workdps(_DIGITS):
        n = degree + 1
        angles = [mpmath.pi * (j + mpmath.mpf(1) / 2) / n for j in range(n)]
        values = [function(mpmath.cos(angle)) for angle in angles]
        total = [mpmath.mpf(0)] * n
        last, polynomial = [mpmath.mpf(0)], [mpmath.mpf(1)]  # T_{-1} is not needed: T_1 is set below
        for m in range(n):
            weight = (2 if m else 1) * mpmath.fdot(values, [mpmath.cos(m * angle) for angle in angles]) / n
            for i, c in enumerate(polynomial):
                total[i] += weight * c
            last, polynomial = polynomial, _next(last, polynomial) if m else [mpmath.mpf(0), mpmath.mpf(1)]
        return total


def _next(last: Sequence[mpmath.mpf], current: Sequence[mpmath.mpf]) -> list[mpmath.mpf]:
    """Return ``2 t T_m - T_{m-1}``."""
    following = [mpmath.mpf(0), *(2 * c for c in current)]
    for i, c in enumerate(last):
        following[i] -= c
    return following


def horner(t: Value, coefficients: Sequence[mpmath.mpf]) -> Value:
    """Return the polynomial in ``t``, lowest degree first."""
    value = t.builder.constant(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        value = value * t + t.builder.constant(c)
    return value
