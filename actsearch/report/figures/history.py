"""How the search went: every candidate's score in the order tried, the best so far, and how far luck alone reaches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actsearch.report.figures.style import BEST, CONTROL, GREY, REFERENCE, empty, label_ends
from actsearch.report.records import Record, baselines
from actsearch.study.luck import luck


def history(rows: Sequence[Record], panel: Sequence[Record] = ()) -> Figure:
    """Return the scores of finished candidates over the number trained, with the best so far as a step line.

    Args:
        rows: the search's records.
        panel: the panel's records; its best member is a line. Its null control (copies of relu under other seeds)
            gives a band: where the best of as many copies of relu would be, in 95 % of searches.
    """
    trained = [row for row in rows if row.outcome in ("finished", "pruned", "diverged")]
    done = [(place, row.score) for place, row in enumerate(trained, 1) if row.outcome == "finished"]
    points = [(place, score) for place, score in done if score is not None]
    if not points:
        return empty("no candidate finished")
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    axes = figure.add_subplot()
    places, scores = np.array(points, dtype=float).T
    best = np.maximum.accumulate(scores)
    ends = [(float(best[-1]), f"best so far {best[-1]:+.2f}", BEST)]
    copies = [row.score for row in panel if row.role == "null_control" and row.score is not None]
    luckiest: list[float] = []
    if len(copies) >= 2:
        ends.append(_luck_band(axes, copies, len(trained)))
        luckiest = [luck(copies, len(trained)).high]
    panel_best = next(iter(baselines(panel)), None)
    if panel_best is not None and panel_best.score is not None:
        axes.axhline(panel_best.score, color=REFERENCE, linewidth=1.4, linestyle=(0, (5, 2)))
        ends.append((panel_best.score, f"best of the panel:\n{panel_best.text} {panel_best.score:+.2f}", REFERENCE))
    axes.plot(places, scores, "o", color=GREY, markersize=3.5, alpha=0.8, markeredgewidth=0)
    axes.step([*places, len(trained)], [*best, best[-1]], where="post", color=BEST, linewidth=2)
    axes.set_xlim(0, len(trained) + 1)
    _cut_low(axes, scores, [end[0] for end in ends] + luckiest)
    axes.set_xlabel("distinct functions trained")
    axes.set_ylabel("score (panel standard deviations)")
    axes.set_title("Each dot is one function; pruned ones are left out")
    label_ends(axes, ends, gap=0.11)
    return figure


def _luck_band(axes: Axes, copies: list[float], n_trained: int) -> tuple[float, str, str]:
    tried = np.unique(np.geomspace(1, n_trained, 60).astype(int))
    chances = [luck(copies, int(n)) for n in tried]
    low, best, high = ([getattr(chance, side) for chance in chances] for side in ("low", "best", "high"))
    axes.fill_between(tried, low, high, color=CONTROL, alpha=0.22, linewidth=0)
    axes.plot(tried, best, color=CONTROL, linewidth=1.2)
    return best[-1], f"luck alone: best of\n{n_trained} copies of relu {best[-1]:+.2f}", CONTROL


def _cut_low(axes: Axes, scores: np.ndarray, marks: list[float]) -> None:
    """Keep hopeless scores from squeezing the rest: the axis begins at the lower tenth, and says so."""
    floor = float(np.quantile(scores, 0.1))
    top = max(float(scores.max()), *marks)
    bottom = min(floor, *marks)
    margin = 0.06 * max(top - bottom, 0.1)
    axes.set_ylim(bottom - margin, top + margin)
    below = int((scores < bottom - margin).sum())
    if below:
        axes.annotate(f"{below} lower", (0.01, 0.01), xycoords="axes fraction", color=GREY, fontsize=8)
