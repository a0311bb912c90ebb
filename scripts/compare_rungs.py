"""How well do early rungs tell the end, and what does successive halving save? Read from the table of recorded fits.

Rank correlations of what is measured at each rung with one seed, and the accuracy at the end with the others; then
random searches with successive halving, replayed at equal cost in steps against searches that train all to the end.
The rungs and the share that goes on are chosen in one net and judged in the other, both ways.

    python scripts/compare_rungs.py

Writes docs/results/multi_fidelity.md and multi_fidelity.png.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from actsearch.errors import ActsearchError
from actsearch.report.figures.style import BEST, GREY, RC, REFERENCE, WORSE
from actsearch.study.ranks import RankCorrelation, rank_correlation
from actsearch.study.replay import Recording, random_orders, recording, regret
from actsearch.study.stats import mean_interval, paired_difference
from actsearch.tasks.tables import Table, load_table

Array = NDArray[np.float64]
BUDGETS = (12, 25, 50, 100)  # whole fits' worth of steps
KEPT = (1 / 2, 1 / 3, 1 / 4, 1 / 8)
N_TUNING, TUNING_SEED = 200, 1_000_000  # searches for the choice of a scheme, with random numbers of their own


@dataclass(frozen=True)
class Scheme:
    """Successive halving: at each rung but the last the best share goes on.

    Attributes:
        rungs: numbers of the table's rungs, the last one included.
        kept: share that goes on.
    """

    rungs: tuple[int, ...]
    kept: float = 1.0

    def counts(self, n: int) -> list[int]:
        """Return how many functions are trained up to each rung when ``n`` begin."""
        counts = [n]
        for _ in self.rungs[1:]:
            counts.append(math.ceil(counts[-1] * self.kept))
        return counts

    def cost(self, n: int, steps: Sequence[int]) -> int:
        """Return the steps of training when ``n`` functions begin."""
        ends = [0, *(steps[rung] for rung in self.rungs)]
        return sum(count * (stop - start) for count, (start, stop) in zip(self.counts(n), pairwise(ends), strict=True))

    @cache  # noqa: B019 - a scheme lives as long as the script
    def n_begun(self, n_steps: int, steps: tuple[int, ...]) -> int:
        """Return how many functions can begin for so many steps of training."""
        n = 1
        while self.cost(n + 1, steps) <= n_steps:
            n += 1
        return n

    def told(self, steps: Sequence[int]) -> str:
        """Return it in words."""
        if self.kept == 1.0:
            return "none"
        return f"the best 1/{round(1 / self.kept)} after {', '.join(str(steps[rung]) for rung in self.rungs[:-1])}"


def schemes(n_rungs: int) -> list[Scheme]:
    """Return what is compared: every single early rung, the first two, and all."""
    last = n_rungs - 1
    sets = dict.fromkeys([*((rung, last) for rung in range(last)), (0, 1, last), tuple(range(n_rungs))])
    return [Scheme((last,)), *(Scheme(rungs, kept) for rungs in sets for kept in KEPT)]


def finished(
    scheme: Scheme, order: NDArray[np.int64], metric: Array, budget: int, steps: tuple[int, ...]
) -> NDArray[np.int64]:
    """Return the functions that reach the end.

    Args:
        scheme: the halving.
        order: functions in the order in which a search meets them.
        metric: what the search sees, shape (functions, rungs).
        budget: whole fits' worth of steps.
        steps: the table's rungs.
    """
    alive = order[: scheme.n_begun(budget * steps[-1], steps)]
    for rung, count in zip(scheme.rungs, scheme.counts(len(alive))[1:], strict=False):
        alive = alive[np.argsort(-metric[alive, rung], kind="stable")[:count]]
    return alive


def regrets(recorded: Recording, scheme: Scheme, orders: Sequence[NDArray[np.int64]], steps: tuple[int, ...]) -> Array:
    """Return simple regrets in points of accuracy, shape (searches, budgets)."""
    found = np.empty((len(orders), len(BUDGETS)))
    for number, order in enumerate(orders):
        seed = number % recorded.n_seeds
        seen, truth = recorded.metric[:, seed], recorded.truth(seed)
        for k, budget in enumerate(BUDGETS):
            left = finished(scheme, order, seen, budget, steps)
            found[number, k] = regret(left, seen[:, -1], truth, (len(left),))[0]
    return 100 * found


def rung_correlation(recorded: Recording, column: Array, only_best: bool) -> RankCorrelation:
    """Return how far what is seen with one seed, shape (functions, seeds), tells the end with the other seeds."""
    mean = recorded.end.mean(axis=1)
    chosen = mean >= np.median(mean) if only_best else np.ones(len(mean), dtype=bool)
    truth = np.stack([recorded.truth(seed) for seed in range(recorded.n_seeds)], axis=1)
    return rank_correlation(column[chosen], truth[chosen])


@dataclass(frozen=True, eq=False)
class Compared:
    """One net: correlations by rung, (all, best half); regrets by scheme; the scheme chosen in the other net."""

    recorded: Recording
    correlations: list[tuple[RankCorrelation, RankCorrelation]]
    regrets: dict[Scheme, Array]
    chosen: Scheme


def compare(table: Table, n_repeats: int) -> dict[str, Compared]:
    """Return everything that the page shows, by net."""
    steps = table.rungs
    recorded = {net: recording(table, net) for net in table.nets}
    tried = schemes(len(steps))
    tuned = {}
    for net, one in recorded.items():
        orders = random_orders(one.classes, N_TUNING, TUNING_SEED)
        tuned[net] = {scheme: regrets(one, scheme, orders, steps).mean() for scheme in tried[1:]}
    found = {}
    for net, one in recorded.items():
        orders = random_orders(one.classes, n_repeats)
        others = [tuned[other] for other in recorded if other != net] or [tuned[net]]
        found[net] = Compared(
            one,
            [
                tuple(rung_correlation(one, one.metric[:, :, k], half) for half in (False, True))
                for k in range(len(steps))
            ],
            {scheme: regrets(one, scheme, orders, steps) for scheme in tried},
            min(tried[1:], key=lambda scheme: sum(other[scheme] for other in others)),
        )
        print(f"{net}: {found[net].chosen.told(steps)}", flush=True)
    return found


def page(found: dict[str, Compared], table: Table, n_repeats: int) -> str:
    """Return the page's text."""
    steps = table.rungs
    lines = [
        "# Early rungs and successive halving on the table",
        "",
        f"From the table of recorded fits of the space `{table.meta['space']}` on {table.meta['task']} that "
        f"`scripts/build_table.py` makes: normalised, {steps[-1]} steps, measured after {', '.join(map(str, steps))}. "
        "Learning rates fall over the whole length of a fit, so that an early rung is a fit that has not cooled down.",
        "",
        "Made by `python scripts/compare_rungs.py`.",
        "",
        "![early rungs and halving](multi_fidelity.png)",
        "",
        "## How well early rungs tell the end",
        "",
        "Spearman's rank correlation of the validation accuracy at a rung with one seed, and that at the end, mean "
        "over the other seeds; mean over the seeds, with 95 % bootstrap intervals over functions. The last row is what "
        "a whole fit with one seed tells of others: no rung can be expected to tell more. *Best half*: among the "
        "functions whose mean accuracy at the end is at least the median.",
    ]
    for net, one in found.items():
        lines += ["", f"### {net}", "", _size(one.recorded), ""]
        lines += ["| after | share of a fit | all | best half |", "|---|---|---|---|"]
        for step, (every, best) in zip(steps, one.correlations, strict=True):
            lines.append(f"| {step} | {step / steps[-1]:.0%} | {_shown(every)} | {_shown(best)} |")
    lines += [
        "",
        "## What halving saves",
        "",
        f"{n_repeats} random searches, replayed: at each rung the best share goes on, and of those at the end the best "
        "is handed over. All schemes have the same cost, counted in steps of training (validation, and what a "
        "population loses when its members stop, are not counted), so that a scheme that stops more begins with more "
        "functions. Mean simple regret in points of accuracy, by the seeds that the search does not see, after the "
        "steps of so many whole fits; with 95 % intervals over searches, which hold for this table's functions. Zero "
        "cannot be reached for certain: the highest of the judged means owes part of its height to luck.",
    ]
    for net, one in found.items():
        lines += ["", f"### {net}", ""]
        lines += ["| who goes on | begun for 100 fits | " + " | ".join(f"{budget} fits" for budget in BUDGETS) + " |"]
        lines += ["|---|---|" + "---|" * len(BUDGETS)]
        for scheme, values in one.regrets.items():
            n = min(scheme.n_begun(100 * steps[-1], steps), len(one.recorded.functions))
            intervals = [mean_interval(values[:, k]) for k in range(len(BUDGETS))]
            cells = [f"{i.mean:.2f} ± {i.high - i.mean:.2f}" for i in intervals]
            mark = " (chosen in the other net)" if scheme == one.chosen else ""
            lines.append(f"| {scheme.told(steps)}{mark} | {n} | {' | '.join(cells)} |")
        chosen = _changes(one, one.chosen, "the scheme chosen in the other net", steps)
        usual = _changes(one, _usual(steps), "about what a search does by default", steps)
        lines += ["", f"Against none, paired: {chosen}; {usual}."]
    return "\n".join(lines) + "\n"


