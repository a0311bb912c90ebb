"""All pictures of a study, written as PNG and SVG; nothing touches pyplot or a display."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from actsearch.study.result import StudyResult

DPI = 144


def write_plots(result: StudyResult, folder: Path) -> list[Path]:
    """Write every picture of a study's result into ``folder`` and return the paths.

    Args:
        result: the study's.
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
    if result.leaderboard(1):
        makers["curves"] = lambda: curves(result.best, members, reference)
    if (comparison := result.finals) is not None:
        makers["finals"] = lambda: finals(comparison)
    return [path for name, make in makers.items() for path in save(make, folder / name)]


def save(make: Callable[[], Figure], stem: Path, suffixes: Sequence[str] = (".png", ".svg")) -> list[Path]:
    """Draw a figure in the house style and write one file a suffix; the same data give the same bytes."""
    paths = [stem.with_name(f"{stem.name}{suffix}") for suffix in suffixes]
    defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")}
    with matplotlib.rc_context({**defaults, **RC}):  # type: ignore[dict-item]
        figure = make()
        for path in paths:
            figure.savefig(path, dpi=DPI, metadata=_NO_DATE[path.suffix])
    return paths


_NO_DATE: dict[str, dict[str, Any]] = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}
