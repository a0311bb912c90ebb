"""Powers, and the square root of ``u**2 + c`` with what it is made into."""

from __future__ import annotations

import mpmath

from actsearch.expr.ops.row import Op
from actsearch.expr.value import Value, call, select

_MOST_FACTORS = 64  # torch.pow keeps within an ulp above this, and a chain of products no longer does


def _by_base(y: Value) -> Value:
    u, v = y.args
    return v * call("power", u, v - 1)


def _by_exponent(y: Value) -> Value:
    """Return ``d(u**v)/dv``, 0 at ``u = 0`` as torch has it."""
    u, _ = y.args
    return select(call("eq", u, 0.0), 0.0, y * call("log", u))


def _chain(u: Value, n: int) -> Value:
    """Return ``u**n`` for a whole ``n >= 1`` by squaring."""
    if n == 1:
        return u
    half = _chain(u, n // 2)
    return half * half * u if n % 2 else half * half


def _power(y: Value) -> Value:
    u, v = y.args
    if v.constant is None or abs(v.constant) > _MOST_FACTORS or (2 * v.constant) % 1 != 0:
        return call("raw_power", u, v)
    twice = int(2 * v.constant)
    if twice < 0:
        u = 1.0 / u  # first: a high power may overflow where its reciprocal is a number
    if twice % 2 == 0:
        return _chain(u, abs(twice) // 2)
    root = call("sqrt", u)
    return root if abs(twice) == 1 else root * _chain(u, abs(twice) // 2)


def _root(y: Value, value: float) -> Value:
    """Return ``sqrt(u**2 + c)``."""
    u = y.args[0]
    return call("sqrt", u * u + value)


def _exact_root(u: mpmath.mpf, value: float) -> mpmath.mpf:
    return mpmath.sqrt(u * u + value)


def _c(y: Value) -> float:
    return float(y.node.value)  # type: ignore[arg-type]


def _curvature(y: Value) -> Value:
    """Return ``c (u**2 + c)**(-3/2)``, the second derivative of the root."""
    u = y.args[0]
    return _c(y) * call("power", u * u + _c(y), -1.5)


def _slope(y: Value) -> Value:
    return call("root_slope", y.args[0], value=_c(y))


def _root_minus(y: Value) -> Value:
    u = y.args[0]
    return u * u / (_root(y, _c(y)) + float(mpmath.sqrt(_c(y))))


def _root_plus(y: Value) -> Value:
    """Return ``u + sqrt(u**2 + c)`` without cancellation at negative ``u``."""
    u = y.args[0]
    away = abs(u) + _root(y, _c(y))
    return select(u < 0, _c(y) / away, away)


def _root_plus_slope(y: Value) -> Value:
    u = y.args[0]
    root = _root(y, _c(y))
    away = abs(u) + root
    return select(u < 0, _c(y) / (away * root), away / root)


POWERS = (
    Op("power", 2, lambda a, b: a**b, lambda y: (_by_base(y), _by_exponent(y)), expand=_power, rounding=8.0),
    Op(
        "one_minus_square",
        1,
        lambda u: (1 - u) * (1 + u),
        lambda y: (-2.0 * y.args[0],),
        expand=lambda y: (1.0 - y.args[0]) * (1.0 + y.args[0]),
        rounding=3.0,
    ),
    Op(
        "root",  # sqrt(u**2 + c)
        1,
        _exact_root,
        lambda y: (_slope(y),),
        expand=lambda y: _root(y, _c(y)),
        valued=True,
    ),
    Op(
        "root_slope",  # u / sqrt(u**2 + c)
        1,
        lambda u, value: u / _exact_root(u, value),
        lambda y: (_curvature(y),),
        expand=lambda y: y.args[0] / _root(y, _c(y)),
        valued=True,
        rounding=4.0,
    ),
    Op(
        "root_minus",  # sqrt(u**2 + c) - sqrt(c)
        1,
        lambda u, value: u * u / (_exact_root(u, value) + mpmath.sqrt(value)),
        lambda y: (_slope(y),),
        expand=_root_minus,
        valued=True,
        rounding=5.0,
    ),
    Op(
        "root_plus",  # u + sqrt(u**2 + c)
        1,
        lambda u, value: u + _exact_root(u, value) if u > 0 else value / (_exact_root(u, value) - u),
        lambda y: (call("root_plus_slope", y.args[0], value=_c(y)),),
        expand=_root_plus,
        valued=True,
        rounding=4.0,
    ),
    Op(
        "root_plus_slope",  # 1 + u / sqrt(u**2 + c)
        1,
        lambda u, value: (
            (u + _exact_root(u, value) if u > 0 else value / (_exact_root(u, value) - u)) / _exact_root(u, value)
        ),
        lambda y: (_curvature(y),),
        expand=_root_plus_slope,
        valued=True,
        rounding=5.0,
    ),
)
