"""Single functions that need a form of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath

from actsearch.expr.ops.constants import LOG_2, QUARTER_PI
from actsearch.expr.ops.quotient import series
from actsearch.expr.ops.row import Op
from actsearch.expr.two_words import shifted, two_words
from actsearch.expr.value import Value, call, select

_PERIODIC = 1e30  # the second word of a larger argument may overflow in float32


def _log_cosh(y: Value) -> Value:
    """Return ``log(cosh(u))``: through sinh near 0, where it is of second order."""
    a = abs(y.args[0])
    half = call("sinh", 0.5 * call("minimum", a, 1.0))
    near = call("log1p", 2.0 * (half * half))
    return select(a < 1.0, near, (a - LOG_2) + call("log1p", call("raw_exp", -2.0 * a)))


def _sin(y: Value) -> Value:
    """Return the sine; of a multiple of x with what rounding that multiple lost, which large arguments show."""
    u, low = two_words(y.args[0], _PERIODIC)
    return call("raw_sin", u) if low is None else call("raw_sin", u) + low * call("raw_cos", u)


def _cos(y: Value) -> Value:
    u, low = two_words(y.args[0], _PERIODIC)
    return call("raw_cos", u) if low is None else call("raw_cos", u) - low * call("raw_sin", u)


def _one_plus_sin(y: Value) -> Value:
    """Return ``1 + sin(u) = 2 cos(u/2 - pi/4)**2``: its zeros are double, and the sum has no digit left there."""
    u, low = shifted(0.5 * y.args[0], -y.builder.constant(QUARTER_PI), _PERIODIC)
    root = call("raw_cos", u) if low is None else call("raw_cos", u) - low * call("raw_sin", u)
    return 2.0 * (root * root)


def _shrink(name: str, near: float, n_terms: int, taylor: Callable[..., Any]) -> Callable[[Value], Value]:
    """Return the rule for ``u - f(u)``, f odd with slope 1 at 0: by the Taylor series below ``near``."""

    def expand(y: Value) -> Value:
        u = y.args[0]
        with mpmath.workdps(50):
            coefficients = mpmath.taylor(taylor, 0, 2 * n_terms + 3)[3:]
        small = select(abs(u) < near, u, 0.0)
        value = small * (small * small) * series(small, coefficients)
        return select(abs(u) < near, -value, call("minus", u, call(name, u)))

    return expand


SHAPES = (
    Op(
        "tanhshrink",
        1,
        lambda u: u - mpmath.tanh(u),
        lambda y: (call("power", call("tanh", y.args[0]), 2.0),),
        expand=_shrink("tanh", 0.6, 21, mpmath.tanh),
        rounding=10.0,
    ),
    Op(
        "sinshrink",
        1,
        lambda u: u - mpmath.sin(u),
        lambda y: (2.0 * call("power", call("sin", 0.5 * y.args[0]), 2.0),),
        expand=_shrink("sin", 1.5, 11, mpmath.sin),
        rounding=8.0,
    ),
    Op(
        "one_plus_sin",
        1,
        lambda u: 2 * mpmath.cos(u / 2 - mpmath.pi / 4) ** 2,
        lambda y: (call("cos", y.args[0]),),
        expand=_one_plus_sin,
        rounding=4.0,
    ),
    Op("sin", 1, mpmath.sin, lambda y: (call("cos", y.args[0]),), expand=_sin),
    Op("cos", 1, mpmath.cos, lambda y: (-call("sin", y.args[0]),), expand=_cos),
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
