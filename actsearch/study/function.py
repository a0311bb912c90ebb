"""The functions that a study fits, with their identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy

from actsearch.errors import ActivationError
from actsearch.expr.family import Family
from actsearch.expr.fingerprint import fingerprint
from actsearch.expr.resolve import to_expr
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


def function_of(expr: sympy.Expr, normalise: bool, spec: str | None = None) -> Function:
    """Return the function that is fitted for an expression, shown as ``spec`` (default: its text).

    Where activations are normalised, what is fitted is the normalised function: ``x`` and ``2*x + 1`` are then one. An
    adaptive family is identified by its name and settings, those left out that have their default.

    Raises:
        ActivationError: there is no such family, or it has no such setting or value.
    """
    if isinstance(expr, Family):
        return _family(expr, spec)
    return Function(format(expr) if spec is None else spec, fingerprint(_fitted(expr) if normalise else expr))


def resolve(spec: Any, normalise: bool) -> Function:
    """Return the function that a catalog name, a text, a SymPy expression or an adaptive family's name means.

    Raises:
        ExprError: neither an expression nor a family.
    """
    from actsearch.expr import catalog
    from actsearch.nn.make import families

    if isinstance(spec, str) and spec.strip() in families() and spec.strip() not in catalog.names(aliases=True):
        return _family(Family(spec.strip()), spec.strip())
    return function_of(to_expr(spec), normalise, spec.strip() if isinstance(spec, str) else None)


def _family(family: Family, spec: str | None) -> Function:
    from actsearch.nn.adaptive._make import canonical

    text = canonical(family).text
    return Function(text if spec is None else spec, f"family:{text}")


def _fitted(expr: sympy.Expr) -> sympy.Expr:
    from actsearch.nn.normalise import normalised

    try:
        return normalised(expr)
    except ActivationError:
        return expr  # it cannot be normalised, and so not be fitted: the screen says why
