"""Branches of one shape computed once: a choice of two sums as a sum of choices.

A rational function is lowered to a form in ``x`` and one in ``1 / x``, each Horner's (actsearch/expr/ratio.py), of
which an element needs one. Both are the same steps with other numbers, so the numbers are chosen and the steps taken
once. Every element goes through the operations of its own branch: values keep their bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from actsearch.expr.build import Builder
from actsearch.expr.graph import Program
from actsearch.expr.value import Value, select

_COMMUTE = ("add", "mul")
_FREE = ("neg", "abs")
_SHAPES = (*_COMMUTE, *_FREE, "sub", "div")
_OPERATION = 2  # choices that an operation costs
_LEAST = 4  # choices saved that are worth it


@lru_cache(maxsize=4096)
def united(program: Program) -> Program:
    """Return a program of the same values in which branches of one shape are computed once."""
    target = Builder(program.parameters)
    values: list[Value] = []
    unions: dict[Value, _Union] = {}
    for node in program.nodes:
        y = target.copy(node, [values[i] for i in node.args])
        if y.node.op == "select":
            y = unions.setdefault(y.args[0], _Union(y.args[0])).take(y)
        values.append(y)
    return target.program([values[i] for i in program.outputs])


@dataclass(frozen=True)
class _Found:
    """Two branches as one value, with the operations that are shared and the pairs between which is chosen."""

    value: Value
    shared: frozenset[int] = frozenset()
    choices: frozenset[tuple[int, int]] = frozenset()


class _Union:
    """Two branches of a choice as one, node by node from their ends.

    Args:
        condition: of the choice.
    """

    def __init__(self, condition: Value) -> None:
        self.condition = condition
        self._varies = dependence("x")
        self._made: frozenset[tuple[int, int]] = frozenset()  # choices that are there already
        self._known: dict[tuple[int, int], _Found] = {}

    def take(self, y: Value) -> Value:
        """Return a choice by this condition with its branches as one, or ``y`` itself where that saves too little."""
        self._known.clear()
        found = self._of(*y.args[1:])
        if self._saved(found) < _LEAST:
            return y
        self._made |= found.choices
        return found.value

    def _saved(self, found: _Found) -> int:
        return _OPERATION * len(found.shared) - len(found.choices - self._made)

    def _of(self, yes: Value, no: Value) -> _Found:
        key = (yes.index, no.index)
        if key not in self._known:
            self._known[key] = _Found(yes) if yes == no else self._new(yes, no)
        return self._known[key]

    def _new(self, yes: Value, no: Value) -> _Found:
        # a coefficient stands for another one, an operand for another one: what is neither is a worse match
        unlike = self._varies(yes) != self._varies(no)
        costs = {(yes.index, no.index), *([(no.index, yes.index)] if unlike else [])}
        chosen = _Found(select(self.condition, yes, no), choices=frozenset(costs))
        if not self._varies(yes) and not self._varies(no):
            return chosen
        op, found, one = yes.node.op, [], yes.builder.constant(1.0)
        if op == no.node.op and op in _SHAPES:
            found = [self._joined(op, yes.args, others) for others in _orders(no)]
        elif op == "mul":
            found = [self._joined(op, args, (one, no)) for args in _orders(yes)]
        elif no.node.op == "mul":
            found = [self._joined("mul", (one, yes), args) for args in _orders(no)]
        return max([*found, chosen], key=self._saved)

    def _joined(self, op: str, first: Sequence[Value], second: Sequence[Value]) -> _Found:
        parts = [self._of(a, b) for a, b in zip(first, second, strict=True)]
        value = self.condition.builder.call(op, *(part.value for part in parts))
        free = op in _FREE or any(a.is_constant(1) for a in (*first, *second))
        shared = frozenset().union(*(part.shared for part in parts), () if free else (value.index,))
        return _Found(value, shared, frozenset().union(*(part.choices for part in parts)))


def _orders(y: Value) -> list[tuple[Value, ...]]:
    return [y.args, y.args[::-1]] if y.node.op in _COMMUTE else [y.args]


def dependence(op: str) -> Callable[[Value], bool]:
    """Return the question whether a value depends on a leaf of a kind; what it has seen it remembers."""
    known: dict[int, bool] = {}

    def depends(y: Value) -> bool:
        if y.index not in known:
            known[y.index] = y.node.op == op or any(map(depends, y.args))
        return known[y.index]

    return depends
