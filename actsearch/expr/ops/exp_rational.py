"""Rational functions of ``exp(u)``: ``P(e) / D(e)**k`` with whole coefficients, and all their derivatives, exactly.

``tanh(softplus(u)) = (e**2 + 2 e) / (e**2 + 2 e + 2)``, the inside of Mish, is one. Differentiation stays in the
family, ``e (P' D - k P D') / D**(k + 1)``, with coefficients that are whole numbers, so no cancellation enters but true
zeros.
"""

from __future__ import annotations

from collections.abc import Sequence

import mpmath

from actsearch.expr.ops.row import Op
from actsearch.expr.value import Value, call, select

Polynomial = tuple[int, ...]  # lowest degree first

TANH_SOFTPLUS = "0 2 1 | 2 2 1 | 1"


def _parse(text: str) -> tuple[Polynomial, Polynomial, int]:
    numerator, denominator, k = text.split("|")
    return tuple(map(int, numerator.split())), tuple(map(int, denominator.split())), int(k)


def _times(a: Sequence[int], b: Sequence[int]) -> list[int]:
    product = [0] * (len(a) + len(b) - 1)
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            product[i + j] += p * q
    return product


def differentiate(text: str) -> str:
    """Return the member of the family that is the derivative of ``text``.

    Example:
        >>> differentiate("0 1 | 1 1 | 1")  # sigmoid
        '0 1 | 1 1 | 2'
    """
    p, d, k = _parse(text)
    first = _times([i * c for i, c in enumerate(p)], d)  # e P' D
    second = _times(p, [i * c for i, c in enumerate(d)])  # P e D'
    total = [a - k * b for a, b in zip(first, second, strict=True)]
    while total and total[-1] == 0:
        total.pop()
    return f"{' '.join(map(str, total))} | {' '.join(map(str, d))} | {k + 1}"


def _horner(coefficients: Sequence[int], t: Value) -> Value:
    result = t.builder.constant(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = result * t + float(c)
    return result


def _scaled(y: Value) -> tuple[tuple[Value, ...], Value]:
    """Return the exponent and the rest: in ``t = exp(-|u|)`` both tails are polynomials over polynomials."""
    u = y.args[0]
    p, d, k = _parse(str(y.node.value))
    low = next(i for i, c in enumerate(p) if c)
    gap = k * (len(d) - 1) - (len(p) - 1)  # degree that is missing at +infinity
    t = call("raw_exp", -abs(u))

    def ratio(top: Sequence[int], bottom: Sequence[int]) -> Value:
        return _horner(top, t) / call("power", _horner(bottom, t), float(k))

    rest = select(u < 0, ratio(p[low:], d), ratio(p[::-1], d[::-1]))
    return (select(u < 0, float(low) * u, float(-gap) * u),), rest


def _exact(u: mpmath.mpf, value: str) -> mpmath.mpf:
    p, d, k = _parse(value)
    e = mpmath.exp(u)
    return mpmath.polyval(p[::-1], e) / mpmath.polyval(d[::-1], e) ** k


EXP_RATIONAL = (
    Op(
        "exp_rational",
        1,
        _exact,
        lambda y: (call("exp_rational", y.args[0], value=differentiate(str(y.node.value))),),
        scaled=_scaled,
        valued=True,
        rounding=12.0,
    ),
)
