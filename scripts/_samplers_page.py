"""The page and the figure of compare_samplers.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from actsearch.report.figures.style import RC
from actsearch.study.stats import mean_interval, paired_difference

Array = NDArray[np.float64]
BUDGETS = (50, 100, 200)
BATCH_BUDGETS = (64, 128, 192)
_TICKS = (5, 10, 20, 50, 100, 200)
_TOP = 7.0  # points; searches begin higher


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        regret: simple regret after each evaluation.
        n_to_best: evaluations to the best 1 %; infinite: not found.
        expected: the regret of what the sampler's model expects most of, at the budgets; NaN elsewhere.
    """

    regret: Array
    n_to_best: float
    expected: Array


@dataclass(frozen=True)
class Judged:
    """A sampler in one net, with settings tuned in the other.

    Attributes:
        name: as the page shows it.
        kind: the table of the page that it belongs to.
    """

    net: str
    name: str
    kind: str
    settings: dict[str, Any]
    n_evaluations: int
    runs: list[Run]

    def regrets(self, budget: int) -> Array:
        """Return the simple regrets after so many evaluations, in percentage points."""
        return np.array([100 * run.regret[budget - 1] for run in self.runs])

    @property
    def n_to_best(self) -> Array:
        """Evaluations to the best 1 %."""
        return np.array([run.n_to_best for run in self.runs])


def median(values: Array) -> float:
    """Return the lower median; infinite values are larger than all others."""
    return float(np.sort(values)[(len(values) - 1) // 2])


def median_interval(values: Array, seed: int = 0) -> tuple[float, float, float]:
    """Return the lower median with its 95 % bootstrap interval."""
    rng = np.random.default_rng(seed)
    drawn = np.sort(values[rng.integers(0, len(values), size=(2000, len(values)))], axis=1)
    low, high = np.sort(drawn[:, (len(values) - 1) // 2])[[50, 1949]]
    return median(values), float(low), float(high)


def ratio_interval(values: Array, reference: Array, seed: int = 0) -> tuple[float, float, float]:
    """Return the ratio of two medians with its 95 % bootstrap interval, repeats drawn in pairs.

    Repeats that only one of them has are left out.
    """
    n = min(len(values), len(reference))
    rows = np.random.default_rng(seed).integers(0, n, size=(2000, n))
    middle = (n - 1) // 2
    with np.errstate(invalid="ignore"):
        ratios = np.sort(values[rows], axis=1)[:, middle] / np.sort(reference[rows], axis=1)[:, middle]
    low, high = np.sort(np.nan_to_num(ratios, nan=np.inf))[[50, 1949]]
    return median(values[:n]) / median(reference[:n]), float(low), float(high)


def table(judged: Sequence[Judged], budgets: Sequence[int]) -> list[str]:
    """Return the lines of one table."""
    head = ["sampler", "repeats", "settings", *(f"regret after {b}" for b in budgets), "evaluations to the best 1 %"]
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(_row(one, budgets) for one in judged)]


def _row(one: Judged, budgets: Sequence[int]) -> str:
    cells = []
    for budget in budgets:
        if budget > one.n_evaluations:
            cells.append("not run")
        elif len(one.runs) == 1:
            cells.append(f"{one.regrets(budget)[0]:.2f}")
        else:
            interval = mean_interval(one.regrets(budget))
            cells.append(f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]")
    numbers = [f"{n:.0f}" if np.isfinite(n) else f"> {one.n_evaluations}" for n in median_interval(one.n_to_best)]
    settings = ", ".join(f"{key}={value}" for key, value in one.settings.items()) or "default"
    best = "{} [{}, {}]".format(*numbers)
    return f"| {one.name} | {len(one.runs)} | {settings} | {' | '.join(cells)} | {best} |"


def verdict(judged: Sequence[Judged], name: str, rivals: Sequence[str], budgets: Sequence[int]) -> list[str]:
    """Return sentences: a sampler's regret and evaluations against the best of its rivals."""
    ours = next(one for one in judged if one.name == name)
    others = [one for one in judged if one.name in rivals]
    lines = []
    for budget in budgets:
        there = [one for one in others if one.n_evaluations >= budget]
        best = min(there, key=lambda one: one.regrets(budget).mean())
        n = min(len(ours.runs), len(best.runs))
        difference = paired_difference(ours.regrets(budget)[:n], best.regrets(budget)[:n])
        lines.append(
            f"- after {budget}: {name} {ours.regrets(budget).mean():.2f}, the best other ({best.name}) "
            f"{best.regrets(budget).mean():.2f}; paired difference {difference.mean:+.2f} [{difference.low:+.2f}, "
            f"{difference.high:+.2f}] points"
        )
    if "model" in name:
        return lines
    best = min(others, key=lambda one: (median(one.n_to_best), one.n_to_best.mean()))
    ratio, low, high = ratio_interval(ours.n_to_best, best.n_to_best)
    lines.append(
        f"- evaluations to the best 1 %: {median(ours.n_to_best):.0f} against {median(best.n_to_best):.0f} "
        f"({best.name}); ratio {ratio:.2f} [{low:.2f}, {high:.2f}]"
    )
    return lines


def plot(judged: Sequence[Judged], path: Path) -> None:
    """Draw mean regret against evaluations, a panel a net."""
    nets = list(dict.fromkeys(one.net for one in judged))
    names = list(dict.fromkeys(one.name for one in judged))
    colours = dict(zip(names, colormaps["tab10"].colors, strict=False))
    with rc_context(RC):
        figure = Figure(figsize=(4.6 * len(nets) + 1.4, 3.8), layout="constrained")
        panels = figure.subplots(1, len(nets), squeeze=False)[0]
        for axes, net in zip(panels, nets, strict=True):
            for one in (one for one in judged if one.net == net):
                curves = 100 * np.stack([run.regret for run in one.runs])
                steps = np.arange(1, curves.shape[1] + 1)
                mean = curves.mean(axis=0)
                is_ours = one.name.startswith("surrogate")
                axes.plot(steps, mean, color=colours[one.name], label=one.name, linewidth=2.2 if is_ours else 1.1)
                if len(curves) > 1:
                    margin = 1.96 * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
                    low, high = mean - margin, mean + margin
                    axes.fill_between(steps, low, high, color=colours[one.name], alpha=0.15, linewidth=0)
            axes.set_title(net)
            axes.set_xlabel("functions trained")
            axes.set_xlim(5, BUDGETS[-1])
            axes.set_xscale("log")
            axes.set_xticks(_TICKS, [str(tick) for tick in _TICKS])
            axes.minorticks_off()
            axes.set_ylim(0, _TOP)
        panels[0].set_ylabel("simple regret (points of accuracy)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center", frameon=False)
        figure.savefig(path, dpi=150)
