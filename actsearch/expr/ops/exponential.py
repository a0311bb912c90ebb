"""Exponentially small factors: exp, sigmoid and their kind, written as ``exp(exponents) * r``.

Written so, ``x * sigmoid(x)`` keeps its accuracy where ``sigmoid(x)`` alone is no longer a normal number.
"""

from __future__ import annotations

import mpmath

from actsearch.expr.ops.row import Op
from actsearch.expr.two_words import two_words
from actsearch.expr.value import Value, call, select

Scaled = tuple[tuple[Value, ...], Value]


def _decay(u: Value) -> Value:
    """Return ``exp(-|u|)``."""
    return call("raw_exp", -abs(u))


def _one(u: Value) -> Value:
    return u.builder.constant(1.0)


def _sigmoid(y: Value) -> Scaled:
    u = y.args[0]
    return (call("minimum", u, 0.0),), 1.0 / (1.0 + _decay(u))


def _logistic(y: Value) -> Scaled:
    u = y.args[0]
    root = 1.0 / (1.0 + _decay(u))
    return (-abs(u),), root * root


def _sech(y: Value) -> Scaled:
    u = y.args[0]
    return (-abs(u),), 2.0 / (1.0 + _decay(2.0 * u))


def _sech_square(y: Value) -> Scaled:
    u = y.args[0]
    root = 2.0 / (1.0 + _decay(2.0 * u))
    return (-2.0 * abs(u),), root * root


def _exp_square(y: Value) -> Scaled:
    u = y.args[0]
    return (float(y.node.value) * (u * u),), _one(u)  # type: ignore[arg-type]


def _expm1(y: Value) -> Value:
    high, low = two_words(y.args[0])
    value = call("raw_expm1", high)
    return value if low is None else value * (1.0 + low) + low  # infinite where exp is


def _softplus(y: Value) -> Value:
    """Return ``max(u, 0) + log1p(exp(-|u|))``, whose left tail is exp(u)."""
    u, low = two_words(y.args[0])
    tail = call("log1p", _decay(u))
    if low is not None:
        tail = tail + select(u < 0, low * tail, 0.0)
    return call("maximum", u, 0.0) + tail


def _exact_softplus(u: mpmath.mpf) -> mpmath.mpf:
    return max(u, mpmath.mpf(0)) + mpmath.log1p(mpmath.exp(-abs(u)))


def _elu(y: Value) -> Value:
    u = y.args[0]
    return select(u > 0, u, call("expm1", call("minimum", u, 0.0)))


EXPONENTIAL = (
    Op("exp", 1, mpmath.exp, lambda y: (y,), scaled=lambda y: (y.args, _one(y)), rounding=4.0),
    Op(
        "exp_square",  # exp(c u**2)
        1,
        lambda u, value: mpmath.exp(mpmath.mpf(value) * u * u),
        lambda y: (2.0 * float(y.node.value) * (y.args[0] * y),),  # type: ignore[arg-type]
        scaled=_exp_square,
        valued=True,
        rounding=8.0,
    ),
    Op(
        "sigmoid",
        1,
        lambda u: 1 / (1 + mpmath.exp(-u)),
        lambda y: (call("logistic", y.args[0]),),
        scaled=_sigmoid,
        rounding=6.0,
    ),
    Op(
        "logistic",  # sigmoid(u) sigmoid(-u)
        1,
        lambda u: 1 / (2 + mpmath.exp(u) + mpmath.exp(-u)),
        lambda y: (-(y * call("tanh", 0.5 * y.args[0])),),
        scaled=_logistic,
        rounding=8.0,
    ),
    Op("sech", 1, mpmath.sech, lambda y: (-(y * call("tanh", y.args[0])),), scaled=_sech, rounding=6.0),
    Op(
        "sech_square",
        1,
        lambda u: mpmath.sech(u) ** 2,
        lambda y: (-2.0 * (y * call("tanh", y.args[0])),),
        scaled=_sech_square,
        rounding=8.0,
    ),
    Op("expm1", 1, mpmath.expm1, lambda y: (call("exp", y.args[0]),), expand=_expm1, rounding=4.0),
    Op("softplus", 1, _exact_softplus, lambda y: (call("sigmoid", y.args[0]),), expand=_softplus, rounding=3.0),
    Op(
        "elu",
        1,
        lambda u: u if u > 0 else mpmath.expm1(u),
        lambda y: (select(y.args[0] > 0, 1.0, call("exp", call("minimum", y.args[0], 0.0))),),
        expand=_elu,
        rounding=2.0,
    ),
)
