"""One line of text that ``actsearch.parse`` reads back as the same expression."""

from __future__ import annotations

from pathlib import Path

import sympy

from actsearch.expr.text import format, parse
from actsearch.report.exporters._evaluate import Function, by_program

SUFFIX = ".txt"


def export(expr: sympy.Expr, path: Path) -> Path:
    """Write the expression's text as one line."""
    path.write_text(f"{format(expr)}\n", encoding="utf-8")
    return path


def load(path: Path) -> Function:
    """Return the function that the file's text means."""
    return by_program(parse(path.read_text(encoding="utf-8").strip()))
