"""Building programs: every node once, constants folded exactly, identities of 0 and 1 removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import mpmath
import sympy

from actsearch.expr.graph import Node, Program
from actsearch.expr.simplify import simplify
from actsearch.expr.value import DIGITS, Value

_COMMUTATIVE = frozenset({"add", "mul", "minimum", "maximum", "and", "or"})


class Builder:
    """Collects nodes; equal operations on equal arguments become one node."""

    def __init__(self, parameters: Sequence[sympy.Symbol] = ()) -> None:
        self.parameters = tuple(parameters)
        self.nodes: list[Node] = []
        self._index: dict[Node, int] = {}

    def _intern(self, node: Node) -> Value:
        index = self._index.get(node)
        if index is None:
            index = self._index[node] = len(self.nodes)
            self.nodes.append(node)
        return Value(self, index)

    def x(self) -> Value:
        """Return the input."""
        return self._intern(Node("x"))

    def parameter(self, name: str) -> Value:
        """Return the learnable parameter ``name``."""
        return self._intern(Node("parameter", (), name))

    def constant(self, number: float | mpmath.mpf) -> Value:
        """Return a constant: as a float where that is exact, else as text of 40 digits."""
        rounded = float(number)
        if rounded == number or number != number:
            return self._intern(Node("constant", (), rounded + 0.0))
        with mpmath.workdps(DIGITS + 5):
            text = mpmath.nstr(mpmath.mpf(number), DIGITS)
            same = mpmath.mpf(text) == mpmath.mpf(rounded)
        return self._intern(Node("constant", (), rounded + 0.0 if same else text))

    def lift(self, value: Value | float | mpmath.mpf) -> Value:
        """Return ``value`` itself, or the constant for a number."""
        return value if isinstance(value, Value) else self.constant(value)

    def call(self, op: str, *args: Value | float, value: float | str | None = None) -> Value:
        """Return the simplified value of ``op`` on ``args``."""
        lifted = tuple(self.lift(arg) for arg in args)
        simpler = simplify(self, op, lifted, value)
        if simpler is not None:
            return simpler
        if op in _COMMUTATIVE:  # one order for both, constants first
            lifted = tuple(sorted(lifted, key=lambda arg: (arg.node.op != "constant", arg.index)))
        return self._intern(Node(op, tuple(arg.index for arg in lifted), value))

    def embed(self, program: Program) -> list[Value]:
        """Copy ``program`` into this builder and return the values of all its nodes."""
        values: list[Value] = []
        for node in program.nodes:
            values.append(self.copy(node, [values[i] for i in node.args]))
        return values

    def copy(self, node: Node, args: Sequence[Value]) -> Value:
        """Return the value of ``node`` on ``args`` of this builder."""
        return self.call(node.op, *args, value=node.value) if args else self._intern(node)

    def program(self, outputs: Iterable[Value], parameters: Sequence[Any] | None = None) -> Program:
        """Return the program of ``outputs``: what they need, in order, and nothing else."""
        wanted = [value.index for value in outputs]
        used: set[int] = set()
        stack = list(wanted)
        while stack:
            index = stack.pop()
            if index not in used:
                used.add(index)
                stack.extend(self.nodes[index].args)
        order = sorted(used)
        place = {old: new for new, old in enumerate(order)}
        nodes = tuple(
            Node(self.nodes[i].op, tuple(place[a] for a in self.nodes[i].args), self.nodes[i].value) for i in order
        )
        return Program(
            nodes, tuple(place[i] for i in wanted), tuple(self.parameters if parameters is None else parameters)
        )
