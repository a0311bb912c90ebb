"""The error function's complements: erfc, the normal distribution function, and erfc times exp(u**2)."""

from __future__ import annotations

import mpmath

from actsearch.expr.ops.exponential import Scaled, short
from actsearch.expr.ops.row import Op
from actsearch.expr.value import Value, call, select

_SQRT_PI = mpmath.mpf("1.7724538509055160272981674833411451827975494561223871")
_SQRT_HALF = mpmath.mpf("0.70710678118654752440084436210484903928483593768847")
_SQRT_TWO_PI = mpmath.mpf("2.5066282746310005024157652848110452530069867406099")
_TAIL = 0.5  # from here on erfcx(u) exp(-u**2), below it erfc itself


def _erfc(y: Value) -> Scaled:
    u = y.args[0]
    tail = u > _TAIL
    h, rest = short(u)
    scaled = call("raw_erfcx", call("maximum", u, 0.0)) * call("raw_exp", -rest)
    return (select(tail, -(h * h), 0.0),), select(tail, scaled, call("raw_erfc", call("minimum", u, _TAIL)))


def _normal_cdf(y: Value) -> Scaled:
    u = y.args[0]
    tail = u < -_TAIL
    h, rest = short(u)
    scaled = call("raw_erfcx", _SQRT_HALF * call("maximum", -u, 0.0)) * call("raw_exp", -0.5 * rest)
    body = call("raw_erfc", -_SQRT_HALF * call("maximum", u, -_TAIL))
    return (select(tail, -0.5 * (h * h), 0.0),), 0.5 * select(tail, scaled, body)


def _erfcx(y: Value) -> Value:
    u = y.args[0]
    away = call("raw_erfcx", abs(u))
    return select(u < 0, 2.0 * call("exp_square", u, value=1.0) - away, away)


GAUSSIAN = (
    Op(
        "erfc",
        1,
        mpmath.erfc,
        lambda y: (-2 / _SQRT_PI * call("exp_square", y.args[0], value=-1.0),),
        scaled=_erfc,
        rounding=8.0,
    ),
    Op(
        "normal_cdf",
        1,
        lambda u: mpmath.erfc(-u * _SQRT_HALF) / 2,
        lambda y: (1 / _SQRT_TWO_PI * call("exp_square", y.args[0], value=-0.5),),
        scaled=_normal_cdf,
        rounding=8.0,
    ),
    Op(
        "erfcx",
        1,
        lambda u: mpmath.exp(u * u) * mpmath.erfc(u),
        lambda y: (2.0 * (y.args[0] * y) - 2 / _SQRT_PI,),
        expand=_erfcx,
        rounding=8.0,
    ),
)
