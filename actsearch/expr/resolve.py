"""What a user may hand in for an activation: a catalog name, a text, or a SymPy expression."""

from __future__ import annotations

import re
from typing import Any

import sympy
from sympy.codegen import cfunctions
from sympy.core.function import AppliedUndef

from actsearch.errors import ExprError, suggest
from actsearch.expr import catalog
from actsearch.expr.bounds import size_fault
from actsearch.expr.family import read_family
from actsearch.expr.functions import expm1, log1p, x
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.primitives import PRIMITIVES
from actsearch.expr.printing import format
from actsearch.expr.text import parse

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_FOREIGN: dict[type, Any] = {
    sympy.Heaviside: lambda a, at_zero: sympy.Piecewise((1, a > 0), (0, a < 0), (at_zero, True)),
    sympy.ceiling: lambda a: -sympy.floor(-a),
    sympy.sec: lambda a: 1 / sympy.cos(a),
    sympy.csc: lambda a: 1 / sympy.sin(a),
    sympy.cot: lambda a: 1 / sympy.tan(a),
    sympy.sech: lambda a: 1 / sympy.cosh(a),
    sympy.csch: lambda a: 1 / sympy.sinh(a),
    sympy.coth: lambda a: 1 / sympy.tanh(a),
    sympy.ITE: lambda condition, then, otherwise: (condition & then) | (~condition & otherwise),
    cfunctions.expm1: expm1,
    cfunctions.log1p: log1p,
    cfunctions.Sqrt: sympy.sqrt,
    cfunctions.exp2: lambda a: 2**a,
}
"""SymPy functions that are no primitives, in primitives."""


def to_expr(spec: str | float | sympy.Expr) -> sympy.Expr:
    """Return the expression that a specification means; ``format`` can write whatever this returns.

    Args:
        spec: a bare identifier is first a catalog name, then a text; any other string is a text. In a SymPy expression
            a symbol named x is the real ``x`` whatever its assumptions, an undefined function named like a primitive
            is that primitive, and numbers are rounded to float64. A text such as ``rational(degrees=(5, 4))`` is an
            adaptive family: an atom that has no values until :func:`actsearch.make` makes it.

    Raises:
        ExprError: the name or text is unknown, or the expression holds what no formula can: other free symbols that
            are not Parameters, functions that are no primitives, infinities.

    Example:
        >>> to_expr("swish"), to_expr("2*x"), to_expr(sympy.sin(sympy.Symbol("x")))
        (silu(x), 2*x, sin(x))
    """
    if isinstance(spec, str):
        return _from_text(spec)
    if isinstance(spec, bool):  # a Symbol is a Boolean to SymPy, so that class says nothing
        raise ExprError(f"{spec!r} is a truth value, not an expression")
    try:
        expr = sympy.sympify(spec, strict=True)
    except sympy.SympifyError:
        raise ExprError(f"{type(spec).__name__} is no expression: give a catalog name, a text, or SymPy") from None
    if not isinstance(expr, sympy.Expr):
        raise ExprError(f"{spec} ({type(spec).__name__}) is not a SymPy expression")
    return _normalised(expr)


def _from_text(text: str) -> sympy.Expr:
    name = text.strip()
    if not _IDENTIFIER.fullmatch(name) or name in ("x", "pi", "e"):
        return read_family(text) or parse(text)
    if name in catalog.names(aliases=True):
        return catalog.get(name).expr
    if name in PRIMITIVES:
        return parse(f"{name}(x)")
    known = [*catalog.names(aliases=True), *PRIMITIVES]
    raise ExprError(f"unknown activation {name!r}{suggest(name.lower(), known)}")


def _normalised(expr: Any) -> Any:
    if problem := size_fault(expr):
        raise ExprError(problem)
    symbols = {symbol: x for symbol in expr.free_symbols if symbol.name == "x" and symbol != x}
    if strange := sorted(s.name for s in expr.free_symbols - {x, *symbols} if not isinstance(s, Parameter)):
        raise ExprError(
            f"{', '.join(map(repr, strange))} in {expr}: the only free symbols are x and actsearch.expr.Parameter"
        )
    numbers = {number: sympy.Float(float(number)) for number in expr.atoms(sympy.Float, sympy.NumberSymbol)
               if number not in (sympy.pi, sympy.E)}  # fmt: skip
    expr = expr.xreplace({**symbols, **{old: new for old, new in numbers.items() if old != new}})
    expr = expr.replace(_is_foreign, _in_primitives)
    parameters_of(expr)
    format(expr)
    return expr


def _is_foreign(expr: Any) -> bool:
    return type(expr) in _FOREIGN or (isinstance(expr, AppliedUndef) and expr.func.__name__ in PRIMITIVES)


def _in_primitives(expr: Any) -> Any:
    if type(expr) in _FOREIGN:
        return _FOREIGN[type(expr)](*expr.args)
    row = PRIMITIVES[expr.func.__name__]
    if row.arity not in (None, len(expr.args)):
        raise ExprError(f"{row.name} takes {row.arity} argument(s), not {len(expr.args)}")
    return row.build(*expr.args)
