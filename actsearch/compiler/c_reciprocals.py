"""Quotients by one number as products with its reciprocal, where that is safe: rationals and their derivatives in C."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from actsearch.expr.build import Builder
from actsearch.expr.graph import Program
from actsearch.expr.value import Value, select

_SHARED = 3  # quotients that make one division and as many products cheaper
_FAR = 2.0**100  # in float32, numbers that are brought nearer 1 by it have normal reciprocals


def reciprocals(program: Program) -> Callable[[int, Value], Value]:
    """Return the rule that divides once by what several quotients share, and once for ``1 / u**2``.

    The shared number is a sum of powers. Where it may be below 1, it is brought near 1 first together with what is
    divided, so that its reciprocal is a normal number.
    """
    values = Builder(program.parameters).embed(program)
    found = Counter(y.args[1].index for y in values if y.node.op == "div")
    shared = {i: y for i, y in enumerate(values) if found[y.index] >= _SHARED}
    safe = {i for i, y in shared.items() if _is_at_least_one(y)}
    scaled = {i for i, y in shared.items() if i not in safe and _is_sum_of_powers(y)}

    def rule(i: int, y: Value) -> Value:
        if y.node.op != "div":
            return y
        a, b = y.args
        divisor = program.nodes[i].args[1]
        if divisor in safe:
            return a * (1.0 / b)
        if divisor in scaled:
            s = select(b < 1 / _FAR, _FAR, select(b > _FAR, 1 / _FAR, 1.0))
            return (a * s) * (1.0 / (b * s))
        for sign in (1.0, -1.0):
            if a == sign / b:
                return sign * ((1.0 / b) * (1.0 / b))
        return y

    return rule


def _is_at_least_one(y: Value) -> bool:
    return y.node.op == "add" and any(
        a.constant is not None and a.constant >= 1 and _is_sum_of_powers(b) for a, b in (y.args, y.args[::-1])
    )


def _is_sum_of_powers(y: Value) -> bool:
    """Whether ``y`` cannot be negative, and is large only where the input or a parameter is."""
    if y.node.op == "add":
        return all(map(_is_sum_of_powers, y.args))
    if y.node.op in ("mul", "times"):
        return y.args[0] == y.args[1] or all(map(_is_sum_of_powers, y.args))
    if y.node.op == "select":
        return all(map(_is_sum_of_powers, y.args[1:]))
    return y.node.op in ("abs", "decay") or (y.constant is not None and y.constant >= 0)
