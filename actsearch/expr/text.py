"""Expressions from text: Python's expression syntax over an allow-list; no text is ever evaluated.

Start at :func:`parse`. The grammar: ``x``, ``pi``, ``e``, numbers, ``+ - * / **``, primitives and catalog names as
functions, ``beta[1.0]`` or ``beta[1.0, positive, channel]`` for a parameter, and ``a if x > 0 else b`` with ``and``,
``or`` and ``not`` in conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy

from actsearch.errors import ExprError
from actsearch.expr.bounds import deep_fault, size_fault
from actsearch.expr.parameters import parameters_of
from actsearch.expr.printing import format
from actsearch.expr.reading import Reader
from actsearch.expr.syntax import tree_of

__all__ = ["format", "parse"]

_SHOWN = 200  # characters of a text that an error repeats
_MOST_STEPS = 5  # one is usual


def parse(
    text: str,
    names: Mapping[str, sympy.Expr] | None = None,
    functions: Mapping[str, Callable[..., sympy.Expr]] | None = None,
    *,
    finite: bool = True,
) -> sympy.Expr:
    """Return the expression of a text.

    Args:
        text: a formula, such as ``"x * sigmoid(beta[1.0] * x)"``.
        names: further names, or other meanings of ``x``, ``pi`` and ``e``: what each stands for. A rule of a search
            space passes its arguments here.
        functions: further functions, called with the SymPy expressions of their arguments, in the order of the text
            and inner calls first; they take precedence over primitives. A rule of a search space passes the other
            rules here.
        finite: refuse a part that is constant and infinite or not real. A search space sets it to False, since it
            judges such candidates by their values.

    Reading the same text again with other names is cheap: its syntax tree is kept.

    Raises:
        ExprError: the text is outside the grammar or too large; the message shows the place and the nearest name.

    Example:
        >>> parse("x * sigmoid(beta[1.0] * x)")
        x*sigmoid(beta*x)
        >>> parse("a + f(a)", names={"a": parse("2*x")}, functions={"f": sympy.sin})
        2*x + sin(2*x)
    """
    if not isinstance(text, str):
        raise ExprError(f"a formula is a text, not {type(text).__name__}")
    try:
        expr = _read(text, names or {}, functions or {}, finite)
        return _settled(expr, text) if finite and not names and not functions else expr
    except RecursionError:
        raise ExprError("the formula is nested too deeply") from None


def _read(text: str, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]], finite: bool) -> Any:
    expr = Reader(text, names, functions, finite).build(tree_of(text))
    problem = size_fault(expr) or (deep_fault(expr) if finite else "")
    if problem:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        raise ExprError(f"{problem} in some part of {shown!r}")
    parameters_of(expr)
    return expr


def _settled(expr: Any, text: str) -> Any:
    """Return the expression that its own text gives back; SymPy needs a second look at some products of roots."""
    for _ in range(_MOST_STEPS):
        written = format(expr)
        again = expr if written == text else _read(written, {}, {}, True)
        if again == expr:
            return expr
        expr = again
    raise ExprError(f"SymPy finds no steady form of {written!r}")
