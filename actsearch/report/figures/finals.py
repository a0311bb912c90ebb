"""The finals: each function's paired difference to the reference, with its interval, best first."""

from __future__ import annotations

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
    for place, row in enumerate(rows):
        colour = _colour(row, comparison)
        _interval(left, place, row.mean, row.low, row.high, colour)
        left.plot(row.per_replicate, [place] * len(row.per_replicate), "|", color=colour, alpha=0.45, markersize=6)
        if row.spec != comparison.reference and row.difference is not None:
            _interval(right, place, row.difference, row.difference_low, row.difference_high, colour)
    _names(left, rows, comparison)
    _verdicts(right, rows, comparison)
    words = metric_words(comparison.metric)
    left.set_xlabel(words)
    left.set_title(f"Mean of {comparison.n_replicates} replicates (ticks: each one)")
    right.axvline(0.0, color=REFERENCE, linewidth=1.2)
    right.set_xlabel(f"difference in {words}, paired by replicate")
    right.set_title(f"Difference to {comparison.reference}, the best of the panel")
    return figure


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
