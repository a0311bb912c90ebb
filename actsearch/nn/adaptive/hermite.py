"""Hermite series: a polynomial in Hermite's basis, whose coefficients are learned.

Khalfaoui-Hassani, Kesselheim 2025, "Polynomial, trigonometric, and tropical activations", arXiv:2502.01247.
"""

from __future__ import annotations

import math

import sympy

from actsearch.expr.functions import x
from actsearch.nn.adaptive._formula import Formula, check_count, parameters, start_expr


def formula(degree: int = 3) -> Formula:
    """Return sum_k a_k He_k(x) / k!, with He_k the Hermite polynomials that are orthogonal under N(0, 1).

    It starts at the polynomial with a_0 = c sqrt(1 - 1/n!) and a_k = c beyond, n the degree. Since E He_j He_k is k!
    for j = k and else 0, E f(z)^2 and E f'(z)^2 for z ~ N(0, 1) are then equal, and c makes both 1: signals and
    gradients keep their size through a layer of unit-gain weights. It grows like a polynomial, so inputs are to be
    normalised.

    Args:
        degree: n, 1 to 8.

    Example:
        >>> from actsearch.expr.moments import moments
        >>> found = moments(formula().expr)
        >>> round(found.mean_square, 5), round(found.derivative_mean_square, 5)
        (1.0, 1.0)
    """
    check_count("degree", degree, 1, 8)
    scale = math.fsum(1 / math.factorial(k) for k in range(degree)) ** -0.5
    starts = [scale * math.sqrt(1 - 1 / math.factorial(degree)), *[scale] * degree]
    coefficients = parameters("a", starts)
    expr = sum(
        a * basis / math.factorial(k) for k, (a, basis) in enumerate(zip(coefficients, _basis(degree), strict=True))
    )
    return Formula(expr, start_expr(expr))


def _basis(degree: int) -> list[sympy.Expr]:
    """Return He_0, ..., He_n by He_(k+1) = x He_k - k He_(k-1)."""
    found = [sympy.S.One, x]
    for k in range(1, degree):
        found.append(sympy.expand(x * found[k] - k * found[k - 1]))
    return found[: degree + 1]
