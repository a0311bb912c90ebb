"""The look of all figures: colours that colour-blind readers tell apart, labels at the lines instead of legends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design", 2008
BEST, REFERENCE, CONTROL, WORSE = "#D55E00", "#0072B2", "#CC79A7", "#009E73"
GREY, INK, FAINT = "#8C8C8C", "#262626", "#E4E4E4"
SERIES = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

RC = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    # Text stays text, so that the SVG can be searched; names in it come from the salt, so that it is reproducible.
    "svg.fonttype": "none",
    "svg.hashsalt": "actsearch",
    "text.parse_math": False,
}


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]], gap: float = 0.05) -> None:
    """Write each ``(y, label, colour)`` at the right edge, moved apart where two would touch.

    Args:
        axes: drawn axes with final limits.
        ends: where each line ends (data coordinates), its label, its colour.
        gap: the least distance between labels, as a share of the axes' height.
    """
    low, high = axes.get_ylim()
    order = sorted(range(len(ends)), key=lambda index: ends[index][0])
    wanted = [min(max((ends[index][0] - low) / (high - low), 0.0), 1.0) for index in order]
    for index, place in zip(order, apart(wanted, gap), strict=True):
        y, label, colour = ends[index]
        anchor = min(max((y - low) / (high - low), 0.0), 1.0)
        axes.annotate(
            label,
            xy=(1.0, anchor),
            xytext=(1.03, place),
            xycoords="axes fraction",
            color=colour,
            va="center",
            fontsize=8,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "lw": 0.5,
                "shrinkA": 0,
                "shrinkB": 0,
                "relpos": (0.0, 0.5),
            },
            annotation_clip=False,
        )


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Return ascending places moved as little as possible so that neighbours keep ``gap`` and all stay in [0, 1].

    Example:
        >>> [round(place, 2) for place in apart([0.5, 0.5, 0.9], 0.1)]
        [0.45, 0.55, 0.9]
    """
    groups: list[list[float]] = []  # each: sum of (place - offset), size
    for place in places:
        groups.append([place, 1.0])
        while len(groups) > 1 and _start(groups[-1], gap) < _end(groups[-2], gap) + gap:
            last = groups.pop()
            groups[-1] = [groups[-1][0] + last[0], groups[-1][1] + last[1]]
    moved = [_start(group, gap) + gap * index for group in groups for index in range(int(group[1]))]
    low = min(1.0 - gap * (len(moved) - 1), 0.0)
    for index in range(len(moved)):
        moved[index] = max(moved[index], low + gap * index)
    for index in range(len(moved) - 1, -1, -1):
        moved[index] = min(moved[index], 1.0 - gap * (len(moved) - 1 - index))
    return moved


def _start(group: list[float], gap: float) -> float:
    return group[0] / group[1] - gap * (group[1] - 1) / 2


def _end(group: list[float], gap: float) -> float:
    return group[0] / group[1] + gap * (group[1] - 1) / 2


def shorten(text: str, length: int = 34) -> str:
    """Return text cut in the middle when it is longer than ``length``.

    Example:
        >>> shorten("abcdefghij", 7)
        'abc…hij'
    """
    if len(text) <= length:
        return text
    half = (length - 1) // 2
    return f"{text[: length - 1 - half]}…{text[-half:]}"


def limits(curves: Sequence[np.ndarray], low: float, high: float) -> tuple[float, float]:
    """Return y limits around all finite values, within ``[low, high]``, with a small margin."""
    finite = np.concatenate([curve[np.isfinite(curve)] for curve in curves]) if curves else np.zeros(0)
    if not finite.size:
        return low, high
    bottom, top = max(float(finite.min()), low), min(float(finite.max()), high)
    margin = 0.06 * max(top - bottom, 1e-3)
    return bottom - margin, top + margin


def empty(message: str) -> Figure:
    """Return a figure that says why there is nothing to draw."""
    figure = Figure(figsize=(7.2, 2.0))
    figure.text(0.5, 0.5, message, ha="center", va="center", color=GREY)
    return figure
