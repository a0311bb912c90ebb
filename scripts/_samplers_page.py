"""The page and the figure of compare_samplers.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _samplers_arena import arena_of
from _samplers_search import BATCH_BUDGETS, BATCHES, BUDGETS, FROM_KNOWN, ONE_BY_ONE, Run
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from actsearch.report.figures.style import GREY, RC, SERIES
from actsearch.study.stats import mean_interval, paired_difference
from actsearch.tasks.tables import Table

Array = NDArray[np.float64]
PUBLISHED = "umap + 3-nn"
_HEAD = ["| net | | surrogate | the best other | paired difference |", "|---|---|---|---|---|"]
OURS, BY_MODEL = "surrogate", "surrogate, by the model"
_NO_RIVALS = ("surrogate", "exhaustive")
_WHAT = {
    ONE_BY_ONE: "Every result is told before the next candidate is asked for. The published search begins with eight "
    "known functions, some of which are among the best in `deep`.",
    BATCHES: "32 functions are asked for before the first of them is told, as populations are trained.",
    FROM_KNOWN: "The eight functions that the published search begins with are tried first by all.",
}
_DEVELOPMENT = (
    "How the surrogate came to its form: some thirty variants of it (when priors are found anew, how many are "
    "believed in, the scale of targets, the mean, groups of features, results at the start) were compared in both "
    "nets, on 24 to 60 searches each with the random numbers of tuning. The searches below have others, of which "
    "the first 15 had been looked at once, for an earlier form. But the functions and their recorded seeds are "
    "the same ones, and with them what it was judged by, so that its figures are still somewhat kind to it. Only "
    "the settings in the tables were tuned in one net and judged in the other."
)
_TICKS = (5, 10, 20, 50, 100, 200)
_TOP = 7.0  # points; searches begin higher


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


def verdict(judged: Sequence[Judged], budgets: Sequence[int]) -> list[str]:
    """Return the rows of a table: the surrogate's regret and evaluations against the best of its rivals.

    One by one, the published search is no rival in evaluations: it begins with functions known to be good.
    """
    others = [one for one in judged if one.name not in _NO_RIVALS and "model" not in one.name]
    ours = [one for one in judged if one.name in (OURS, BY_MODEL)]
    if not others or not ours:
        return []
    lines = []
    for budget in budgets:
        best = min((o for o in others if o.n_evaluations >= budget), key=lambda one: one.regrets(budget).mean())
        for one in ours:
            n = min(len(one.runs), len(best.runs))
            difference = paired_difference(one.regrets(budget)[:n], best.regrets(budget)[:n])
            what = f"regret after {budget}" + (", by the model" if one.name == BY_MODEL else "")
            lines.append(
                f"| {one.net} | {what} | {one.regrets(budget).mean():.2f} | {best.regrets(budget).mean():.2f} "
                f"({best.name}) | {difference.mean:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}] |"
            )
    found = ours[0].n_to_best
    others = [one for one in others if one.name != PUBLISHED or one.kind == FROM_KNOWN] or others
    best = min(others, key=lambda one: (median(one.n_to_best), one.n_to_best.mean()))
    ratio, low, high = ratio_interval(found, best.n_to_best)
    return [
        *lines,
        f"| {ours[0].net} | evaluations to the best 1 % | {median(found):.0f} | {median(best.n_to_best):.0f} "
        f"({best.name}) | ratio {ratio:.2f} [{low:.2f}, {high:.2f}] |",
    ]


def aims(judged: Sequence[Judged]) -> list[str]:
    """Return sentences on one net: at which budgets the surrogate is the lowest, and how soon it is among the best."""
    others = [one for one in judged if one.name not in _NO_RIVALS and "model" not in one.name]
    lines = []
    for name, what in ((BY_MODEL, "by the model"), (OURS, "by what was seen")):
        for one in (one for one in judged if one.name == name and others):
            rivals = {b: [o.regrets(b).mean() for o in others if o.n_evaluations >= b] for b in BUDGETS}
            lowest = [str(b) for b in BUDGETS if one.regrets(b).mean() < min(rivals[b])]
            after = f"after {', '.join(lowest)}" if lowest else "after none"
            lines.append(f"- {one.net}, {what}: the lowest mean regret {after} of {', '.join(map(str, BUDGETS))}.")
    return lines


def page(judged: Sequence[Judged], recorded: Table, made: str, n_tuning: int) -> str:
    """Return the page's text."""
    arenas = {net: arena_of(recorded, net) for net in recorded.nets}
    n_missing = len(recorded.recorded(recorded.nets[0], True).functions) - len(arenas[recorded.nets[0]].values)
    lines = [
        "# Samplers compared on the table",
        "",
        f"Searches of the space `{recorded.meta['space']}`, replayed on the table of recorded fits (normalised, "
        f"{recorded.meta['n_steps']} steps): what is counted are distinct functions trained. A search sees one seed "
        "and is judged by the mean validation accuracy over the other seeds. It hands over the best by the seed that "
        "it saw or, in the rows 'by the model', the one that the surrogate's process expects most of, among those "
        f"tried. Settings were chosen in the other net, on {n_tuning} searches each with random numbers of "
        "their own (0: defaults). Means with 95 % intervals (t), medians and ratios with 95 % bootstrap intervals, "
        "over the repeats; intervals hold for this table's functions. Regret is in percentage points of accuracy.",
        "",
        made + (f" The table lacked {n_missing} functions." if n_missing else ""),
        "",
        _DEVELOPMENT,
        "",
        "![simple regret](samplers.png)",
        "",
        "## The surrogate against the best other, one by one",
        "",
        "It was to have the lowest regret at every budget, and to need at most 0.6 of the evaluations.",
        "",
    ]
    one_by_one = [[one for one in judged if (one.net, one.kind) == (net, ONE_BY_ONE)] for net in recorded.nets]
    for here in one_by_one:
        lines += aims(here)
    lines += ["", *_HEAD]
    for here in one_by_one:
        lines += verdict(here, BUDGETS)
    for net, arena in arenas.items():
        lines += [
            "",
            f"## {net}",
            "",
            f"{len(arena.values)} functions, {arena.n_seeds} seeds, standard error of the judged mean "
            f"{100 * arena.standard_error:.2f} points. The best 1 % with ties within one standard error: "
            f"{', '.join(str(int(arena.is_best(seed).sum())) for seed in range(arena.n_seeds))} functions (with each "
            "seed seen).",
        ]
        for kind, what in _WHAT.items():
            here = [one for one in judged if (one.net, one.kind) == (net, kind)]
            budgets = BATCH_BUDGETS if kind == BATCHES else BUDGETS
            if here:
                lines += ["", f"### {kind.capitalize()}", "", what, ""]
                lines += table(here, budgets)
            if here and kind != ONE_BY_ONE:
                lines += ["", *_HEAD, *verdict(here, budgets)]
    return "\n".join([*lines, ""])


