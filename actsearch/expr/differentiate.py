"""Derivatives of programs, as programs: never through SymPy, whose Max, Abs and sign differentiate into Dirac terms.

Steps and conditions have slope 0. Values at kinks follow torch: ``relu'(0) = abs'(0) = 0``; a tie of max or min with a
constant has slope 0, as in torch's relu6 and hardtanh, and a tie of two other arguments is split in halves, as in
torch.maximum. A choice differentiates branch by branch, so nothing of the branch not taken gets through.
"""

from __future__ import annotations

from collections.abc import Sequence

from actsearch.expr.build import Builder
from actsearch.expr.graph import Program
from actsearch.expr.ops import LEAVES, OPS
from actsearch.expr.value import Value


def slope(value: Value, variable: Value) -> Value:
    """Return the derivative of ``value`` with respect to the leaf ``variable``, in the same builder."""
    slopes: dict[int, Value] = {}
    builder = value.builder
    zero, one = builder.constant(0.0), builder.constant(1.0)
    for index in _needed(builder, value.index):
        y = Value(builder, index)
        if y.node.op in LEAVES:
            slopes[index] = one if index == variable.index else zero
        else:
            slopes[index] = _chain(y, [slopes[i] for i in y.node.args], zero)
    return slopes[value.index]


def _needed(builder: Builder, root: int) -> list[int]:
    """Return the positions of what ``root`` is made of, arguments before uses."""
    seen: set[int] = set()
    stack = [root]
    while stack:
        index = stack.pop()
        if index not in seen:
            seen.add(index)
            stack.extend(builder.nodes[index].args)
    return sorted(seen)


def _chain(y: Value, inner: Sequence[Value], zero: Value) -> Value:
    """Return the chain rule at one node: the sum over its arguments of partial derivative times inner derivative."""
    rule = OPS[y.node.op].derivative
    if rule is None or all(value == zero for value in inner):
        return zero
    if y.node.op == "select":  # branch by branch: a product with a mask would let an infinite branch through
        return y.builder.call("select", y.args[0], inner[1], inner[2])
    if y.node.op == "div" and inner[0] != zero:
        return (inner[0] - y * inner[1]) / y.args[1]
    total = zero
    for partial, value in zip(rule(y), inner, strict=True):
        if value != zero:
            total = total + y.builder.lift(partial) * value
    return total


def differentiate(program: Program, orders: Sequence[int]) -> Program:
    """Return the program of the derivative of every output.

    Args:
        program: What is differentiated.
        orders: How often in x, then in each parameter.
    """
    builder = Builder(program.parameters)
    values = builder.embed(program)
    results = [values[i] for i in program.outputs]
    variables = [builder.x(), *(builder.parameter(name) for name in program.parameter_names)]
    for variable, order in zip(variables, orders, strict=True):
        for _ in range(order):
            results = [slope(result, variable) for result in results]
    return builder.program(results)


def gradient(program: Program) -> Program:
    """Return one program of all first derivatives, sharing what they can.

    The outputs are, for each output of ``program`` in turn, its derivative in x and then in each parameter.
    """
    builder = Builder(program.parameters)
    values = builder.embed(program)
    variables = [builder.x(), *(builder.parameter(name) for name in program.parameter_names)]
    return builder.program([slope(values[i], variable) for i in program.outputs for variable in variables])
