"""Which sampler finds the best activation with the fewest trainings? Searches replayed on the table of recorded fits.

Each search sees one recorded seed, as a real one does, and is judged by the mean validation accuracy over the other
seeds, which it never sees. A sampler's settings are tuned in one net and judged in the other, both ways.

    python scripts/compare_samplers.py --n-repeats 100

Writes docs/results/samplers.md and samplers.png.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray

from actsearch.errors import ActsearchError
from actsearch.report.figures.style import RC, SERIES
from actsearch.space import Space, load_space
from actsearch.study.samplers import load_sampler
from actsearch.study.simulate import Numbers, candidate_numbers, simulate
from actsearch.study.stats import mean_interval
from actsearch.tasks.tables import Table, load_table

Array = NDArray[np.float64]
BUDGETS = (50, 100, 200)
BEST_SHARE = 0.01
N_TUNING = 10  # repeats of each setting, with seeds of their own
TUNING_SEED = 1_000_000


@dataclass(frozen=True)
class Method:
    """A sampler, the settings among which tuning chooses, and how far it is followed where it is slow."""

    sampler: str
    settings: tuple[dict[str, Any], ...] = ({},)
    n_evaluations: int = BUDGETS[-1]
    n_repeats: int | None = None


METHODS = (
    Method("exhaustive"),
    Method("random"),
    Method("tpe", ({}, {"n_startup_trials": 10}, {"n_startup_trials": 40}, {"n_ei_candidates": 96})),
    Method("nsgaii", ({}, {"population_size": 10}, {"population_size": 40}, {"mutation_prob": 0.5})),
    Method(
        "evolution",
        (
            {},
            {"population_size": 10, "tournament_size": 3},
            {"population_size": 40, "tournament_size": 10},
            {"population_size": 40, "tournament_size": 20},
            {"crossover": 0.5},
        ),
    ),
    Method("gp", n_evaluations=100, n_repeats=10),
)


@dataclass(frozen=True)
class Arena:
    """One net: what functions give with each recorded seed.

    Attributes:
        classes: the function of each candidate; -1: rejected, or not in the table yet.
        values: validation accuracy at the end, shape (functions, seeds).
        chance: the value of what is rejected.
    """

    classes: NDArray[np.int64]
    values: Array
    chance: float

    @property
    def n_seeds(self) -> int:
        """Number of recorded seeds."""
        return self.values.shape[1]

    def truth(self, seed: int) -> Array:
        """Return each function's mean over the seeds that a search with ``seed`` never sees."""
        return np.delete(self.values, seed, axis=1).mean(axis=1)

    @property
    def standard_error(self) -> float:
        """Standard error of such a mean, from the pooled deviation between seeds."""
        return float(np.sqrt(self.values.var(axis=1, ddof=1).mean() / (self.n_seeds - 1)))

    def is_best(self, seed: int) -> NDArray[np.bool_]:
        """Return which functions are among the best 1 %, or within one standard error of the last of them."""
        truth = self.truth(seed)
        n_best = max(1, round(BEST_SHARE * len(truth)))
        return np.asarray(truth >= np.sort(truth)[-n_best] - self.standard_error)


def arena_of(table: Table, net: str) -> Arena:
    """Return the normalised fits of one net, of the functions that have all the seeds that most have."""
    recorded = table.recorded(net, True)
    there = np.isfinite(recorded.test)
    seeds = np.flatnonzero(there.sum(axis=0) > there.sum(axis=0).max() / 2)
    if len(seeds) < 2:
        raise SystemExit("the table has one seed only; a search has to be judged by seeds that it does not see")
    whole = np.flatnonzero(there[:, seeds].all(axis=1))
    number = np.full(len(there) + 1, -1)  # its last element is what -1 leads to
    number[whole] = np.arange(len(whole))
    values = recorded.metric[whole][:, seeds, -1].astype(np.float64)
    return Arena(number[recorded.candidates], values, table.meta["chance"])


@dataclass(frozen=True)
class Run:
    """One search: simple regret after each evaluation, and the evaluations to the best 1 % (infinite: not found)."""

    regret: Array
    n_to_best: float


@lru_cache(maxsize=1)
def _world(path: str) -> tuple[Space, Numbers, dict[str, Arena]]:
    table = load_table(path)
    space = load_space(table.meta["space"])
    return space, candidate_numbers(space), {net: arena_of(table, net) for net in table.nets}


