"""The error function's complements: erfc, the normal distribution function, and erfc times exp(u**2)."""

from __future__ import annotations

from functools import lru_cache

import mpmath

from actsearch.expr.ops.constants import ERF_SLOPE, NORMAL_PEAK, SQRT_HALF
from actsearch.expr.ops.exponential import Scaled
from actsearch.expr.ops.fit import horner, interpolate
from actsearch.expr.ops.row import Op
from actsearch.expr.value import Value, call, select

_TAIL = 0.5  # from here on erfcx(u) exp(-u**2), below it erfc itself
_DEGREE = 45  # of the polynomial for an order of erfcx: its last coefficient is below 1e-17 of the first


def _erfc(y: Value) -> Scaled:
    u = y.args[0]
    tail = u > _TAIL
    scaled = call("raw_erfcx", call("maximum", u, 0.0))
    return (select(tail, -(u * u), 0.0),), select(tail, scaled, call("raw_erfc", call("minimum", u, _TAIL)))


def _normal_cdf(y: Value) -> Scaled:
    u = y.args[0]
    tail = u < -_TAIL
    scaled = call("raw_erfcx", SQRT_HALF * call("maximum", -u, 0.0))
    body = call("raw_erfc", -(SQRT_HALF * call("maximum", u, -_TAIL)))
    return (select(tail, -0.5 * (u * u), 0.0),), 0.5 * select(tail, scaled, body)


def _exact_erfcx(u: mpmath.mpf, value: float) -> mpmath.mpf:
    """Return ``exp(u**2)`` times the ``n``-th repeated integral of erfc."""
    n = int(value)
    if u < 0:
        reflected = mpmath.exp(u * u) * mpmath.polyval(_reflection(n)[::-1], -u)
        return reflected - (-1) ** n * _exact_erfcx(-u, value)
    if u == 0:
        return 1 / (mpmath.mpf(2) ** n * mpmath.gamma(mpmath.mpf(n) / 2 + 1))
    return mpmath.hyperu(mpmath.mpf(n + 1) / 2, mpmath.mpf(1) / 2, u * u) / (
        mpmath.mpf(2) ** n * mpmath.sqrt(mpmath.pi)
    )


def _reflection(n: int) -> list[mpmath.mpf]:
    """Return ``p_n``, lowest degree first, of ``i^n erfc(-a) = p_n(a) - (-1)**n i^n erfc(a)`` (NIST DLMF 7.18)."""
    last, current = [mpmath.mpf(0)], [mpmath.mpf(2)]
    for m in range(1, n + 1):
        following = [mpmath.mpf(0), *(2 * c for c in current)]
        for i, c in enumerate(last):
            following[i] += c
        last, current = current, [c / (2 * m) for c in following]
    return current


@lru_cache(maxsize=16)
def _coefficients(n: int) -> list[mpmath.mpf]:
    """Return the polynomial in ``t = (u - 1) / (u + 1)`` that is ``(1 + u)**(n + 1)`` times the n-th order, u >= 0."""
    return interpolate(lambda t: _exact_erfcx((1 + t) / (1 - t), n) * (2 / (1 - t)) ** (n + 1), _DEGREE)


def _erfcx(y: Value) -> Value:
    """Return order ``n`` of erfcx: by a polynomial at positive arguments, by reflection at negative ones."""
    u, n = y.args[0], int(y.node.value)  # type: ignore[arg-type]
    a = abs(u)
    if n == 0:
        right = call("raw_erfcx", a)
    else:
        shrink = 1.0 / (1.0 + a)
        right = horner(1.0 - 2.0 * shrink, _coefficients(n)) * call("power", shrink, n + 1.0)
    left = horner(a, _reflection(n)) * call("exp_square", a, value=1.0)
    return select(u < 0, left - right if n % 2 == 0 else left + right, right)


def _next_order(y: Value) -> tuple[Value, ...]:
    n = float(y.node.value)  # type: ignore[arg-type]
    return (-2.0 * (n + 1.0) * call("erfcx", y.args[0], value=n + 1.0),)


GAUSSIAN = (
    Op(
        "erfc",
        1,
        mpmath.erfc,
        lambda y: (-(ERF_SLOPE * call("exp_square", y.args[0], value=-1.0)),),
        scaled=_erfc,
        rounding=8.0,
    ),
    Op(
        "normal_cdf",
        1,
        lambda u: mpmath.ncdf(u),
        lambda y: (NORMAL_PEAK * call("exp_square", y.args[0], value=-0.5),),
        scaled=_normal_cdf,
        rounding=8.0,
    ),
    # erfc(u) exp(u**2), and with erfc's n-th repeated integral in its place: the derivatives, without cancellation
    Op("erfcx", 1, _exact_erfcx, _next_order, expand=_erfcx, valued=True, rounding=12.0),
)