def plot(judged: Sequence[Judged], path: Path) -> None:
    """Draw mean regret against evaluations, a panel a net; what the model expects most of as marks at the budgets."""
    nets = list(dict.fromkeys(one.net for one in judged))
    shown = [one for one in judged if one.name == BY_MODEL or ("model" not in one.name and one.name != "exhaustive")]
    names = list(dict.fromkeys(one.name for one in shown if one.name != BY_MODEL))
    colours = dict(zip(names, (*SERIES, GREY), strict=False)) | {BY_MODEL: SERIES[0]}
    with rc_context(RC):
        figure = Figure(figsize=(4.6 * len(nets) + 1.4, 3.8), layout="constrained")
        panels = figure.subplots(1, len(nets), squeeze=False, sharey=True)[0]
        for axes, net in zip(panels, nets, strict=True):
            for one in (one for one in shown if one.net == net):
                curves = 100 * np.stack([run.regret for run in one.runs])
                steps = np.flatnonzero(np.isfinite(curves[0]))
                mean = curves[:, steps].mean(axis=0)
                margin = 1.96 * curves[:, steps].std(axis=0, ddof=1) / np.sqrt(len(curves))
                colour = colours[one.name]
                if one.name == BY_MODEL:
                    axes.errorbar(
                        steps + 1, mean, margin, fmt="o", markersize=5, color=colour, label=one.name, zorder=4
                    )
                    continue
                axes.plot(steps + 1, mean, color=colour, label=one.name, linewidth=2.2 if one.name == OURS else 1.2)
                axes.fill_between(steps + 1, mean - margin, mean + margin, color=colour, alpha=0.12, linewidth=0)
            axes.set_title(net)
            axes.set_xlabel("functions trained")
            axes.set_xscale("log")
            axes.set_xlim(5, 1.1 * BUDGETS[-1])
            axes.set_xticks(_TICKS, [str(tick) for tick in _TICKS])
            axes.minorticks_off()
            axes.set_ylim(0, _TOP)
        panels[0].set_ylabel("simple regret (points of accuracy)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center", frameon=False)
        figure.savefig(path, dpi=150)