def search(job: tuple[str, str, str, dict[str, Any], int, int]) -> Run:
    """Return one simulated search; called in a worker."""
    path, net, sampler, settings, seed, n_evaluations = job
    space, numbers, arenas = _world(path)
    arena = arenas[net]
    seen_seed = seed % arena.n_seeds
    seen, truth = arena.values[:, seen_seed], arena.truth(seen_seed)
    made = load_sampler(sampler, space, seed, **settings)
    found = simulate(space, numbers, arena.classes, seen, made, n_evaluations, rejected=arena.chance, seed=seed)
    # the incumbent is what the search itself would hand over: the best by the seed that it saw
    leaders = found[np.maximum.accumulate(np.where(_rises(seen[found]), np.arange(len(found)), 0))]
    regret = truth.max() - truth[leaders]
    regret = np.concatenate([regret, np.full(n_evaluations - len(regret), regret[-1])])
    hits = np.flatnonzero(arena.is_best(seen_seed)[found])
    return Run(regret, float(hits[0] + 1) if len(hits) else np.inf)


def _rises(values: Array) -> NDArray[np.bool_]:
    """Return where a value exceeds all before it."""
    before = np.concatenate([[-np.inf], np.maximum.accumulate(values)[:-1]])
    return np.asarray(values > before)


@dataclass(frozen=True)
class Judged:
    """A sampler in one net, with settings tuned in the other."""

    net: str
    method: Method
    settings: dict[str, Any]
    runs: list[Run]

    def regrets(self, budget: int) -> Array:
        """Return the simple regrets after so many evaluations."""
        return np.array([run.regret[budget - 1] for run in self.runs])

    @property
    def n_to_best(self) -> Array:
        """Evaluations to the best 1 %."""
        return np.array([run.n_to_best for run in self.runs])


def compare(path: str, nets: Sequence[str], n_repeats: int, n_workers: int) -> list[Judged]:
    """Tune and judge every sampler in every net."""
    spawn = get_context("spawn")
    with ProcessPoolExecutor(n_workers, mp_context=spawn) as pool:
        tuned = {method.sampler: _tune(pool, path, nets, method) for method in METHODS}
        judged = []
        for net in nets:
            for method in METHODS:
                settings = tuned[method.sampler][net]
                repeats = range(method.n_repeats or n_repeats)
                jobs = [(path, net, method.sampler, settings, seed, method.n_evaluations) for seed in repeats]
                judged.append(Judged(net, method, settings, list(pool.map(search, jobs, chunksize=5))))
                print(f"{net} {method.sampler} {settings}: {_line(judged[-1])}", flush=True)
    return judged


def _line(judged: Judged) -> str:
    return ", ".join(f"{judged.regrets(b).mean():.4f}" for b in BUDGETS if b <= judged.method.n_evaluations)


def _tune(pool: ProcessPoolExecutor, path: str, nets: Sequence[str], method: Method) -> dict[str, dict[str, Any]]:
    """Return for each net the settings with the least mean regret, over all budgets, in the other nets."""
    if len(method.settings) == 1:
        return dict.fromkeys(nets, method.settings[0])
    budgets = [budget - 1 for budget in BUDGETS if budget <= method.n_evaluations]
    scores = np.empty((len(nets), len(method.settings)))
    for i, net in enumerate(nets):
        for j, settings in enumerate(method.settings):
            seeds = range(TUNING_SEED, TUNING_SEED + N_TUNING)
            jobs = [(path, net, method.sampler, settings, seed, method.n_evaluations) for seed in seeds]
            scores[i, j] = np.mean([run.regret[budgets] for run in pool.map(search, jobs, chunksize=2)])
    return {net: method.settings[int(np.delete(scores, i, axis=0).mean(axis=0).argmin())] for i, net in enumerate(nets)}


