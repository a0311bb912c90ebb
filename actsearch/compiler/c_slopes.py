"""Derivatives of programs whose branches were united (see c_branches.py), with what parameters share computed once.

Where ``t = c ? x : 1 / x`` stands for both branches, the derivative is taken in ``t`` and multiplied once by that of
``t``; and the powers of ``t`` that coefficients are multiplied by serve all coefficients.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from actsearch.compiler.c_branches import dependence, united
from actsearch.expr.build import Builder
from actsearch.expr.differentiate import gradient, slope
from actsearch.expr.graph import Node, Program
from actsearch.expr.value import Value, select


@lru_cache(maxsize=4096)
def slopes(program: Program) -> Program:
    """Return the derivatives of a program of one output: in x, then in each parameter."""
    one = united(program)
    if one == program:
        return gradient(program)
    builder = Builder(one.parameters)
    varies, learns = dependence("x"), dependence("parameter")
    values: list[Value] = []
    operands: dict[int, Value] = {}  # node that stands for both branches -> a leaf in its place
    for i, node in enumerate(one.nodes):
        y = builder.copy(node, [values[k] for k in node.args])
        if node.op in ("select", "abs") and varies(y) and not learns(y):
            operands[i] = y = builder.copy(Node("x", (), f"operand {i}"), ())
        values.append(y)
    y = values[one.outputs[0]]
    variables = [builder.x(), *operands.values(), *(builder.parameter(name) for name in one.parameter_names)]
    parts = _Shared().program(builder.program([slope(y, variable) for variable in variables]))
    return _chained(one, list(operands), parts)


def _chained(one: Program, operands: Sequence[int], parts: Program) -> Program:
    """Return derivatives with the operands' nodes in the place of their leaves; that in x by the chain rule."""
    target, shared = Builder(one.parameters), _Shared()
    plain = target.embed(one)
    known = {f"operand {i}": plain[i] for i in operands}
    found: list[Value] = []
    for node in parts.nodes:
        leaf = known.get(str(node.value)) if node.op == "x" else None
        found.append(leaf or target.copy(node, [found[k] for k in node.args]))
    in_x, *rest = [found[i] for i in parts.outputs]
    for i, part in zip(operands, rest, strict=False):
        in_x = in_x + shared.product(part, slope(plain[i], target.x()))
    return target.program([in_x, *rest[len(operands) :]])


class _Shared:
    """Products in which choices of 0 or 1 come last, and then what hangs on parameters alone: the rest is shared.

    The slope of ``c ? a : b`` in ``a`` is ``c ? 1 : 0``: what is multiplied by that is chosen instead.
    """

    def __init__(self) -> None:
        self._varies = dependence("x")

    def program(self, program: Program) -> Program:
        """Return a program with its products and sums so arranged."""
        target = Builder(program.parameters)
        values: list[Value] = []
        for node in program.nodes:
            y = target.copy(node, [values[i] for i in node.args])
            if y.node.op in ("mul", "add"):
                y = (self.product if y.node.op == "mul" else self._sum)(*y.args)
            values.append(y)
        return target.program([values[i] for i in program.outputs])

    def product(self, a: Value, b: Value) -> Value:
        """Return ``a b``."""
        for u, v in ((a, b), (b, a)):
            if v.node.op == "select" and _is_part(*v.args[1:], power=u.node.op == "x"):
                condition, yes, no = v.args
                return select(condition, self.product(yes, u), self.product(no, u))
            if v.node.op == "mul" and self._varies(u):
                for fixed, rest in (v.args, v.args[::-1]):
                    if not self._varies(fixed) and self._varies(rest):
                        return self.product(u, rest) * fixed
        return a * b

    def _sum(self, a: Value, b: Value) -> Value:
        """Return ``a + b``: of two choices by one condition, of which either branch of one is 0, as one choice."""
        if a.node.op == b.node.op == "select" and a.args[0] == b.args[0]:
            (condition, a1, a2), (_, b1, b2) = a.args, b.args
            if (a1.is_constant(0) or b1.is_constant(0)) and (a2.is_constant(0) or b2.is_constant(0)):
                return self._choice(condition, a1 + b1, a2 + b2)
        return a + b

    def _choice(self, condition: Value, yes: Value, no: Value) -> Value:
        """Return a choice between products by one fixed number as a product of the choice."""
        for fixed, first in _factors(yes):
            for other, second in _factors(no):
                if fixed == other and not self._varies(fixed):
                    return select(condition, first, second) * fixed
        return select(condition, yes, no)


def _is_part(*branches: Value, power: bool) -> bool:
    """Whether one of the branches is 0, or 1 where a ``power`` is to be made longer."""
    return any(part.is_constant(0) or (power and part.is_constant(1)) for part in branches)


def _factors(y: Value) -> list[tuple[Value, Value]]:
    pairs = [(y, y.builder.constant(1.0))]
    if y.node.op == "mul":
        a, b = y.args
        pairs += [(a, b), (b, a)]
    return pairs
