"""How large an expression may be and what it may contain: checks that keep hostile texts from hanging SymPy."""

from __future__ import annotations

import sys
from typing import Any

import sympy
from sympy import S

MAX_TEXT = 10_000
"""Characters in a text."""
MAX_TOKENS = 4_000
"""Names, numbers and operators in a text."""
MAX_DEPTH = 50
"""Nesting of an expression; SymPy recurses several frames for each level."""
MAX_TEXT_DEPTH = 2 * MAX_DEPTH
"""Nesting of a text: one level of an expression can take two there, as ``1/a**2`` does."""
MAX_NODES = 5_000
"""Nodes of an expression, shared ones counted each time."""
MAX_EXPONENT = 1_000
"""Absolute value of a constant exponent."""
MAX_BITS = 1_024
"""Bits of an integer; float64 ends there."""

_FLOAT_MAX = sympy.Float(sys.float_info.max)
_NOT_FINITE = frozenset({S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity})


def number_fault(value: Any) -> str:
    """Return what is wrong with a constant, or an empty string.

    A constant is finite, real, and within float64; a Float is one that float64 holds exactly.
    """
    if value in _NOT_FINITE:
        return "this is not finite (a division by zero?)"
    if value.is_Rational:
        return "" if max(abs(value.p), value.q).bit_length() <= MAX_BITS else "this number is too large"
    if value.is_Float:
        return "" if _fits_float64(value) else "this number is outside the range of float64"
    approximate = value.evalf(10)
    if approximate.is_extended_real is False or approximate is S.NaN:
        return "this is not a real number"
    if approximate.is_Number and abs(approximate) > _FLOAT_MAX:
        return "this number is too large"
    return ""


def shallow_fault(value: Any) -> str:
    """Return what is wrong with an expression whose arguments were checked before, or an empty string."""
    if value.is_number:
        return number_fault(value)
    if S.ImaginaryUnit in value.args:
        return "this is not real for any real x"
    for part in value.args:
        if part.is_Number and (fault := number_fault(part)):
            return fault
    if value.is_Pow and (fault := exponent_fault(value.exp)):
        return fault
    return ""


def deep_fault(expr: Any) -> str:
    """Return what is wrong with any number or exponent in an expression, or an empty string."""
    if expr.has(S.ImaginaryUnit):
        return "this is not real"
    powers = expr.atoms(sympy.Pow)
    faults = [number_fault(number) for number in expr.atoms(sympy.Number, type(S.ComplexInfinity))]
    faults += [number_fault(power) for power in powers if power.is_number]
    faults += [exponent_fault(power.exp) for power in powers]
    return next(filter(None, faults), "")


def exponent_fault(exponent: Any) -> str:
    """Return what is wrong with an exponent, or an empty string."""
    if exponent.is_number and abs(exponent.evalf(10)) > MAX_EXPONENT:
        return f"this exponent is larger than {MAX_EXPONENT}"
    return ""


def power_fault(base: Any, exponent: Any) -> str:
    """Return why ``base**exponent`` must not even be tried, or an empty string."""
    if fault := exponent_fault(exponent):
        return fault
    if base.is_Rational and exponent.is_Rational:
        bits = max(abs(base.p), base.q).bit_length() - 1
        if bits * abs(exponent) > MAX_BITS:
            return "this number is too large"
    return ""


def size_fault(expr: Any) -> str:
    """Return why an expression is too large, or an empty string; each distinct node is visited once."""
    sizes: dict[Any, tuple[int, int]] = {}
    stack = [(expr, False)]
    while stack:
        node, ready = stack.pop()
        if node in sizes:
            continue
        if not ready:
            stack.append((node, True))
            stack.extend((child, False) for child in node.args)
            continue
        below = [sizes[child] for child in node.args]
        sizes[node] = (1 + sum(size for size, _ in below), 1 + max((depth for _, depth in below), default=0))
    size, depth = sizes[expr]
    if size > MAX_NODES:
        return f"the expression has more than {MAX_NODES} nodes"
    return f"the expression is nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else ""


def _fits_float64(value: Any) -> bool:
    return abs(value) <= _FLOAT_MAX and sympy.Float(float(value)) == value
