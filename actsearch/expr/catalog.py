"""Named activations, one row each: a name, a text, a source. To add one, add a row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy

from actsearch.errors import ExprError, suggest


@dataclass(frozen=True, slots=True)
class Entry:
    """One named activation.

    Attributes:
        name: what users write.
        text: the formula, in the text grammar.
        source: who published it and where.
        aliases: other names of the same row.
        note: what a user of the formula should know.
    """

    name: str
    text: str
    source: str
    aliases: tuple[str, ...] = ()
    note: str = ""

    @property
    def expr(self) -> sympy.Expr:
        """The formula as a SymPy expression in ``x``; parsed when first asked for."""
        return _parsed(self.text)


_ROWS = (
    Entry("identity", "x", "elementary", ("linear",)),
    Entry("sigmoid", "sigmoid(x)", "elementary", ("logistic",)),
    Entry("silu", "silu(x)", "Ramachandran, Zoph, Le 2017, arXiv:1710.05941", ("swish",)),
    Entry("relu", "relu(x)", "Nair, Hinton 2010"),
    Entry("gelu", "gelu(x)", "Hendrycks, Gimpel 2016, arXiv:1606.08415"),
)


def names(aliases: bool = False) -> list[str]:
    """Return the names of all rows, sorted; with their aliases when asked."""
    return sorted(_BY_NAME) if aliases else sorted(row.name for row in _ROWS)


def get(name: str) -> Entry:
    """Return the row of a name or alias.

    Raises:
        ExprError: there is none; the message has the nearest name.

    Example:
        >>> get("swish").name
        'silu'
    """
    row = _BY_NAME.get(name)
    if row is None:
        raise ExprError(f"unknown activation {name!r}{suggest(name, _BY_NAME)}")
    return row


@cache
def _parsed(text: str) -> sympy.Expr:
    from actsearch.expr.text import parse  # a text may call catalog names, so text.py imports this module

    return parse(text)


_BY_NAME = {name: row for row in _ROWS for name in (row.name, *row.aliases)}
