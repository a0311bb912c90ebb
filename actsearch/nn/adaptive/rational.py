"""Rational functions (Pade activation units): a polynomial over a polynomial, all coefficients learned.

Molina, Schramowski, Kersting 2020, "Pade Activation Units", arXiv:1907.06732 (version A and the degrees (5, 4));
Delfosse et al. 2021, "Adaptive Rational Activations to Boost Deep Reinforcement Learning", arXiv:2102.09407 (versions
B, C, D, one set shared by all layers); Yang, Wang 2024, "Kolmogorov-Arnold Transformer", arXiv:2409.10594 (groups);
Boulle, Nakatsukasa, Townsend 2020, arXiv:2004.01902 (version N).
"""

from __future__ import annotations

import sympy

from actsearch.errors import ActivationError
from actsearch.expr.functions import x
from actsearch.nn.adaptive._formula import Formula, check_count, check_range, check_word, parameters, start_expr
from actsearch.nn.adaptive._rational_fit import CONSTANT, Fit, fit, poles

VERSIONS = tuple(CONSTANT)
MAX_DEGREE = 12
"""Powers of a range of 10 beyond it leave no digits of float32."""

Coefficients = tuple[tuple[float, ...], tuple[float, ...]]


def formula(
    degrees: tuple[int, int] = (5, 4),
    version: str = "A",
    start: sympy.Expr | str | Coefficients = "leaky_relu",
    low: float = -10.0,
    high: float = 10.0,
    noise: float = 0.1,
) -> Formula:
    """Return a rational function P(x) / Q(x) with P = a0 + a1 x + ... + am x^m and the coefficients ``a_k``, ``b_k``.

    It starts at the nearest rational function to ``start`` on [low, high]; how near is the result's ``max_error``, and
    stands in the module's text. Give its coefficients a learning rate of their own: see
    :func:`actsearch.nn.optim.parameter_groups`.

    Args:
        degrees: m and n, of numerator and denominator: 0 to 12 and 1 to 12.
        version: the denominator: "A": 1 + sum |b_k x^k|; "B": 1 + |sum b_k x^k|; "C": 0.1 + |b_0 + sum b_k x^k|;
            "D": B with noise on all coefficients in training; "N": 1 + sum b_k x^k, which may have poles.
        start: a function, or the coefficients (a_0, ..., a_m), (b_1, ..., b_n); version C's begin at b_0.
        low: start of the range of the fit.
        high: end of the range of the fit.
        noise: relative, for version D.

    Raises:
        ActivationError: a setting is out of its range, or version N has a pole on [low, high].

    Example:
        >>> made = formula(start="gelu")
        >>> made.max_error < 0.007
        True
    """
    check_word("version", version, VERSIONS)
    check_range(low, high)
    if isinstance(start, tuple):
        made, target = _given(start, version), None
    else:
        degrees = _degrees(degrees)
        target = start_expr(start)
        made = fit(target, degrees, version, float(low), float(high))
    if version == "N" and (found := poles(made, low, high)):
        raise ActivationError(
            f"the denominator of this rational of version N is 0 at {found[0]:.4g}, within its range [{low:g}, "
            f"{high:g}]; take version A, B or C, whose denominators have no zeros, or other coefficients"
        )
    if not 0 <= noise < 1:
        raise ActivationError(f"noise={noise} is no number from 0 to below 1")
    expr = _expression(made, version)
    return Formula(expr, start_expr(expr) if target is None else target, low, high, noise if version == "D" else 0.0)


def _degrees(degrees: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(degrees, tuple | list) or len(degrees) != 2:
        raise ActivationError(f"degrees={degrees!r} is no pair such as (5, 4), of numerator and denominator")
    m, n = degrees
    check_count("the numerator's degree", m, 0, MAX_DEGREE)
    check_count("the denominator's degree", n, 1, MAX_DEGREE)
    return m, n


def _given(start: Coefficients, version: str) -> Fit:
    try:
        numerator, denominator = (tuple(float(number) for number in part) for part in start)
    except (TypeError, ValueError):
        raise ActivationError(f"start={start!r} is neither a function nor ((a0, a1, ...), (b1, ...))") from None
    first = 0 if version == "C" else 1
    check_count("the number of numerator coefficients", len(numerator), 1, MAX_DEGREE + 1)
    check_count("the number of denominator coefficients", len(denominator), 1, MAX_DEGREE + 1 - first)
    return Fit(numerator, denominator)


def _expression(made: Fit, version: str) -> sympy.Expr:
    above = sum(a * x**k for k, a in enumerate(parameters("a", made.numerator)))
    first = 0 if version == "C" else 1
    terms = [b * x**k for k, b in enumerate(parameters("b", made.denominator, first), first)]
    constant = sympy.Float(CONSTANT[version]) if version == "C" else sympy.S.One
    if version == "A":
        return above / (constant + sum(sympy.Abs(term) for term in terms))
    return above / (constant + (sum(terms) if version == "N" else sympy.Abs(sum(terms))))
