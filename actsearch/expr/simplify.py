"""The identities applied whenever a node is made: constants folded, 0 and 1 removed, signs and constants pulled out.

They hold for finite numbers. ``0 * u`` is 0 although ``u`` may be infinite: a derivative's vanishing term must not turn
into NaN where an intermediate overflows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import mpmath

from actsearch.expr.ops import OPS
from actsearch.expr.value import DIGITS, Value

if TYPE_CHECKING:
    from actsearch.expr.build import Builder

Args = tuple[Value, ...]
#: f -> the operation that is u - f(u), which cancels near 0.
_SHRINK = {"tanh": "tanhshrink", "sin": "sinshrink"}


def simplify(builder: Builder, op: str, args: Args, value: float | str | None) -> Value | None:
    """Return a simpler equal of ``op`` on ``args``, or None when the node is to be made as it is."""
    if args and all(arg.constant is not None for arg in args):
        return builder.constant(_fold(op, args, value))
    rule = _RULES.get(op)
    return rule(*args) if rule is not None else None


def _fold(op: str, args: Args, value: float | str | None) -> mpmath.mpf | float:
    """Return the constant that ``op`` makes of constants, NaN outside its domain."""
    row = OPS[op]
    keywords = {"value": value} if row.valued else {}
    with mpmath.workdps(DIGITS + 10):
        try:
            result = row.exact(*(arg.constant for arg in args), **keywords)
        except (ZeroDivisionError, ValueError, OverflowError):
            return math.nan
        if isinstance(result, mpmath.mpc):
            return math.nan
        return mpmath.mpf(result)


def _add(a: Value, b: Value) -> Value | None:
    if a.is_constant(0):
        return b
    if b.is_constant(0):
        return a
    if b.node.op == "neg":
        return a - b.args[0]
    if a.node.op == "neg":
        return b - a.args[0]
    for one, other in ((a, b), (b, a)):
        if one.is_constant(1) and other.node.op == "sin":
            return a.builder.call("one_plus_sin", other.args[0])
    return 2.0 * a if a == b else None


def _sub(a: Value, b: Value) -> Value | None:
    if b.is_constant(0):
        return a
    if a.is_constant(0):
        return -b
    if a == b:
        return a.builder.constant(0.0)
    if a.is_constant(1) and b.node.op == "sin":
        return a.builder.call("one_plus_sin", -b.args[0])
    for first, second, sign in ((a, b, 1.0), (b, a, -1.0)):
        if second.node.op in _SHRINK and second.args[0] == first:
            return sign * a.builder.call(_SHRINK[second.node.op], first)
    return a + b.args[0] if b.node.op == "neg" else None


def _mul(a: Value, b: Value) -> Value | None:
    if a.constant is None and b.constant is not None:
        a, b = b, a
    if a.constant is not None:
        return _mul_constant(a, b)
    if a.node.op == "neg":
        return -(a.args[0] * b)
    if b.node.op == "neg":
        return -(a * b.args[0])
    for first, second in ((a, b), (b, a)):  # constants to the front
        if first.node.op == "mul" and first.args[0].constant is not None:
            return first.args[0] * (first.args[1] * second)
    for first, second in ((a, b), (b, a)):
        if (product := _sin_cos(first, second)) is not None:
            return product
    if b.node.op == "select" and _is_mask(b):
        return _masked(b, a)
    return _masked(a, b) if a.node.op == "select" and _is_mask(a) else None


def _sin_cos(a: Value, b: Value) -> Value | None:
    """``sin(u) cos(u)`` and ``sin(u) (c cos(u))`` by the sine of the double angle, which a sum can recognise."""
    if b.node.op == "mul":
        for partner, rest in (b.args, b.args[::-1]):
            if {a.node.op, partner.node.op} == {"sin", "cos"} and a.args == partner.args:
                return rest * (a * partner)
    if {a.node.op, b.node.op} == {"sin", "cos"} and a.args == b.args:
        return 0.5 * a.builder.call("sin", 2.0 * a.args[0])
    return None


def _is_mask(value: Value) -> bool:
    return all(arg.constant is not None for arg in value.args[1:])


def _masked(mask: Value, value: Value) -> Value:
    """Return ``mask * value`` as a choice: the branch not taken may be infinite."""
    condition, yes, no = mask.args
    return value.builder.call("select", condition, yes * value, no * value)


def _mul_constant(c: Value, b: Value) -> Value | None:
    if c.is_constant(0):
        return c
    if c.is_constant(1):
        return b
    if c.is_constant(-1):
        return -b
    if b.node.op == "neg":
        return (-c) * b.args[0]
    if b.node.op in ("mul", "div") and b.args[0].constant is not None:
        return b.builder.call(b.node.op, c * b.args[0], b.args[1])
    if b.node.op == "select" and _is_mask(b):
        return _masked(b, c)
    return None


def _div(a: Value, b: Value) -> Value | None:
    if a.is_constant(0):
        return a
    if b.is_constant(1):
        return a
    if b.constant is not None and not b.is_constant(0):
        with mpmath.workdps(DIGITS + 10):
            return a.builder.constant(1 / b.constant) * a
    if a.node.op == "neg":
        return -(a.args[0] / b)
    if b.node.op == "neg":
        return -(a / b.args[0])
    if a.node.op == "mul" and b in a.args:  # (a b) / b, as the chain rule makes it of sin(b x) / b
        return a.args[1] if a.args[0] == b else a.args[0]
    return a.builder.constant(1.0) if a == b else None


def _neg(a: Value) -> Value | None:
    if a.node.op == "neg":
        return a.args[0]
    if a.node.op in ("mul", "div") and a.args[0].constant is not None:
        return a.builder.call(a.node.op, -a.args[0], a.args[1])
    if a.node.op == "sub":
        return a.args[1] - a.args[0]
    return None


def _select(condition: Value, yes: Value, no: Value) -> Value | None:
    if condition.constant is not None:
        return yes if condition.constant else no
    return yes if yes == no else None


def _power(base: Value, exponent: Value) -> Value | None:
    if exponent.is_constant(0):
        return base.builder.constant(1.0)
    return base if exponent.is_constant(1) else None


def _even(a: Value, op: str) -> Value | None:
    return a.builder.call(op, a.args[0]) if a.node.op in ("neg", "abs") else None


def _odd(a: Value, op: str) -> Value | None:
    return -a.builder.call(op, a.args[0]) if a.node.op == "neg" else None


def _both(a: Value, b: Value) -> Value | None:
    return a if a == b else None


def _exp(a: Value) -> Value | None:
    """``exp(c u**2)`` has a row of its own, whose derivatives stay in it."""
    scale, square = (a.args[0], a.args[1]) if a.node.op == "mul" else (a.builder.constant(1.0), a)
    scale, square = (-scale, square.args[0]) if square.node.op == "neg" else (scale, square)
    if scale.constant is None or square.node.op != "power" or not square.args[1].is_constant(2):
        return None
    return a.builder.call("exp_square", square.args[0], value=float(scale.constant))


def _both_true(a: Value, b: Value) -> Value | None:
    for first, second in ((a, b), (b, a)):
        if first.constant is not None:
            return second if first.constant else first
    return a if a == b else None


def _either_true(a: Value, b: Value) -> Value | None:
    for first, second in ((a, b), (b, a)):
        if first.constant is not None:
            return first if first.constant else second
    return a if a == b else None


_RULES: dict[str, Callable[..., Value | None]] = {
    "exp": _exp,
    "and": _both_true,
    "or": _either_true,
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "select": _select,
    "power": _power,
    "minimum": _both,
    "maximum": _both,
    **{name: (lambda a, op=name: _even(a, op)) for name in ("abs", "cos", "cosh", "sech", "sech_square", "logistic")},
    **{
        name: (lambda a, op=name: _odd(a, op))
        for name in ("sin", "sinh", "tan", "tanh", "atan", "asinh", "erf", "sign")
    },
}