def _size(recorded: Recording) -> str:
    error = 100 * recorded.standard_error
    return (
        f"{len(recorded.functions)} functions, {recorded.n_seeds} seeds; the standard error of a mean that a search is "
        f"judged by is {error:.2f} points."
    )


def _usual(steps: Sequence[int]) -> Scheme:
    """Return what is nearest to a search's default, rungs at 1/9 and 1/3 and a third that goes on."""
    return Scheme((0, 1, len(steps) - 1), 1 / 3)


def _changes(one: Compared, scheme: Scheme, name: str, steps: Sequence[int]) -> str:
    none = one.regrets[Scheme((len(steps) - 1,))]
    changes = [paired_difference(one.regrets[scheme][:, k], none[:, k]) for k in range(len(BUDGETS))]
    told = ", ".join(
        f"{change.mean:+.2f} [{change.low:+.2f}, {change.high:+.2f}] at {budget}"
        for budget, change in zip(BUDGETS, changes, strict=True)
    )
    return f"{name} ({scheme.told(steps)}) {told}"


def _shown(found: RankCorrelation) -> str:
    return f"{found.rho:.2f} [{found.low:.2f}, {found.high:.2f}]"


def plot(found: dict[str, Compared], table: Table, path: Path) -> None:
    """Draw correlation against the rung for all nets, and regret against cost, a panel a net."""
    steps = table.rungs
    with rc_context(RC):
        figure = Figure(figsize=(4 * (1 + len(found)), 3.5), layout="constrained")
        panels = figure.subplots(1, 1 + len(found))
        for (net, one), colour in zip(found.items(), (REFERENCE, BEST), strict=False):
            for half, style in ((0, "-"), (1, "--")):
                rows = [pair[half] for pair in one.correlations]
                panels[0].plot(
                    steps, [row.rho for row in rows], style, color=colour, marker="o", markersize=3,
                    label=f"{net}{', best half' if half else ''}",
                )  # fmt: skip
                panels[0].fill_between(
                    steps, [row.low for row in rows], [row.high for row in rows], color=colour, alpha=0.12, linewidth=0
                )
        panels[0].set_xlabel("steps")
        panels[0].set_ylim(0, 1)
        panels[0].set_title("rank correlation with the end, other seeds")
        panels[0].legend(frameon=False, loc="lower right")
        for axes, (net, one) in zip(panels[1:], found.items(), strict=True):
            for values in one.regrets.values():
                axes.plot(BUDGETS, values.mean(axis=0), color=GREY, linewidth=0.5)
            last = len(steps) - 1
            shown = [(Scheme((last,)), REFERENCE, "none"), (one.chosen, BEST, f"{one.chosen.told(steps)} (chosen)")]
            shown += [(_usual(steps), WORSE, f"{_usual(steps).told(steps)} (about the default)")]
            for scheme, colour, label in shown:
                axes.plot(
                    BUDGETS, one.regrets[scheme].mean(axis=0), color=colour, marker="o", markersize=3, label=label
                )
            axes.set_xscale("log")
            axes.set_xticks(BUDGETS, [str(budget) for budget in BUDGETS])
            axes.minorticks_off()
            axes.set_ylim(bottom=0)
            axes.set_xlabel("cost in whole fits")
            axes.set_title(f"{net}: regret in points, who goes on")
            axes.legend(frameon=False)
        figure.savefig(path, dpi=150)


def main(argv: Sequence[str] | None = None) -> None:
    """Compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="aquasurf_mnist1d", help="a table's name or file")
    parser.add_argument("--n-repeats", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "results")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    table = load_table(args.table)
    found = compare(table, args.n_repeats)
    (args.out / "multi_fidelity.md").write_text(page(found, table, args.n_repeats), encoding="utf-8")
    plot(found, table, args.out / "multi_fidelity.png")


if __name__ == "__main__":
    try:
        main()
    except ActsearchError as error:
        raise SystemExit(f"error: {error}") from error
