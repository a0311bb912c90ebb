"""``u / (exp(u) - 1)`` with all its derivatives: order ``n`` is a field of the node.

With ``N = 1 / (exp(a) - 1)``, whose derivatives are polynomials in ``N`` with whole coefficients (``N' = -N - N**2``),
the ``n``-th derivative at ``a = |u|`` is ``a N^(n) + n N^(n-1)``; the negative side follows from ``B(-a) = B(a) + a``.
"""

from __future__ import annotations

import mpmath

from actsearch.expr.ops.exponential import Scaled
from actsearch.expr.ops.fit import horner
from actsearch.expr.ops.quotient import series
from actsearch.expr.ops.row import Op
from actsearch.expr.value import Value, call, select

_NEAR = 2.5  # the Taylor series, of radius 2 pi, serves below
_TERMS = 48
_EXACT_TERMS = 90  # inside |u| < 1, for 70 digits


def _occupation(k: int) -> list[int]:
    """Return ``c`` of ``N^(k) = N (c_0 + c_1 N + ...)``, the ``k``-th derivative."""
    c = [1]
    for _ in range(k):
        # N**j differentiates into -j (N**j + N**(j + 1)), and c_i belongs to N**(i + 1)
        following = [0] * (len(c) + 1)
        for i, value in enumerate(c):
            following[i] -= (i + 1) * value
            following[i + 1] -= (i + 1) * value
        c = following
    return c


def _taylor(n: int) -> list[mpmath.mpf]:
    with mpmath.workdps(50):
        return [mpmath.bernoulli(k + n) / mpmath.factorial(k) for k in range(_TERMS)]


def _scaled(y: Value) -> Scaled:
    """Return the series near 0, else ``exp(-a) far``: on the left, orders 0 and 1 add what does not decay."""
    u, n = y.args[0], int(y.node.value)  # type: ignore[arg-type]
    near, left = abs(u) < _NEAR, u < 0
    a = call("maximum", abs(u), _NEAR)
    rest = -1.0 / call("expm1", -a)  # N = exp(-a) rest
    far = rest * _polynomial(a, n, call("raw_exp", -a) * rest)
    if n >= 2:
        exponent, mirrored = select(near, 0.0, -abs(u)), -far if n % 2 else far
    else:
        exponent = select(near, 0.0, call("minimum", -u, 0.0))
        decayed = call("raw_exp", -a) * far
        mirrored = a + decayed if n == 0 else -1.0 - decayed
    return (exponent,), select(near, _series(select(near, u, 0.0), n), select(left, mirrored, far))


def _polynomial(a: Value, n: int, occupation: Value) -> Value:
    """Return ``(a N^(n) + n N^(n-1)) / N``."""
    value = a * horner(occupation, [mpmath.mpf(c) for c in _occupation(n)])
    if n:
        value = value + float(n) * horner(occupation, [mpmath.mpf(c) for c in _occupation(n - 1)])
    return value


def _series(u: Value, n: int) -> Value:
    """Return the Taylor series; that of order 0 and 1 has one odd term before the even ones."""
    coefficients = _taylor(n)
    if n == 0:
        return series(u, [mpmath.mpf(0) if k == 1 else c for k, c in enumerate(coefficients)]) - 0.5 * u
    if n == 1:
        return series(u, [mpmath.mpf(0), *coefficients[1:]]) - 0.5
    return series(u, coefficients)


def _exact(u: mpmath.mpf, value: float) -> mpmath.mpf:
    n = int(value)
    if abs(u) < 1:
        return mpmath.fsum(mpmath.bernoulli(k + n) / mpmath.factorial(k) * u**k for k in range(_EXACT_TERMS))
    occupation = 1 / mpmath.expm1(u)

    def derivative(k: int) -> mpmath.mpf:
        return occupation * mpmath.polyval(_occupation(k)[::-1], occupation)

    return u * derivative(n) + (n * derivative(n - 1) if n else 0)


BOSE = (
    Op(
        "bose",
        1,
        _exact,
        lambda y: (call("bose", y.args[0], value=float(y.node.value) + 1.0),),  # type: ignore[arg-type]
        scaled=_scaled,
        valued=True,
        rounding=12.0,
    ),
)