def median_interval(values: Array, seed: int = 0) -> tuple[float, float, float]:
    """Return the median with its 95 % bootstrap interval; infinite values are larger than all others."""
    rng = np.random.default_rng(seed)
    drawn = np.sort(values[rng.integers(0, len(values), size=(2000, len(values)))], axis=1)
    medians = drawn[:, (len(values) - 1) // 2]
    low, high = np.sort(medians)[[50, 1949]]
    return float(np.sort(values)[(len(values) - 1) // 2]), float(low), float(high)


def report(judged: Sequence[Judged], table: Table, seconds: float, path: Path, n_workers: int) -> None:
    """Write the page."""
    lines = [
        "# Samplers compared on the table",
        "",
        f"Searches of the space `{table.meta['space']}`, replayed on the [table](table.md) of recorded fits "
        f"(normalised, {table.meta['n_steps']} steps): what is counted are distinct functions trained. A search sees "
        "one seed and is judged by the mean validation accuracy over the other seeds. Settings were chosen in the "
        "other net, on "
        f"{N_TUNING} searches each with random numbers of their own. Means with 95 % intervals (t), medians with 95 % "
        "bootstrap intervals, over the repeats; intervals hold for this table's functions.",
        "",
        f"Made by `python scripts/compare_samplers.py` in {seconds / 60:.1f} minutes with {n_workers} processes.",
        "",
        "![simple regret](samplers.png)",
    ]
    for net in dict.fromkeys(one.net for one in judged):
        arena = arena_of(table, net)
        best = int(arena.is_best(0).sum())
        lines += [
            "",
            f"## {net}",
            "",
            f"{len(arena.values)} functions, {arena.n_seeds} seeds, standard error of the judged mean "
            f"{100 * arena.standard_error:.2f} points. The best 1 % with ties within one standard error: {best} "
            "functions (with the first seed seen).",
            "",
            "| sampler | repeats | settings | " + " | ".join(f"regret after {b}" for b in BUDGETS)
            + " | evaluations to the best 1 % |",
            "|---|---|---|" + "---|" * (len(BUDGETS) + 1),
        ]  # fmt: skip
        for one in (one for one in judged if one.net == net):
            lines.append(_row(one))
    lines += ["", "Regret is in percentage points of accuracy.", ""]
    path.write_text("\n".join(lines), encoding="utf-8")


def _row(one: Judged) -> str:
    cells = []
    for budget in BUDGETS:
        if budget > one.method.n_evaluations:
            cells.append("not run")
            continue
        interval = mean_interval(100 * one.regrets(budget))
        cells.append(f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]")
    median, low, high = (f"{n:.0f}" if np.isfinite(n) else f"> {one.method.n_evaluations}"
                         for n in median_interval(one.n_to_best))  # fmt: skip
    settings = ", ".join(f"{key}={value}" for key, value in one.settings.items()) or "default"
    return f"| {one.method.sampler} | {len(one.runs)} | {settings} | {' | '.join(cells)} | {median} [{low}, {high}] |"


def plot(judged: Sequence[Judged], path: Path) -> None:
    """Draw mean regret against evaluations, a panel a net."""
    nets = list(dict.fromkeys(one.net for one in judged))
    with rc_context(RC):
        figure = Figure(figsize=(4.6 * len(nets), 3.6), layout="constrained")
        panels = figure.subplots(1, len(nets), squeeze=False)[0]
        for axes, net in zip(panels, nets, strict=True):
            for k, one in enumerate(one for one in judged if one.net == net):
                curves = 100 * np.stack([run.regret for run in one.runs])
                steps = np.arange(1, curves.shape[1] + 1)
                mean = curves.mean(axis=0)
                margin = 1.96 * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
                axes.plot(steps, mean, color=SERIES[k], label=one.method.sampler)
                axes.fill_between(steps, mean - margin, mean + margin, color=SERIES[k], alpha=0.2, linewidth=0)
            axes.set_title(net)
            axes.set_xlabel("functions trained")
            axes.set_xlim(5, BUDGETS[-1])
            axes.set_xscale("log")
            axes.set_yscale("log")
        panels[0].set_ylabel("simple regret (points of accuracy)")
        panels[0].legend(frameon=False)
        figure.savefig(path, dpi=150)


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="aquasurf_mnist1d", help="a table's name or file")
    parser.add_argument("--n-repeats", type=int, default=100)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "results")
    args = parser.parse_args(argv)
    began = time.monotonic()
    table = load_table(args.table)
    for net in table.nets:
        arena_of(table, net)  # what is missing is said before anything is run
    judged = compare(args.table, table.nets, args.n_repeats, args.workers)
    report(judged, table, time.monotonic() - began, args.out / "samplers.md", args.workers)
    plot(judged, args.out / "samplers.png")
    print(json.dumps({"seconds": round(time.monotonic() - began)}))


if __name__ == "__main__":
    try:
        main()
    except ActsearchError as error:
        raise SystemExit(f"error: {error}") from error
