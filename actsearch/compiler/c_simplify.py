"""Programs in basic operations made cheaper for C: fewer exponentials, divisions and error-free steps.

The reference spells each stable operation out by itself, so ``x * sigmoid(x)`` holds ``exp(-|x|)`` beside
``exp(min(x, 0) / 2)``. Here exponentials of multiples of one ``|u|`` become powers of the slowest, ``exp(-c |u|)``;
those of ``min(u, 0)`` and of choices become choices between such; erfc takes its exponential from its neighbour; what
rounding took from a product comes from one fused operation. Each rule costs at most a few ulp, and none takes part in
what makes tails right: exponents stay added, and products keep their halves.

A shape that no rule knows stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from actsearch.compiler.c_reciprocals import reciprocals
from actsearch.expr.build import Builder
from actsearch.expr.graph import Program
from actsearch.expr.value import Value, call, select

#: From a node's number and its value, its arguments rewritten, to what replaces it.
Rule = Callable[[int, Value], Value]
_PRODUCTS = ("mul", "times")
_MULTIPLES = (2, 3, 4)  # the power of a shared exponential has that many times its error


@lru_cache(maxsize=4096)
def simplify(program: Program, double: bool) -> Program:
    """Return a program in basic operations (and ``rest``, see c_templates.py) of the same values, cheaper in C.

    Args:
        program: In basic operations, as :func:`actsearch.expr.expand.expand` returns it.
        double: Computed in float64; else in float32, where second words need no third.
    """
    first = _rewrite if double else _rewrite_single
    return _rewritten(_rewritten(_rewritten(program, first), _share), reciprocals)


def _rewritten(program: Program, prepare: Callable[[Program], Rule]) -> Program:
    """Return the program with every node passed through a rule, in order."""
    rule, target = prepare(program), Builder(program.parameters)
    values: list[Value] = []
    for i, node in enumerate(program.nodes):
        values.append(rule(i, target.copy(node, [values[k] for k in node.args])))
    return target.program([values[i] for i in program.outputs])


def _rewrite(program: Program) -> Rule:
    return lambda i, y: _RULES[y.node.op](y) if y.node.op in _RULES else y


def _rewrite_single(program: Program) -> Rule:
    """As :func:`_rewrite`; what is lost to a product's rounding is not corrected by the product's own last bits."""

    def rule(_: int, y: Value) -> Value:
        if y.node.op == "add":
            for a, b in (y.args, y.args[::-1]):
                (scale, product), (other, rest) = _scaled(a), _scaled(b)
                if rest.node.op == "rest" and product in (rest, rest.args[2]) and abs(scale) < 2.0**-45 * abs(other):
                    return b
        return _RULES[y.node.op](y) if y.node.op in _RULES else y

    return rule


def _exponential(y: Value) -> Value:
    """Exponentials of ``min(u, 0)`` and of choices become choices of exponentials, most of them of ``-c |u|``."""
    scale, core = _scaled(y.args[0])
    if core.node.op in ("minimum", "maximum") and core.args[0].is_constant(0):
        u = core.args[1]
        if scale > 0 and core.node.op == "minimum":
            return select(u > 0, 1.0, _decay(scale, u))  # NaN passes through the exponential
        if scale < 0 and core.node.op == "maximum":
            return select(u < 0, 1.0, _decay(-scale, u))
    if core.node.op == "select":
        condition, yes, no = core.args
        branches = [_branch(condition, side, scale, value) for side, value in ((True, yes), (False, no))]
        if all(branch is not None for branch in branches):
            return select(condition, *branches)  # type: ignore[arg-type]
    if core.node.op == "abs" and scale < 0:
        return _decay(-scale, core.args[0])
    if _is_square(core):
        return _gaussian(scale, core.args[0])
    return y


def _branch(condition: Value, side: bool, scale: float, value: Value) -> Value | None:
    """Return ``exp(scale * value)`` where ``condition`` is ``side``, None when that would take an exponential more."""
    if value.is_constant(0):
        return value.builder.constant(1.0)
    factor, u = _scaled(value)
    factor *= scale
    if _is_square(u):
        return _gaussian(factor, u.args[0])
    negative = _says_negative(condition, u)
    if negative is None:
        return None
    falls = factor > 0 if negative == side else factor < 0
    return _decay(abs(factor), u) if falls else None


def _says_negative(condition: Value, u: Value) -> bool | None:
    """Return whether ``condition`` is ``u < 0`` (True) or ``u > 0`` (False); None when it is neither."""
    if condition.node.op not in ("lt", "le"):
        return None
    a, b = condition.args
    if a == u and b.is_constant(0):
        return True
    return False if a.is_constant(0) and b == u else None


def _scaled(value: Value) -> tuple[float, Value]:
    """Return ``value`` as a number times the rest."""
    scale = 1.0
    while True:
        if value.node.op == "neg":
            scale, value = -scale, value.args[0]
        elif value.node.op in _PRODUCTS and value.args[0].constant is not None:
            scale, value = scale * float(value.args[0].constant), value.args[1]
        else:
            return scale, value


def _decay(speed: float, u: Value) -> Value:
    """Return ``exp(-speed |u|)``."""
    scale, u = _scaled(u)
    return call("raw_exp", -(speed * abs(scale)) * abs(u))


def _gaussian(scale: float, u: Value) -> Value:
    """Return ``exp(scale u**2)``: in one spelling, so that it is found again."""
    return call("decay" if scale < 0 else "raw_exp", scale * (u * u))


def _is_square(value: Value) -> bool:
    return value.node.op in _PRODUCTS and value.args[0] == value.args[1]


def _choice(y: Value) -> Value:
    """A choice of two quotients divides once; erfc is taken apart where its scaled form stands beside it."""
    condition, yes, no = y.args
    if yes.node.op == no.node.op == "div":
        (a, b), (c, d) = yes.args, no.args
        return select(condition, a, c) / select(condition, b, d)
    if yes.node.op == "select" and yes.args[0] == condition:
        return select(condition, yes.args[1], no)
    if yes.node.op == "select" and (bound := _inner_bound(condition, yes, no)) is not None:
        return select(yes.args[0], _choice(select(bound, yes.args[1], 0.0)), 0.0)
    if yes.node.op == "raw_erfcx" and no.node.op == "raw_erfc":
        return _erfc(condition, yes, no) or y
    return y


def _inner_bound(condition: Value, yes: Value, no: Value) -> Value | None:
    """Return ``|a| < k`` for ``|c ? a : 0| < k ? (c ? b : 0) : 0``, where it has a say only where ``c`` holds."""
    if condition.node.op != "lt" or condition.args[0].node.op != "abs":
        return None
    inner, k = condition.args[0].args[0], condition.args[1]
    if inner.node.op != "select" or inner.args[0] != yes.args[0] or k.constant is None:
        return None
    if not (no.is_constant(0) and yes.args[2].is_constant(0) and inner.args[2].is_constant(0)):
        return None
    return _compared(_absolute(abs(inner.args[1])) < k)


def _erfc(condition: Value, scaled: Value, plain: Value) -> Value | None:
    """Return ``erfcx(k u)`` in the tail and ``erfc(k u)`` elsewhere by one erfcx of ``k |u|`` and one exponential."""
    (k, clamped), (other_k, other) = _scaled(scaled.args[0]), _scaled(plain.args[0])
    if (
        clamped.node.op != "maximum"
        or not clamped.args[0].is_constant(0)
        or other.node.op not in ("minimum", "maximum")
    ):
        return None
    (inner, u), (other_inner, other_u) = _scaled(clamped.args[1]), _scaled(other.args[1])
    if u != other_u or inner * k != other_inner * other_k:
        return None
    k, sign = abs(inner * k), math.copysign(1.0, inner * k)
    half = _gaussian(-round(k * k, 15) / 2, u)  # k is 1 or the root of a half
    right = call("scaled_erfcx", u.builder.constant(k), abs(u))
    small = (right * half) * half
    return select(condition, right, select(sign * u < 0, 2.0 - small, small))


def _sum(y: Value) -> Value:
    """What the rounding of a product lost, spelled out by halves (see actsearch/expr/two_words.py): one operation."""
    for last, first in (y.args, y.args[::-1]):
        if last.node.op == "times" and first.node.op == "add":
            for cross, leading in (first.args, first.args[::-1]):
                if leading.node.op == "minus" and cross.node.op == "add" and leading.args[0].node.op == "times":
                    found = _rest(leading, cross, last)
                    if found is not None:
                        return found
    return y


def _rest(leading: Value, cross: Value, last: Value) -> Value | None:
    (a1, b1), (a2, b2), product = leading.args[0].args, last.args, leading.args[1]
    terms = [tuple(term.args) for term in cross.args if term.node.op == "times"]
    if product.node.op not in _PRODUCTS or sorted(map(_indices, terms)) != sorted(map(_indices, [(a1, b2), (a2, b1)])):
        return None
    for a, b in (product.args, product.args[::-1]):
        if _are_halves(a, a1, a2) and _are_halves(b, b1, b2):
            if any(_is_power_of_two(c) for c in (a, b)):
                return product.builder.constant(0.0)
            return call("rest", a, b, product)
    return None


def _indices(pair: tuple[Value, ...]) -> tuple[int, ...]:
    return tuple(value.index for value in pair)


def _are_halves(a: Value, upper: Value, lower: Value) -> bool:
    if a.constant is not None:
        return (
            upper.constant is not None and lower.constant is not None and upper.constant + lower.constant == a.constant
        )
    is_head = upper.node.op == "head" and upper.args[0] == a
    return is_head and lower.node.op == "minus" and lower.args == (a, upper)


def _is_power_of_two(a: Value) -> bool:
    return a.constant is not None and bool(a.constant) and abs(a.constant).man == 1


def _plus(y: Value) -> Value:
    """A number and what its own rounding lost add up to the number."""
    return y.args[0] if _is_rest_of(*y.args) else y


def _is_rest_of(high: Value, low: Value) -> bool:
    if low.is_constant(0):
        return True
    if low.node.op == "select":
        condition, yes, no = low.args
        if high.node.op == "select" and high.args[0] == condition:
            return _is_rest_of(high.args[1], yes) and _is_rest_of(high.args[2], no)
        return _is_rest_of(high, yes) and _is_rest_of(high, no)
    (scale, product), (other, rest) = _scaled(high), _scaled(low)
    return rest.node.op == "rest" and rest.args[2] == product and scale == other


def _absolute(y: Value) -> Value:
    """The absolute value of a multiple of a square is a multiple of it."""
    scale, core = _scaled(y.args[0]) if y.node.op == "abs" else (1.0, y)
    return abs(scale) * core if _is_square(core) else y


def _compared(y: Value) -> Value:
    """A multiple of a number is compared by comparing the number: the product serves nothing else most of the time."""
    a, b = y.args
    for number, other, less in ((a, b, True), (b, a, False)):
        scale, u = _scaled(other)
        if number.constant is not None and not number.is_constant(0) and scale not in (0, 1):
            bound = y.builder.constant(number.constant / scale)
            return call(y.node.op, bound, u) if less is (scale > 0) else call(y.node.op, u, bound)
    return y


def _minus(y: Value) -> Value:
    a, b = y.args
    return y.builder.constant(0.0) if a == b else a if b.is_constant(0) else y


_RULES: dict[str, Callable[[Value], Value]] = {
    "abs": _absolute,
    "lt": _compared,
    "le": _compared,
    "raw_exp": _exponential,
    "select": _choice,
    "add": _sum,
    "plus": _plus,
    "minus": _minus,
}


def _share(program: Program) -> Rule:
    """Return the rule that makes ``exp(-m c |u|)`` of ``exp(-c |u|)``; ``c`` as the program's exponentials have it."""
    values = Builder(program.parameters).embed(program)
    found = {i: f for i, y in enumerate(values) if y.node.op == "raw_exp" and (f := _falling(y)) is not None}
    bases: dict[int, list[float]] = {}
    base_of: dict[int, float] = {}
    for i, (speed, u) in sorted(found.items(), key=lambda item: item[1][0]):
        known = bases.setdefault(u.index, [])
        base_of[i] = next((base for base in known if speed / base in (1, *_MULTIPLES)), speed)
        known.append(base_of[i])

    def rule(i: int, y: Value) -> Value:
        if i not in base_of or (falling := _falling(y)) is None:
            return y
        speed, u = falling
        t = call("decay", -base_of[i] * abs(u))
        n = round(speed / base_of[i])
        return t if n == 1 else _power(t, n)

    return rule


def _falling(y: Value) -> tuple[float, Value] | None:
    """Return ``c`` and ``u`` of ``exp(-c |u|)``."""
    scale, core = _scaled(y.args[0])
    return (-scale, core.args[0]) if core.node.op == "abs" and scale < 0 else None


def _power(t: Value, n: int) -> Value:
    return t * t if n == 2 else t * (t * t) if n == 3 else (t * t) * (t * t)
