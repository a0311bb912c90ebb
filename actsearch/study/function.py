"""The functions that a study fits, with their identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from actsearch.expr.fingerprint import fingerprint
from actsearch.expr.text import format


@dataclass(frozen=True)
class Function:
    """One function to fit.

    Attributes:
        spec: what ``actsearch.make`` gets and what tables show: a catalog name, a text, or an adaptive family's name.
        fingerprint: two functions of equal fingerprint are one.
    """

    spec: str
    fingerprint: str


def function_of(expr: sympy.Expr, spec: str | None = None) -> Function:
    """Return the function of an expression, shown as ``spec`` (default: its text)."""
    return Function(format(expr) if spec is None else spec, fingerprint(expr))


def resolve(spec: Any) -> Function:
    """Return the function that a catalog name, a text, a SymPy expression or an adaptive family's name means.

    Raises:
        ExprError: neither an expression nor a family.
    """
    from actsearch import plugins
    from actsearch.expr.resolve import to_expr

    if isinstance(spec, str) and spec in plugins.names("actsearch.nn.adaptive"):
        return Function(spec, f"family:{spec}")
    return function_of(to_expr(spec), spec.strip() if isinstance(spec, str) else None)
