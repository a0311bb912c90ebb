"""The pictures of ``report_table.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from _table_facts import Estimate, Pairs, Side, in_both
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actsearch.report.figures.style import GREY, INK, RC, SERIES

Effects = Mapping[str, Mapping[str, tuple[int, Estimate]]]


def distributions(sides: Mapping[bool, Sequence[Side]], path: Path) -> None:
    """Draw histograms of accuracy, a panel a net, the first seed of each function."""
    with rc_context(RC):
        figure, panels = _figure(len(sides[True]))
        for k, axes in enumerate(panels):
            for normalise, colour in ((True, SERIES[1]), (False, SERIES[0])):
                if k >= len(sides[normalise]):
                    continue
                one = sides[normalise][k]
                axes.hist(one.end[:, 0], bins=np.arange(0, 80, 2), weights=np.full(len(one.rows), 100 / len(one.rows)),
                          histtype="step", color=colour, linewidth=1.3,
                          label="normalised" if normalise else "un-normalised")  # fmt: skip
            axes.set_title(sides[True][k].net)
            axes.set_xlabel("validation accuracy (%)")
        panels[0].set_ylabel("functions (%)")
        panels[0].legend(frameon=False)
        figure.savefig(path, dpi=150)


def agreement(sides: Sequence[Side], path: Path) -> None:
    """Draw two seeds against each other for each net, and the nets against each other."""
    with rc_context(RC):
        figure, panels = _figure(len(sides) + (len(sides) > 1), square=True)
        for axes, one in zip(panels, sides, strict=False):
            _scatter(axes, one.end[:, 0], one.end[:, min(1, len(one.seeds) - 1)])
            axes.set_title(f"{one.net}: two seeds")
            axes.set_xlabel("accuracy, seed 0 (%)")
            axes.set_ylabel("accuracy, seed 1 (%)")
        if len(sides) > 1:
            first, second = in_both(*sides[:2])
            _scatter(panels[-1], sides[0].mean[first], sides[1].mean[second])
            panels[-1].set_title("the two nets, means over seeds")
            panels[-1].set_xlabel(f"accuracy, {sides[0].net} (%)")
            panels[-1].set_ylabel(f"accuracy, {sides[1].net} (%)")
        figure.savefig(path, dpi=150)


def normalising(pairs: Mapping[str, Pairs], path: Path) -> None:
    """Draw each function un-normalised against normalised, a panel a net."""
    with rc_context(RC):
        figure, panels = _figure(len(pairs), square=True)
        for axes, (net, found) in zip(panels, pairs.items(), strict=True):
            _scatter(axes, found.plain, found.normalised)
            low, high = axes.get_xlim()
            axes.plot([low, high], [low, high], color=GREY, linewidth=0.8)
            axes.set_title(net)
            axes.set_xlabel("accuracy un-normalised (%)")
            axes.set_ylabel("accuracy normalised (%)")
        figure.savefig(path, dpi=150)


def primitives(effects: Mapping[str, Effects], path: Path) -> None:
    """Draw the effect of each primitive with its interval, a colour a net, sorted by the mean over nets."""
    nets = list(effects)
    order = {
        rule: sorted(found, key=lambda text: np.mean([effects[net][rule][text][1].value for net in nets]))
        for rule, found in effects[nets[0]].items()
    }
    with rc_context(RC):
        figure = Figure(figsize=(8.6, 5.6), layout="constrained")
        panels = figure.subplots(1, len(order), squeeze=False)[0]
        for axes, (rule, texts) in zip(panels, order.items(), strict=True):
            axes.axvline(0, color=GREY, linewidth=0.8)
            _dots(axes, texts, [[effects[net][rule][text][1] for text in texts] for net in nets], nets)
            axes.set_title(rule)
            axes.set_xlabel("points above the mean")
        panels[-1].legend(frameon=False, loc="lower right")
        figure.savefig(path, dpi=150)


def named(found: Mapping[str, Mapping[str, Estimate]], path: Path) -> None:
    """Draw the percentile of each named function with its interval, a colour a net."""
    nets = list(found)
    names = [name for name in found[nets[0]] if all(name in found[net] for net in nets)]
    names.sort(key=lambda name: -float(np.mean([found[net][name].value for net in nets])))
    with rc_context(RC):
        figure = Figure(figsize=(7.2, 0.9 + 0.3 * len(names)), layout="constrained")
        axes = figure.subplots()
        _dots(axes, names, [[found[net][name] for name in names] for net in nets], nets)
        axes.set_xlim(-1, 101)
        axes.set_xlabel("functions of the space that are better (%), normalised")
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(nets))
        figure.savefig(path, dpi=150)


def _figure(n: int, square: bool = False) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(3.2 * n, 3.2) if square else (4.2 * n, 3.2), layout="constrained")
    return figure, list(figure.subplots(1, n, squeeze=False)[0])


def _scatter(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    axes.plot(x, y, ".", color=SERIES[1], markersize=2.5, alpha=0.5, markeredgewidth=0)
    axes.set_xlim(x.min() - 2, x.max() + 2)
    axes.set_ylim(y.min() - 2, y.max() + 2)


def _dots(axes: Axes, labels: Sequence[str], columns: Sequence[Sequence[Estimate]], names: Sequence[str]) -> None:
    for k, (estimates, name) in enumerate(zip(columns, names, strict=True)):
        height = np.arange(len(labels)) + 0.28 * (k - (len(names) - 1) / 2)
        for y, estimate in zip(height, estimates, strict=True):
            axes.plot([estimate.low, estimate.high], [y, y], color=SERIES[k], linewidth=1.2)
        axes.plot([e.value for e in estimates], height, "o", color=SERIES[k], markersize=3.5, label=name)
    axes.set_yticks(range(len(labels)), labels, color=INK)
    axes.set_ylim(-0.7, len(labels) - 0.3)
