"""What a user may hand in for an activation: a catalog name, a text, or a SymPy expression."""

from __future__ import annotations

import re

import sympy

from actsearch.errors import ExprError, suggest
from actsearch.expr import catalog
from actsearch.expr.functions import x
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.primitives import PRIMITIVES
from actsearch.expr.text import parse

_IDENTIFIER = re.compile(r"\s*[A-Za-z_][A-Za-z0-9_]*\s*")


def to_expr(spec: str | float | sympy.Expr) -> sympy.Expr:
    """Return the expression that a specification means.

    Args:
        spec: a bare identifier is first a catalog name, then a text; any other string is a text. In a SymPy expression
            a symbol named x is the real ``x`` whatever its assumptions.

    Raises:
        ExprError: the name or text is unknown, or the expression has other free symbols that are not Parameters.

    Example:
        >>> to_expr("swish"), to_expr("2*x"), to_expr(sympy.sin(sympy.Symbol("x")))
        (silu(x), 2*x, sin(x))
    """
    if isinstance(spec, str):
        return _from_text(spec)
    if isinstance(spec, (bool, sympy.logic.boolalg.Boolean)):
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
    if _IDENTIFIER.fullmatch(text) and name in catalog.names(aliases=True):
        return catalog.get(name).expr
    if _IDENTIFIER.fullmatch(text) and name in PRIMITIVES and PRIMITIVES[name].arity == 1:
        return parse(f"{name}(x)")
    if _IDENTIFIER.fullmatch(text) and name not in ("x", "pi", "e"):
        known = [*catalog.names(aliases=True), *PRIMITIVES]
        raise ExprError(f"unknown activation {name!r}{suggest(name, known)}")
    return parse(text)


def _normalised(expr: sympy.Expr) -> sympy.Expr:
    others = {symbol: x for symbol in expr.free_symbols if symbol.name == "x" and symbol != x}
    if others:
        expr = expr.xreplace(others)
    if strange := sorted(s.name for s in expr.free_symbols if s != x and not isinstance(s, Parameter)):
        raise ExprError(
            f"{', '.join(map(repr, strange))} in {expr}: the only free symbols are x and actsearch.expr.Parameter"
        )
    parameters_of(expr)
    return expr
