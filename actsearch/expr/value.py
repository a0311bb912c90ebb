"""Writing programs like formulas: a value is a handle to a node, and arithmetic on values adds nodes.

Rules of differentiation and expansion are written with it: ``u * call("sigmoid", -u) + 1`` reads like the formula.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mpmath

from actsearch.expr.graph import Node

if TYPE_CHECKING:
    from actsearch.expr.build import Builder

#: Decimal digits that a constant keeps: enough for a float64 and the rounding error of it.
DIGITS = 40


class Value:
    """A node under construction; arithmetic on values adds nodes."""

    __slots__ = ("builder", "index")

    def __init__(self, builder: Builder, index: int) -> None:
        self.builder = builder
        self.index = index

    @property
    def node(self) -> Node:
        """The node itself."""
        return self.builder.nodes[self.index]

    @property
    def args(self) -> tuple[Value, ...]:
        """The node's arguments."""
        return tuple(Value(self.builder, index) for index in self.node.args)

    @property
    def constant(self) -> Any:
        """The value of a constant to 40 digits (an mpmath number), None for anything else."""
        return exact_constant(self.node) if self.node.op == "constant" else None

    def is_constant(self, number: float) -> bool:
        """Whether this is the constant ``number``."""
        return self.node.op == "constant" and self.node.value == float(number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Value) and other.builder is self.builder and other.index == self.index

    def __hash__(self) -> int:
        return hash((id(self.builder), self.index))

    def __add__(self, other: Value | float) -> Value:
        return self.builder.call("add", self, other)

    def __radd__(self, other: float) -> Value:
        return self.builder.call("add", other, self)

    def __sub__(self, other: Value | float) -> Value:
        return self.builder.call("sub", self, other)

    def __rsub__(self, other: float) -> Value:
        return self.builder.call("sub", other, self)

    def __mul__(self, other: Value | float) -> Value:
        return self.builder.call("mul", self, other)

    def __rmul__(self, other: float) -> Value:
        return self.builder.call("mul", other, self)

    def __truediv__(self, other: Value | float) -> Value:
        return self.builder.call("div", self, other)

    def __rtruediv__(self, other: float) -> Value:
        return self.builder.call("div", other, self)

    def __neg__(self) -> Value:
        return self.builder.call("neg", self)

    def __abs__(self) -> Value:
        return self.builder.call("abs", self)

    def __lt__(self, other: Value | float) -> Value:
        return self.builder.call("lt", self, other)

    def __le__(self, other: Value | float) -> Value:
        return self.builder.call("le", self, other)

    def __gt__(self, other: Value | float) -> Value:
        return self.builder.call("lt", other, self)

    def __ge__(self, other: Value | float) -> Value:
        return self.builder.call("le", other, self)


def call(op: str, first: Value, *rest: Value | float, value: float | str | None = None) -> Value:
    """Return the value of ``op`` on ``first`` and ``rest``, in the builder of ``first``."""
    return first.builder.call(op, first, *rest, value=value)


def select(condition: Value, yes: Value | float, no: Value | float) -> Value:
    """Return ``yes`` where ``condition`` holds, else ``no``."""
    return condition.builder.call("select", condition, yes, no)


def exact_constant(node: Node) -> mpmath.mpf:
    """Return the value of a constant node to 40 digits."""
    with mpmath.workdps(DIGITS + 5):
        return mpmath.mpf(node.value)
