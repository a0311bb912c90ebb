"""A running-error bound of a program at a point, computed in mpmath.

Each node gets its exact value ``v`` and a bound ``e`` of the error of its computed value, in arguments' order:

    e = sum_i max(|f(.., a_i + e_i, ..) - v|, |f(.., a_i - e_i, ..) - v|) + rounding * eps * |v| + least

that is: what the errors of its arguments do to it, and its own rounding, ``rounding`` being the row's field in units of
eps = 2**(1 - p), ``least`` the smallest number of the type. Nodes are the stable operations of the recognised form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mpmath

from actsearch.expr.graph import Node, Program
from actsearch.expr.ops import OPS

_CONDITIONS = ("lt", "le", "eq", "and", "or", "not")


@dataclass(frozen=True)
class Bound:
    """What is known of a program's first output at a point.

    Attributes:
        value: The exact value.
        error: The running-error bound.
        decided: Whether every condition is the same for all values within the bounds.
        in_range: Whether no node over- or underflows.
    """

    value: mpmath.mpf
    error: mpmath.mpf
    decided: bool
    in_range: bool


def running_bound(program: Program, x: float, parameters: Mapping[str, float], kind: object) -> Bound | None:
    """Return the bound, None where a node has no real value.

    Args:
        program: Of stable operations, as ``lower`` and ``derivative`` give it.
        x: The input.
        parameters: The value of each parameter.
        kind: The :class:`accuracy.Type` in which the program is computed.
    """
    values: list[mpmath.mpf] = []
    errors: list[mpmath.mpf] = []
    decided = in_range = True
    for node in program.nodes:
        args, spreads = [values[i] for i in node.args], [errors[i] for i in node.args]
        try:
            value, error, sure = _node(node, args, spreads, x, parameters, kind)
        except (ZeroDivisionError, ValueError, TypeError):
            return None
        if isinstance(value, mpmath.mpc) or mpmath.isnan(value) or mpmath.isinf(value):
            return None
        decided = decided and sure
        in_range = in_range and abs(value) + error <= kind.huge and (value == 0 or abs(value) - error >= kind.tiny)
        values.append(value)
        errors.append(error)
    last = program.outputs[0]
    return Bound(values[last], errors[last], decided, in_range)


def _node(node: Node, args: list, spreads: list, x: float, parameters: Mapping[str, float], kind: object) -> tuple:
    if node.op == "x":
        return mpmath.mpf(x), mpmath.mpf(0), True
    if node.op == "parameter":
        return mpmath.mpf(parameters[str(node.value)]), mpmath.mpf(0), True
    if node.op == "constant":
        value = mpmath.mpf(node.value)
        return value, kind.eps * abs(value), True
    row = OPS[node.op]
    keywords = {"value": node.value} if row.valued else {}
    value = mpmath.mpf(row.exact(*args, **keywords))
    total, sure = mpmath.mpf(0), True
    for i, spread in enumerate(spreads):
        moved = [
            mpmath.mpf(row.exact(*args[:i], args[i] + s * spread, *args[i + 1 :], **keywords))
            for s in (-1, 1)
            if spread
        ]
        total += max((abs(v - value) for v in moved), default=mpmath.mpf(0))
    if node.op in (*_CONDITIONS, "sign", "floor"):
        sure, total = total == 0, mpmath.mpf(0)
    return value, total + row.rounding * kind.eps * abs(value) + kind.tiny * kind.eps, sure
