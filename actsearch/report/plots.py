"""All pictures of a study, written as PNG and SVG; nothing touches pyplot or a display."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from actsearch.report.figures.curves import curves
from actsearch.report.figures.finals import finals
from actsearch.report.figures.history import history
from actsearch.report.figures.learning import learning
from actsearch.report.figures.style import RC
from actsearch.report.records import baselines, records

DPI = 144


def write_plots(result: Any, folder: Path) -> list[Path]:
    """Write every picture of a study's result into ``folder`` and return the paths.

    Args:
        result: a ``StudyResult``.
        folder: exists already.
    """
    rows = records(result.study.get_trials(deepcopy=False))
    panel = records(result.panel_study.get_trials(deepcopy=False))
    members = [row.text for row in baselines(panel)]
    reference = result.finals.reference if result.finals else next(iter(members), None)
    makers: dict[str, Callable[[], Figure]] = {
        "history": lambda: history(rows, panel),
        "learning_curves": lambda: learning(rows, panel),
    }
    if result.best:
        makers["curves"] = lambda: curves(result.best, members, reference)
    if result.finals:
        makers["finals"] = lambda: finals(result.finals)
    return [path for name, make in makers.items() for path in save(make, folder / name)]


def save(make: Callable[[], Figure], stem: Path) -> list[Path]:
    """Draw a figure in the house style and write ``stem.png`` and ``stem.svg``; the same data give the same bytes."""
    paths = [stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")]
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")}
    with matplotlib.rc_context({**defaults, **RC}):
        figure = make()
        figure.savefig(paths[0], dpi=DPI, metadata={"Software": None})
        figure.savefig(paths[1], metadata={"Date": None, "Creator": None})
    return paths
