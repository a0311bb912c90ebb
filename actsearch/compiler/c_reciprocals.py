"""Quotients by one number as products with its reciprocal, where that is safe: rationals and their derivatives in C."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from actsearch.expr.build import Builder
from actsearch.expr.graph import Program
from actsearch.expr.value import Value

_SHARED = 3  # quotients that make one division and as many products cheaper


def reciprocals(program: Program) -> Callable[[int, Value], Value]:
    """Return the rule that divides once by what several quotients share, where that is at least 1."""
    values = Builder(program.parameters).embed(program)
    found = Counter(y.args[1].index for y in values if y.node.op == "div")
    shared = {i for i, y in enumerate(values) if found[y.index] >= _SHARED and _is_at_least_one(y)}

    def rule(i: int, y: Value) -> Value:
        if y.node.op != "div" or program.nodes[i].args[1] not in shared:
            return y
        return y.args[0] * (1.0 / y.args[1])

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
    return y.node.op in ("abs", "decay") or (y.constant is not None and y.constant >= 0)
