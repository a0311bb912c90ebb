"""Modified Bessel functions times exp(-|u|), and their derivatives without cancellation.

With ``J_n(a) = 1/pi * integral of (1 - cos t)**n exp(-a (1 - cos t)) over [0, pi]``, at ``a = |u|``, the function i0e
is ``J_0`` and i1e is ``sign(u) (J_0 - J_1)``, and ``J_n' = -J_{n+1}``. All ``J_n`` are positive.
"""

from __future__ import annotations

from functools import lru_cache

import mpmath

from actsearch.expr.ops.fit import horner, interpolate
from actsearch.expr.ops.row import Op
from actsearch.expr.value import Value, call, select

_FAR = 6.0  # a power series below, a polynomial in 1/a above
_TERMS = 60
_DEGREE = 44
_HALF = mpmath.mpf(1) / 2


def _scale(n: int) -> mpmath.mpf:
    return mpmath.mpf(2) ** n * mpmath.gamma(n + _HALF) / (mpmath.sqrt(mpmath.pi) * mpmath.factorial(n))


def _exact(a: mpmath.mpf, value: float) -> mpmath.mpf:
    n = int(value)
    return _scale(n) * mpmath.hyp1f1(n + _HALF, n + 1, -2 * a)


@lru_cache(maxsize=16)
def _near(n: int) -> list[mpmath.mpf]:
    """Return the series of ``J_n(a) exp(2a)`` in ``2a``: Kummer's transformation makes all its terms positive."""
    with mpmath.workdps(50):
        return [_scale(n) * mpmath.rf(_HALF, k) / mpmath.rf(n + 1, k) / mpmath.factorial(k) for k in range(_TERMS)]


@lru_cache(maxsize=16)
def _far(n: int) -> list[mpmath.mpf]:
    """Return the polynomial in ``t = 12 / a - 1`` that is ``a**(n + 1/2) J_n(a)`` for ``a >= 6``."""

    def tail(t: mpmath.mpf) -> mpmath.mpf:
        a = 2 * _FAR / (t + 1)
        return _exact(a, n) * a ** (n + _HALF)

    return interpolate(tail, _DEGREE)


def _decay(y: Value) -> Value:
    """Return ``J_n(a)`` for ``a >= 0``."""
    a, n = y.args[0], int(y.node.value)  # type: ignore[arg-type]
    if n == 0:
        return call("raw_i0e", a)
    small, large = call("minimum", a, _FAR), call("maximum", a, _FAR)
    near = horner(2.0 * small, _near(n)) * call("raw_exp", -2.0 * small)
    inverse = 1.0 / large
    far = horner(2 * _FAR * inverse - 1.0, _far(n)) * (call("power", inverse, float(n)) * call("sqrt", inverse))
    return select(a < _FAR, near, far)


def _next(y: Value) -> tuple[Value, ...]:
    return (-call("bessel_decay", y.args[0], value=float(y.node.value) + 1.0),)  # type: ignore[arg-type]


def _i1e_slope(y: Value) -> tuple[Value, ...]:
    """Return ``J_2 - J_1``, as i1e = sign(u) (J_0 - J_1) and J_n' = -J_{n+1}."""
    a = abs(y.args[0])
    return (call("bessel_decay", a, value=2.0) - call("bessel_decay", a, value=1.0),)


BESSEL = (
    Op(
        "i0e",
        1,
        lambda u: mpmath.besseli(0, u) * mpmath.exp(-abs(u)),
        lambda y: (-(call("sign", y.args[0]) * call("bessel_decay", abs(y.args[0]), value=1.0)),),
        expand=lambda y: call("raw_i0e", y.args[0]),
        rounding=8.0,
    ),
    Op(
        "i1e",
        1,
        lambda u: mpmath.besseli(1, u) * mpmath.exp(-abs(u)),
        lambda y: _i1e_slope(y),
        expand=lambda y: call("raw_i1e", y.args[0]),
        rounding=8.0,
    ),
    Op("bessel_decay", 1, _exact, _next, expand=_decay, valued=True, rounding=8.0),
)
