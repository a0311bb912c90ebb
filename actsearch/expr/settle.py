"""Values of a program in mpmath: what settles a value that float64 leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mpmath

from actsearch.expr.graph import Node, Program
from actsearch.expr.ops import OPS

DIGITS = (40, 80, 160, 320)
"""Working precisions that are tried in turn until two of them agree."""
_AGREE = 20  # digits in which two precisions have to agree
# Beyond this a value is infinite: far outside float64, and mpmath still answers quickly.
_HUGE = mpmath.mpf("1e1000")
_TOLERANT = frozenset({"select", "lt", "le", "eq", "and", "or", "not"})  # operations that do not hand on NaN


def settled(program: Program, x: float, parameters: Mapping[str, float]) -> mpmath.mpf:
    """Return the true value of a program's first output to about 20 digits; NaN where there is no real one.

    A value that shrinks with the rounding of each precision, to the last, is zero. Values beyond 1e1000 are infinite.

    Args:
        program: what is evaluated.
        x: where.
        parameters: a value for each parameter name.
    """
    before = None
    for digits in DIGITS:
        with mpmath.workdps(digits):
            value = _value(program, x, parameters)
            if not mpmath.isfinite(value):
                return value
            if before and abs(value - before) <= abs(value) * mpmath.mpf(10) ** -_AGREE:
                return value
        before = value
    return mpmath.mpf(0)  # whatever is left has shrunk with the rounding of each precision


def _value(program: Program, x: float, parameters: Mapping[str, float]) -> Any:
    values: list[Any] = []
    for node in program.nodes:
        if node.op == "x":
            values.append(mpmath.mpf(x))
        elif node.op == "parameter":
            values.append(mpmath.mpf(parameters[str(node.value)]))
        elif node.op == "constant":
            values.append(mpmath.mpf(node.value))
        else:
            values.append(_apply(node, [values[i] for i in node.args]))
    return values[program.outputs[0]]


def _apply(node: Node, args: list[Any]) -> Any:
    if node.op not in _TOLERANT and any(mpmath.isnan(arg) for arg in args):
        return mpmath.nan
    extra = {"value": node.value} if OPS[node.op].valued else {}
    try:
        value = OPS[node.op].exact(*args, **extra)
    except ZeroDivisionError:
        # as float64 has it, whatever the sign of the zero
        return args[0] * mpmath.inf if node.op == "div" and args[0] != 0 else mpmath.nan
    except OverflowError:  # erfc and its like at huge arguments
        value = OPS[node.op].exact(*(arg * mpmath.inf for arg in args), **extra)
    except (ValueError, TypeError):  # outside the domain; not comparable, since complex
        return mpmath.nan
    if isinstance(value, bool):
        return value
    if isinstance(value, mpmath.mpc):
        return mpmath.nan
    value = mpmath.mpf(value)
    return value if mpmath.isnan(value) or abs(value) < _HUGE else mpmath.sign(value) * mpmath.inf
