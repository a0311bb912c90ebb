"""From an expression back to the choices that make it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import sympy

from actsearch.errors import SpaceError
from actsearch.expr.parameters import Parameter, parameters_of

if TYPE_CHECKING:
    from actsearch.space.space import Space


class Encoder:
    """Finds the choices of expressions in one space; what was worked out once is kept."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._index: Mapping[sympy.Expr, dict[str, str]] | None = None

    def encode(self, expr: sympy.Expr) -> dict[str, str]:
        """Return the choices of ``expr``; see :meth:`actsearch.space.space.Space.encode`."""
        if self._index is None:
            pairs = zip(self.space.enumerate(), self.space.enumerate_choices(), strict=True)
            self._index = {nameless(made): choices for made, choices in reversed(list(pairs))}
        found = self._index.get(nameless(expr))
        if found is None:
            raise SpaceError(f"{expr} is not in the space {self.space.name!r}")
        return found


def nameless(expr: sympy.Expr) -> sympy.Expr:
    """Return the expression with its parameters renamed in a fixed order, so that only their other fields count."""
    found = parameters_of(expr)
    names = {p: Parameter(f"p{i}", p.start, p.constraint, p.granularity) for i, p in enumerate(found)}
    return expr.xreplace(names) if names else expr
