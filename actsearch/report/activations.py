"""What ``actsearch catalog`` prints: the list of named activations, or one with its derivative, moments and curve."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import sympy

from actsearch.errors import ExprError, ReportError
from actsearch.expr import catalog
from actsearch.expr.functions import x
from actsearch.expr.moments import gain, moments
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import format
from actsearch.report.braille import plot
from actsearch.report.grid import Grid


def listing(width: int = 80) -> str:
    """Return one line a named activation: name, formula, source."""
    rows = tuple((name, _cut(catalog.get(name).text, 34), catalog.get(name).source) for name in catalog.names())
    return Grid(("name", "formula", "source"), rows, ("", "", "")).text(width)


def describe(spec: str, low: float = -5.0, high: float = 5.0, *, unicode: bool = True) -> str:
    """Return lines that show one activation: formula, source, derivative, moments, gain, curve.

    Raises:
        ExprError: neither a name nor a formula.
    """
    expr = to_expr(spec)
    lines = [f"f(x)  = {format(expr)}", f"f'(x) = {_slope(expr)}", *_known(spec)]
    if parameters := parameters_of(expr):
        learned = [f"{p.name} (starts at {p.start:g}, {p.constraint}, one a {p.granularity})" for p in parameters]
        lines.append(f"learns {', '.join(learned)}")
    known = moments(expr)
    lines.append(
        f"for a unit-normal input: mean {known.mean:.4f}, standard deviation {known.standard_deviation:.4f}, "
        f"gain {_number(gain(expr))}"
    )
    program = lower(expr)
    curve = plot(lambda x: np.asarray(evaluate(program, x)), low, high, 68, 15, unicode=unicode)
    return "\n".join([*lines, "", curve])


def picture(spec: str, path: Path) -> Path:
    """Draw an activation with its derivatives into a .png or .svg file and return the path.

    Raises:
        ReportError: another kind of file, or it cannot be written.
    """
    from actsearch.report.figures.curves import curves
    from actsearch.report.plots import save

    if path.suffix not in (".png", ".svg"):
        raise ReportError(f"a picture is a .png or .svg file, not {path.name!r}")
    label = spec if spec.isidentifier() else "f"
    panel = [name for name in ("relu", "gelu", "tanh") if to_expr(name) != to_expr(spec)]
    try:
        save(lambda: curves(spec, panel, label=label), path.with_suffix(""), (path.suffix,))
    except OSError as error:
        raise ReportError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    return path


def _slope(expr: sympy.Expr) -> str:
    """Return the derivative's text, with steps for what jumps; the value at the jump itself is not told."""
    slope = expr.diff(x).replace(sympy.Heaviside, lambda at, *_: _step(at)).replace(sympy.DiracDelta, lambda *_: 0)
    try:
        return _cut(format(slope), 71)
    except ExprError:
        return "(no short form)"


def _step(at: sympy.Expr) -> sympy.Expr:
    return sympy.Piecewise((1, at > 0), (0, True))


def _known(spec: str) -> list[str]:
    if spec not in catalog.names(aliases=True):
        return []
    entry = catalog.get(spec)
    aliases = f"; also called {', '.join(entry.aliases)}" if entry.aliases else ""
    return [f"{entry.name}: {entry.source}{aliases}", *([entry.note] if entry.note else [])]


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "none"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
