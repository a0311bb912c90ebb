"""What ``actsearch bench`` prints: who ran the formula and why, a row a size, and what the numbers mean."""

from __future__ import annotations

import sys
import textwrap
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table

from actsearch.report.bench import Bench
from actsearch.report.display import is_live

WIDTH = 80
_GIGA = 1e9


def print_bench(found: Bench, stream: TextIO | None = None) -> None:
    """Print a benchmark within 80 columns: with a drawn table on a terminal, in plain text anywhere else.

    Args:
        found: what :func:`actsearch.report.bench.bench` returned.
        stream: default: standard output.
    """
    stream = stream or sys.stdout
    live = is_live(stream)
    table = Table(box=box.ROUNDED if live else None, padding=(0, 1) if live else (0, 2, 0, 0))
    for name in ("elements", "time", "/ torch", "/ eager", "/ compile", "forward", "backward", "copy"):
        table.add_column(name, justify="right")
    for row in cells(found):
        table.add_row(*row)
    console = Console(file=stream, width=WIDTH, no_color=not live)
    with console.capture() as drawn:
        console.print(table)
    lines = [*head(found), "", *(line.rstrip() for line in drawn.get().splitlines()), "", *foot(found)]
    print("\n".join(lines), file=stream)


def cells(found: Bench) -> list[tuple[str, ...]]:
    """Return the table's cells: elements, time, three ratios, three rates in GB/s; "-" where there is none."""
    return [
        (
            f"{row.elements:,}",
            duration(row.seconds),
            *("-" if ratio is None else f"{ratio:.2f}" for ratio in (row.to_native, row.to_eager, row.to_compiled)),
            *(f"{rate / _GIGA:.1f}" for rate in (row.forward_rate, row.backward_rate, row.copy_rate)),
        )
        for row in found.rows
    ]


def head(found: Bench) -> list[str]:
    """Return what stands above the table."""
    threads = f", {found.threads} thread{'s' * (found.threads > 1)}" if found.device == "cpu" else ""
    built = f"{duration(found.build_seconds)} from a new expression to its first forward and backward"
    if found.compile_seconds is not None:
        built += f"; torch.compile: {duration(found.compile_seconds)}"
    beside = "the input" if not found.saved_beside else f"the input and {found.saved_beside} tensors of its size"
    saved = f"{beside}, {_size(found.saved_bytes)}"
    if found.eager_saved_bytes is not None:
        saved += f"; as torch operations: {_size(found.eager_saved_bytes)}"
    return [
        *_entry("formula", found.formula),
        *_entry("on", f"{found.device}{threads}, {found.dtype}"),
        *_entry("run by", found.backend + (f": {found.reason}" if found.reason else "")),
        *_entry("torch's own", found.native or "none"),
        *_entry("built in", built),
        *_entry("saved", saved),
    ]


def foot(found: Bench) -> list[str]:
    """Return what stands below the table: what its columns are."""
    others = ["the same formula as torch operations under autograd (eager)"]
    if found.native:
        others.insert(0, f"torch's own {found.native}")
    if found.compile_seconds is not None:
        others.append("torch.compile")
    ratios = f"time: a forward and a backward; below 1, that is faster than {', or '.join(others)}."
    rates = "forward, backward, copy: GB/s that they move, y.copy_(x) beside them. Smallest times, taken in turns."
    return [*textwrap.wrap(ratios, WIDTH), *textwrap.wrap(rates, WIDTH)]


def duration(seconds: float) -> str:
    """Return a time in three digits.

    Example:
        >>> duration(3.45e-5), duration(0.00256), duration(0.131), duration(12.34)
        ('34.5 us', '2.56 ms', '131 ms', '12.3 s')
    """
    for unit, size in (("us", 1e-6), ("ms", 1e-3)):
        if seconds < 999.5 * size:
            return f"{seconds / size:#.3g}".rstrip(".") + f" {unit}"
    return f"{seconds:#.3g}".rstrip(".") + " s"


def _size(n_bytes: int) -> str:
    """Return a number of bytes in three digits."""
    for unit, size in (("B", 1.0), ("kB", 1e3), ("MB", 1e6)):
        if n_bytes < 999.5 * size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes / 1e9:.3g} GB"


def _entry(name: str, text: str) -> list[str]:
    """Return lines of a name and its text, wrapped at words."""
    return textwrap.wrap(text, WIDTH, initial_indent=f"{name:<12} ", subsequent_indent=" " * 13, break_on_hyphens=False)
