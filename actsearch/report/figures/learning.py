"""Learning curves: the validation metric over training steps, one axes a cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actsearch.report.figures.style import BEST, GREY, REFERENCE, empty, label_ends, shorten
from actsearch.report.records import Curve, Record, baselines, ranked


def learning(rows: Sequence[Record], panel: Sequence[Record] = (), metric: str = "validation metric") -> Figure:
    """Return the best candidate's curve against the panel's, each panel member as the mean of its replicates."""
    best = next((row for row in ranked(rows) if row.curves), None)
    members = {row.text: [other for other in panel if other.text == row.text] for row in baselines(panel)}
    cells = list(best.curves) if best else [cell for group in members.values() for cell in group[0].curves][:1]
    if not cells:
        return empty("no learning curve was recorded")
    figure = Figure(figsize=(5.2 * len(cells) + 0.6, 4.0), layout="constrained")
    axes_row = figure.subplots(1, len(cells), squeeze=False)[0]
    for axes, cell in zip(axes_row, cells, strict=True):
        _one(axes, cell, best, members)
        axes.set_title(cell)
        axes.set_xlabel("training step")
        axes.set_ylabel(metric)
    return figure


def _one(axes: Axes, cell: str, best: Record | None, members: dict[str, list[Record]]) -> None:
    ends: list[tuple[float, str, str]] = []
    last: list[int] = []
    for rank, (name, group) in enumerate(members.items()):
        curve = mean_curve([row.curves[cell] for row in group if cell in row.curves])
        if curve is None:
            continue
        colour, width = (REFERENCE, 1.8) if rank == 0 else (GREY, 0.8)
        axes.plot(
            curve.steps, curve.metric, color=colour, linewidth=width, marker="o", markersize=2 * width, clip_on=False
        )
        last.append(curve.steps[-1])
        ends.append((curve.metric[-1], shorten(name, 14), colour))
    if best is not None and cell in best.curves:
        curve = best.curves[cell]
        axes.plot(
            curve.steps, curve.metric, color=BEST, linewidth=2.4, marker="o", markersize=4.5, zorder=4, clip_on=False
        )
        last.append(curve.steps[-1])
        ends.append((curve.metric[-1], "best found", BEST))
    axes.set_xlim(0, max(last, default=1))
    label_ends(axes, [end for end in ends if np.isfinite(end[0])])


def mean_curve(curves: Sequence[Curve]) -> Curve | None:
    """Return the mean of curves over the steps that all have, or None when there is no such step."""
    length = min((len(curve.metric) for curve in curves), default=0)
    if not length:
        return None
    mean = np.mean([curve.metric[:length] for curve in curves], axis=0)
    return Curve(curves[0].steps[:length], tuple(float(value) for value in mean))
