"""The functions that a study fits, with their identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy

from actsearch.errors import ActivationError
from actsearch.expr.family import Family
from actsearch.expr.fingerprint import fingerprint
from actsearch.expr.parameters import parameters_of
from actsearch.expr.resolve import to_expr
from actsearch.expr.symmetry import symmetry_class
from actsearch.expr.text import format


@dataclass(frozen=True)
class Function:
    """One function to fit.

    Attributes:
        spec: what ``actsearch.make`` gets and what tables show: a catalog name, a text, or an adaptive family's name.
        fingerprint: two functions of equal fingerprint are one.
        symmetry: where the study's nets cannot tell mirror images apart, what f(x), f(-x) and -f(x) have in common;
            else empty. See :mod:`actsearch.expr.symmetry`.
    """

    spec: str
    fingerprint: str
    symmetry: str = ""

    @property
    def key(self) -> str:
        """Functions of equal key are trained once in a study."""
        return self.symmetry or self.fingerprint


def function_of(expr: sympy.Expr, normalise: bool, spec: str | None = None, *, symmetric: bool = False) -> Function:
    """Return the function that is fitted for an expression, shown as ``spec`` (default: its text).

    Where activations are normalised, what is fitted is the normalised function: ``x`` and ``2*x + 1`` are then one. An
    adaptive family is identified by its name and settings, those left out that have their default.

    Args:
        expr: an expression or an adaptive family.
        normalise: whether activations are normalised.
        spec: how the function is shown.
        symmetric: whether the nets cannot tell mirror images apart, so that one of them stands for all. A family has
            none: its parameters need not mirror.

    Raises:
        ActivationError: there is no such family, or it has no such setting or value.

    Example:
        >>> from actsearch.expr.text import parse
        >>> silu, mirrored = (function_of(parse(t), True, symmetric=True) for t in ("silu(x)", "x - silu(x)"))
        >>> silu.key == mirrored.key, silu.fingerprint == mirrored.fingerprint
        (True, False)
    """
    if isinstance(expr, Family):
        return _family(expr, spec)
    fitted = _fitted(expr) if normalise else expr
    text = format(expr) if spec is None else spec
    if not symmetric:
        return Function(text, fingerprint(fitted))
    # with parameters a class holds mirror images alone, so normalising has to come first; else it is the dearer way
    found = symmetry_class(fitted if parameters_of(expr) else expr, affine=normalise)
    return Function(text, fingerprint(fitted), f"class-{found}")  # no class is mistaken for a fingerprint


def resolve(spec: Any, normalise: bool, *, symmetric: bool = False) -> Function:
    """Return the function that a catalog name, a text, a SymPy expression or an adaptive family's name means.

    Raises:
        ExprError: neither an expression nor a family.
    """
    from actsearch.expr import catalog
    from actsearch.nn.make import families

    if isinstance(spec, str) and spec.strip() in families() and spec.strip() not in catalog.names(aliases=True):
        return _family(Family(spec.strip()), spec.strip())
    return function_of(to_expr(spec), normalise, spec.strip() if isinstance(spec, str) else None, symmetric=symmetric)


def stored_function(attributes: Mapping[str, Any]) -> Function:
    """Return the function of a stored trial."""
    return Function(attributes["expr"], attributes["fingerprint"], attributes.get("symmetry", ""))


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
