"""What ``actsearch catalog`` prints: the list of named activations, or one with derivative, traits, moments, curve."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sympy

from actsearch.errors import ExprError, ReportError
from actsearch.expr import catalog
from actsearch.expr.functions import x
from actsearch.expr.inventions import count, same_as
from actsearch.expr.moments import gain, moments
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import format
from actsearch.expr.traits import traits
from actsearch.report import trait_words
from actsearch.report.braille import plot
from actsearch.report.grid import Grid

WIDTH = 80


def listing(where: Sequence[str] = (), width: int = WIDTH) -> str:
    """Return one line a named activation: name, formula, source.

    Args:
        where: words of :data:`actsearch.report.trait_words.WORDS` that must hold.
        width: columns of a line.

    Raises:
        ReportError: a word is unknown.
    """
    names = trait_words.matching(where) if where else catalog.names()
    rows = tuple((name, _cut(catalog.get(name).text, 34), catalog.get(name).source) for name in names)
    return Grid(("name", "formula", "source"), rows, ("", "", "")).text(width)


def counted() -> str:
    """Return how many functions the catalog has, in a sentence."""
    n_functions, n_confirmed, n_names = count()
    return (
        f"{n_functions} functions under {n_names} names ({n_names - n_functions} were invented again) and "
        f"{len(catalog.names(aliases=True)) - n_names} aliases; "
        f"two sources confirm the formulas of {n_confirmed}, {n_functions - n_confirmed} are unconfirmed"
    )


def describe(spec: str, low: float = -5.0, high: float = 5.0, *, unicode: bool = True) -> str:
    """Return lines that show one activation: formula, source, derivative, traits, moments, gain, curve.

    Raises:
        ExprError: neither a name nor a formula.
    """
    expr = to_expr(spec)
    lines = [f"f(x)  = {format(expr)}", f"f'(x) = {_slope(expr)}", *_known(spec)]
    if parameters := parameters_of(expr):
        learned = [f"{p.name} (starts at {p.start:g}, {p.constraint}, one a {p.granularity})" for p in parameters]
        lines.append(f"learns {', '.join(learned)}")
    lines += trait_words.lines(traits(expr))
    known = moments(expr)
    lines.append(
        f"for a unit-normal input: mean {known.mean:.4f}, standard deviation {known.standard_deviation:.4f}, "
        f"gain {_number(gain(expr))}"
    )
    program = lower(expr)
    curve = plot(lambda x: np.asarray(evaluate(program, x)), low, high, 68, 15, unicode=unicode)
    wrapped = (textwrap.fill(line, WIDTH, subsequent_indent="        ", break_long_words=False) for line in lines)
    return "\n".join([*wrapped, "", curve])


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
    witnesses = ", ".join(entry.witnesses) or "nobody"
    again = same_as(spec)
    return [
        f"{entry.name}: {entry.source}{aliases}",
        *([entry.note] if entry.note else []),
        f"formula confirmed by {witnesses}" if entry.is_confirmed else f"formula unconfirmed (seen in: {witnesses})",
        *([f"the same function as {', '.join(again)}"] if again else []),
    ]


def _number(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "none"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
