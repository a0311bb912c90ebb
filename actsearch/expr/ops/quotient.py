"""Quotients whose singularity at 0 can be lifted, with all derivatives: sin(u)/u, (exp(u) - 1)/u, sinh(u)/u.

Order ``n`` is a field of the node. Near 0 the Taylor series; elsewhere for sin
``g(n) = (f(n) - n g(n-1)) / u``, which follows from ``u g = f``, and for the others the derivatives of exp(u)/u.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import mpmath

from actsearch.expr.ops.fit import horner
from actsearch.expr.ops.row import Op
from actsearch.expr.value import Value, call, select

_TERMS = 32  # of the series inside |u| <= _NEAR: the last is below 1e-20 of the first
_EXACT_TERMS = 60  # inside |u| < 1, for 60 digits and more
_NEAR = 2.0

#: Taylor coefficients of f, and its n-th derivative for u away from 0.
Taylor = Callable[[int], mpmath.mpf]


def _sin_taylor(k: int) -> mpmath.mpf:
    return mpmath.mpf(0) if k % 2 == 0 else mpmath.mpf((-1) ** (k // 2)) / mpmath.factorial(k)


def _sin_derivative(u: Value, n: int) -> Value:
    name = "sin" if n % 2 == 0 else "cos"
    value = call(name, u)
    return -value if n % 4 in (2, 3) else value


def _expm1_taylor(k: int) -> mpmath.mpf:
    return mpmath.mpf(0) if k == 0 else 1 / mpmath.factorial(k)


def _sinh_taylor(k: int) -> mpmath.mpf:
    return mpmath.mpf(0) if k % 2 == 0 else 1 / mpmath.factorial(k)


def series(u: Value, coefficients: list[mpmath.mpf]) -> Value:
    """Return the polynomial in ``u``, lowest degree first; one of a single parity is taken in ``u**2``."""
    square = u * u
    for start in (0, 1):
        if all(c == 0 for c in coefficients[1 - start :: 2]):
            value = horner(square, coefficients[start::2])
            return value * u if start else value
    return horner(u, coefficients)


def _sin_far(u: Value, n: int) -> Value:
    value = call("sin", u) / u
    for order in range(1, n + 1):
        value = (_sin_derivative(u, order) - float(order) * value) / u
    return value


def _growth(u: Value, n: int) -> Value:
    """Return the ``n``-th derivative of ``exp(u) / u``, in halves: it is a number where exp(u) no longer is."""
    inverse = 1.0 / u
    falling = [(-1) ** k * mpmath.binomial(n, k) * mpmath.factorial(k) for k in range(n + 1)]
    return horner(inverse, falling) * inverse * call("exp", u)


def _expm1_far(u: Value, n: int) -> Value:
    return _growth(u, n) - (-1.0) ** n * math.factorial(n) * call("power", u, -float(n + 1))


def _sinh_far(u: Value, n: int) -> Value:
    """Half of ``exp(u)/u + exp(-u)/(-u)``, differentiated."""
    return 0.5 * (_growth(u, n) + (-1.0) ** n * _growth(-u, n))


def _expand(y: Value, taylor: Taylor, far: Callable[[Value, int], Value]) -> Value:
    u, n = y.args[0], int(y.node.value)  # type: ignore[arg-type]
    with mpmath.workdps(50):
        coefficients = [taylor(k + n + 1) * mpmath.rf(k + 1, n) for k in range(_TERMS)]
    near = abs(u) < _NEAR
    return select(near, series(select(near, u, 0.0), coefficients), far(select(near, _NEAR, u), n))


def _exact(
    u: mpmath.mpf, value: float, taylor: Taylor, derivative: Callable[[mpmath.mpf, int], mpmath.mpf]
) -> mpmath.mpf:
    n = int(value)
    if abs(u) < 1:
        return mpmath.fsum(taylor(k + n + 1) * mpmath.rf(k + 1, n) * u**k for k in range(_EXACT_TERMS))
    result = derivative(u, 0) / u
    for order in range(1, n + 1):
        result = (derivative(u, order) - order * result) / u
    return result


def _next(y: Value) -> tuple[Value, ...]:
    return (call(y.node.op, y.args[0], value=float(y.node.value) + 1.0),)  # type: ignore[arg-type]


_FAMILIES = (
    ("sinc", _sin_taylor, _sin_far, lambda u, n: mpmath.sin(u + n * mpmath.pi / 2)),
    ("exprel", _expm1_taylor, _expm1_far, lambda u, n: mpmath.expm1(u) if n == 0 else mpmath.exp(u)),
    ("sinhc", _sinh_taylor, _sinh_far, lambda u, n: mpmath.sinh(u) if n % 2 == 0 else mpmath.cosh(u)),
)

QUOTIENT = tuple(
    Op(
        name,
        1,
        partial(_exact, taylor=taylor, derivative=exact),
        _next,
        expand=partial(_expand, taylor=taylor, far=far),
        valued=True,
        rounding=12.0,
    )
    for name, taylor, far, exact in _FAMILIES
)
