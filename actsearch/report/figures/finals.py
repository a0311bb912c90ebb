"""The finals: each function's paired difference to the reference, with its interval, best first."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actsearch.report.figures.style import BEST, GREY, INK, REFERENCE, shorten
from actsearch.report.verdict import metric_words
from actsearch.study.comparison import Comparison, ComparisonRow


def finals(comparison: Comparison) -> Figure:
    """Return two axes: the mean of every function, and its difference to the reference, each with its interval.

    Finalists are orange, the reference is blue, the rest of the panel grey.
    """
    sign = -1 if comparison.direction == "minimize" else 1
    rows = sorted(comparison.rows, key=lambda row: sign * row.mean)
    figure = Figure(figsize=(10.5, 1.6 + 0.32 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.25))
    means: list[Line] = [
        (place, row.mean, row.low, row.high, _colour(row, comparison)) for place, row in enumerate(rows)
    ]
    gaps: list[Line] = [
        (place, row.difference, row.difference_low, row.difference_high, _colour(row, comparison))
        for place, row in enumerate(rows)
        if row.spec != comparison.reference and row.difference is not None
    ]
    for place, row in enumerate(rows):
        ticks = [place] * len(row.per_replicate)
        left.plot(row.per_replicate, ticks, "|", color=_colour(row, comparison), alpha=0.45, markersize=6)
    _intervals(left, means)
    _intervals(right, gaps)
    _names(left, rows, comparison)
    _verdicts(right, rows, comparison)
    words = metric_words(comparison.metric)
    left.set_xlabel(words)
    left.set_title(f"Mean of {comparison.n_replicates} replicates (ticks: each one)")
    right.axvline(0.0, color=REFERENCE, linewidth=1.2)
    right.set_xlabel(f"difference in {words}, paired by replicate")
    right.set_title(f"Difference to {comparison.reference}, the reference")
    return figure


Line = tuple[int, float, float | None, float | None, str]
"""Place on the y axis, value, ends of its interval, colour."""


def _intervals(axes: Axes, lines: list[Line]) -> None:
    """Draw values with their intervals; one far off is told at the edge, so that it does not squeeze the others."""
    values = np.array([value for _, value, *_ in lines])
    quarter, three = np.quantile(values, [0.25, 0.75])
    fence = 3.0 * max(three - quarter, 1e-6)  # Tukey's "far out" on either side
    inside = [line for line in lines if quarter - fence <= line[1] <= three + fence]
    ends = [end for _, *ends, _ in inside for end in ends if end is not None]
    margin = 0.05 * (max(ends) - min(ends) or 1.0)
    axes.set_xlim(min(ends) - margin, max(ends) + margin)
    for line in inside:
        _interval(axes, *line)
    for place, value, *_, colour in [line for line in lines if line not in inside]:
        is_low = value < quarter
        axes.annotate(
            f"◀ {value:.3g}" if is_low else f"{value:.3g} ▶",
            (0.01 if is_low else 0.99, place),
            xycoords=("axes fraction", "data"),
            ha="left" if is_low else "right",
            va="center",
            color=colour,
            fontsize=8,
        )


def _interval(axes: Axes, place: int, value: float, low: float | None, high: float | None, colour: str) -> None:
    if low is not None and high is not None:
        axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
    axes.plot([value], [place], "o", color=colour, markersize=5.5, markeredgecolor="white", markeredgewidth=0.8)


def _colour(row: ComparisonRow, comparison: Comparison) -> str:
    if row.spec == comparison.reference:
        return REFERENCE
    return BEST if row.role == "finalist" else GREY


def _names(axes: Axes, rows: list[ComparisonRow], comparison: Comparison) -> None:
    axes.set_yticks(range(len(rows)), [shorten(row.spec) for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        colour = _colour(row, comparison)
        label.set_color(INK if colour == GREY else colour)
        label.set_fontweight("bold" if colour != GREY else "normal")
    axes.set_ylim(-0.7, len(rows) - 0.3)


def _verdicts(axes: Axes, rows: list[ComparisonRow], comparison: Comparison) -> None:
    """Write each verdict at the right edge; a baseline gets none, nothing was asked about it."""
    for place, row in enumerate(rows):
        said = "reference" if row.spec == comparison.reference else row.verdict if row.role == "finalist" else ""
        axes.annotate(
            said,
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            color=_colour(row, comparison),
            fontsize=8,
            annotation_clip=False,
        )
