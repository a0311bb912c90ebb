"""What is known about one operation of a program: one row, read by evaluator, printers, differentiation and tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from actsearch.expr.value import Value

#: From the value of a node to its partial derivatives, one an argument (0.0 where there is none).
Derivative = Callable[[Value], Sequence[Value | float]]


@dataclass(frozen=True)
class Op:
    """One operation.

    A *basic* operation has templates for every language; a *stable* one is spelled out in basic operations by
    ``expand`` or, when it is an exponentially small (or large) factor, by ``scaled``.

    Attributes:
        name: The word that stands in :class:`actsearch.expr.graph.Node`.
        arity: The number of arguments.
        exact: The value in mpmath; a row that uses the node's value takes it as keyword ``value``.
        derivative: The rule of differentiation; None means the derivative is 0 everywhere (steps and conditions).
        numpy: The value in NumPy, float64 (basic operations).
        torch: Template of the value in torch; ``{0}``, ``{1}`` are the arguments (basic operations).
        expand: The definition in simpler operations (stable operations).
        scaled: For ``f = exp(e1) exp(e2) ... r``: the exponents and the remaining factor ``r``, which is neither huge
            nor tiny. Products with such a factor are formed so that ``f`` may underflow where the product does not.
        valued: Whether the node's value (an order, a constant) belongs to the operation.
        rounding: Bound of the relative error of the expansion in units of the type's spacing (ulp).
    """

    name: str
    arity: int
    exact: Callable[..., Any]
    derivative: Derivative | None = None
    numpy: Callable[..., Any] | None = None
    torch: str | None = None
    expand: Callable[[Value], Value] | None = None
    scaled: Callable[[Value], tuple[tuple[Value, ...], Value]] | None = None
    valued: bool = False
    rounding: float = 2.0
