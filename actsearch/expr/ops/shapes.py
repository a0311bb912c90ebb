"""Single functions that need a form of their own."""

from __future__ import annotations

import mpmath

from actsearch.expr.ops.quotient import series
from actsearch.expr.ops.row import Op
from actsearch.expr.value import Value, call, select

_LOG_2 = mpmath.mpf("0.69314718055994530941723212145817656807550013436025525")


def _log_cosh(y: Value) -> Value:
    """Return ``log(cosh(u))``: through sinh near 0, where it is of second order."""
    a = abs(y.args[0])
    half = call("sinh", 0.5 * call("minimum", a, 1.0))
    near = call("log1p", 2.0 * (half * half))
    return select(a < 1.0, near, (a - _LOG_2) + call("log1p", call("raw_exp", -2.0 * a)))


_SHRINK = 0.6  # below, the Taylor series of u - tanh(u): its 20th term is under 1e-17 of the first


def _tanhshrink(y: Value) -> Value:
    """Return ``u - tanh(u)``."""
    u = y.args[0]
    near = abs(u) < _SHRINK
    with mpmath.workdps(50):
        taylor = mpmath.taylor(mpmath.tanh, 0, 45)
    small = select(near, u, 0.0)
    return select(near, small * (small * small) * series(small, [-c for c in taylor[3:]]), u - call("tanh", u))


SHAPES = (
    Op(
        "tanhshrink",
        1,
        lambda u: u - mpmath.tanh(u),
        lambda y: (call("power", call("tanh", y.args[0]), 2.0),),
        expand=_tanhshrink,
        rounding=10.0,
    ),
    Op(
        "relu",
        1,
        lambda u: max(u, mpmath.mpf(0)),
        lambda y: (select(y.args[0] > 0, 1.0, 0.0),),
        expand=lambda y: call("maximum", y.args[0], 0.0),
        rounding=0.0,
    ),
    Op(
        "softsign",
        1,
        lambda u: u / (1 + abs(u)),
        lambda y: (call("power", 1.0 + abs(y.args[0]), -2.0),),
        expand=lambda y: y.args[0] / (1.0 + abs(y.args[0])),
    ),
    Op(
        "log_cosh",
        1,
        lambda u: mpmath.log1p(2 * mpmath.sinh(u / 2) ** 2),
        lambda y: (call("tanh", y.args[0]),),
        expand=_log_cosh,
        rounding=6.0,
    ),
)
