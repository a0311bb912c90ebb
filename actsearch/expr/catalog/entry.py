"""A row of the catalog, and reading the files of rows.

A row is one line of text, its fields separated by `` | ``: the name and its aliases, the formula, the source, who
confirms the formula, and where they are needed a note (or ``-``) and the accuracy, as in ``64 ulps, absolute from 2``.
``-`` stands for nobody or nothing; ``#`` begins a remark::

    gish | x*log(2 - exp(-exp(x))) | Kaytan, Aydilek, Yeroglu 2023 | survey, torch_activation
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

import sympy

from actsearch.errors import ExprError, suggest

WITNESSES: Mapping[str, str] = MappingProxyType(
    {
        "paper": "the paper that proposed it",
        "code": "code of the paper's authors",
        "survey": "Kunc, Klema 2024, arXiv:2402.09092, its equations as a public transcription has them",
        "torch": "torch.nn.functional",
        "torch_activation": "the package torch_activation 1.0.0",
        "pyzjr": "the package pyzjr",
        "keras": "keras.activations",
        "jax": "jax.nn",
        "timm": "timm.layers",
        "transformers": "transformers.activations",
        "ports": "an implementation by others",
        "reports": "a report on the paper by others",
    }
)
"""Where formulas were compared, and what each word stands for."""
NEEDED = 2
"""So many sources that agree make a formula confirmed."""
DEFAULT_ULPS = 16.0
NEVER = 3
"""The order of differentiation above those that the accuracy standard looks at."""
_ACCURACY = re.compile(r"(?:(?P<ulps>[0-9]+) ulps)?(?:, )?(?:absolute from (?P<absolute>[012]))?")
_FIELDS = 4, 6


@dataclass(frozen=True, slots=True)
class Entry:
    """One named activation.

    Attributes:
        name: what users write.
        text: the formula, in the text grammar.
        source: who published it and where.
        aliases: other names of the same row.
        witnesses: where this formula was read, of :data:`WITNESSES`.
        note: what a user of the formula should know.
        ulps: the error that compiled values and their first two derivatives keep within, in units in the last place.
        absolute: from this order of differentiation on, the error is measured in units in the last place of 1 where
            the true value is smaller: small values are differences there, and have fewer digits of their own.
    """

    name: str
    text: str
    source: str
    aliases: tuple[str, ...] = ()
    witnesses: tuple[str, ...] = ()
    note: str = ""
    ulps: float = DEFAULT_ULPS
    absolute: int = NEVER

    @property
    def expr(self) -> sympy.Expr:
        """The formula as a SymPy expression in ``x``; parsed when first asked for."""
        return _parsed(self.text)

    @property
    def is_confirmed(self) -> bool:
        """Whether two sources agree on the formula."""
        return len(self.witnesses) >= NEEDED


def names(aliases: bool = False) -> list[str]:
    """Return the names of all rows, sorted; with their aliases when asked."""
    return list(_NAMES_AND_ALIASES if aliases else _NAMES)


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
        raise ExprError(f"unknown activation {name!r}{suggest(name.lower(), _BY_NAME)}")
    return row


def read_row(line: str) -> Entry:
    """Return the row that a line holds.

    Raises:
        ExprError: it has too few or too many fields, or names a witness that is not known.

    Example:
        >>> read_row("silu, swish | silu(x) | Elfwing et al. 2017 | torch, survey").aliases
        ('swish',)
    """
    fields = [field.strip() for field in line.split(" | ")]
    least, most = _FIELDS
    if not least <= len(fields) <= most or not all(fields[:least]):
        raise ExprError(f"a row of the catalog has {least} to {most} fields separated by ' | ', unlike {line!r}")
    called, text, source, confirmed, note, accuracy = *fields, *[""] * (most - len(fields))
    name, *aliases = called.split(", ")
    witnesses = () if confirmed == "-" else tuple(confirmed.split(", "))
    for word in witnesses:
        if word not in WITNESSES:
            raise ExprError(f"{name}: {word!r} is no witness of the catalog{suggest(word, WITNESSES)}")
    promise = _ACCURACY.fullmatch(accuracy)
    if promise is None:
        raise ExprError(f"{name}: an accuracy is written '64 ulps, absolute from 2', not {accuracy!r}")
    ulps, absolute = float(promise["ulps"] or DEFAULT_ULPS), int(promise["absolute"] or NEVER)
    return Entry(name, text, source, tuple(aliases), witnesses, "" if note == "-" else note, ulps, absolute)


@cache
def _parsed(text: str) -> sympy.Expr:
    from actsearch.expr.text import parse  # a text may call catalog names, so text.py imports this module

    return parse(text)


def _rows() -> list[Entry]:
    files = sorted((resources.files(__package__) / "rows").iterdir(), key=lambda file: file.name)
    lines = [line for file in files if file.name.endswith(".txt") for line in file.read_text("utf-8").splitlines()]
    return [read_row(line) for line in lines if line and not line.startswith("#")]


_BY_NAME = {name: row for row in _rows() for name in (row.name, *row.aliases)}
_NAMES_AND_ALIASES = sorted(_BY_NAME)
_NAMES = sorted({row.name for row in _BY_NAME.values()})
