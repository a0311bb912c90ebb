"""The straight-line form of an expression as plain data: nodes, each subexpression once, and the outputs among them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import sympy


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a program.

    Attributes:
        op: The name of a row of :data:`actsearch.expr.ops.OPS`.
        args: Positions of the arguments among the program's nodes, all smaller than this node's own.
        value: What the row takes besides its arguments: a constant's value (a float where that is exact, else decimal
            text of 40 digits), a parameter's name, an order of differentiation; None for most rows.
    """

    op: str
    args: tuple[int, ...] = ()
    value: float | str | None = None


@dataclass(frozen=True)
class Program:
    """A straight-line program: nodes in order of evaluation, and which of them are the results.

    Attributes:
        nodes: The operations; an argument always stands before its use.
        outputs: Positions of the results.
        parameters: The learnable parameters, sorted by name: the order of arguments everywhere.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    parameters: tuple[sympy.Symbol, ...] = ()

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """The parameters' names, in the order of arguments."""
        return tuple(parameter.name for parameter in self.parameters)

    def __str__(self) -> str:
        lines = [
            f"{i}: {node.op}{node.args}{'' if node.value is None else f' [{node.value}]'}"
            for i, node in enumerate(self.nodes)
        ]
        return "\n".join([*lines, f"-> {', '.join(map(str, self.outputs))}"])
