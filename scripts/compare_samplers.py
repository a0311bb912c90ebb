"""Which sampler finds the best activation with the fewest trainings? Searches replayed on the table of recorded fits.

Each search sees one recorded seed, as a real one does, and is judged by the mean validation accuracy over the other
seeds, which it never sees. A sampler's settings are tuned in one net and judged in the other, both ways. The published
search (UMAP and nearest neighbours) takes part where the extra ``baselines`` is installed.

    python scripts/compare_samplers.py

Writes docs/results/samplers.md and samplers.png. Every search is kept under results/samplers, so that a comparison
that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from _samplers_arena import arena_of
from _samplers_page import PUBLISHED, Judged, page, plot
from _samplers_search import BATCHES, BUDGETS, FROM_KNOWN, ONE_BY_ONE, Job, Run, Searches

from actsearch.errors import ActsearchError
from actsearch.tasks.tables import load_table, table_path

TUNING_SEED = 1_000_000  # searches for tuning have random numbers of their own
UMAP = f"{Path(__file__).with_name('_umap_baseline.py')}:make_sampler"
KINDS = (ONE_BY_ONE, BATCHES, FROM_KNOWN)


@dataclass(frozen=True)
class Method:
    """A sampler, the settings among which tuning chooses, and how far it is followed where it is slow."""

    name: str
    settings: tuple[dict[str, Any], ...] = ({},)  # none: as tuned one by one
    n_evaluations: int = BUDGETS[-1]
    n_repeats: int | None = None
    n_by_model: int = 0  # searches in which the surrogate's model is asked too
    sampler: str = ""
    kind: str = ONE_BY_ONE


METHODS = (
    Method("surrogate", ({}, {"n_initial": 5}, {"n_initial": 10}), n_by_model=10**9),
    Method("random", n_by_model=30),
    Method("tpe", ({}, {"n_startup_trials": 10}, {"n_ei_candidates": 96}), n_by_model=30),
    Method(
        "evolution",
        (
            {},
            {"population_size": 10, "tournament_size": 3},
            {"population_size": 40, "tournament_size": 20},
            {"crossover": 0.5},
        ),
        n_by_model=30,
    ),
    Method("nsgaii", ({}, {"population_size": 10}, {"population_size": 40}), n_repeats=30),
    Method("gp", n_evaluations=100, n_repeats=9),
    # the search itself has no randomness: five embeddings, seen with each recorded seed
    Method(PUBLISHED, n_repeats=15, sampler=UMAP),
    Method("exhaustive", n_repeats=12),
)
VARIANTS = tuple(
    Method(name, (), n_repeats=12, n_by_model=10**9 if name == "surrogate" else 0, kind=kind)
    for kind in (BATCHES, FROM_KNOWN)
    for name in ("surrogate", "random", "tpe", "evolution")
)


def taking_part(names: Sequence[str], kinds: Sequence[str]) -> list[Method]:
    """Return the methods of some names, or of all, that can take part here."""
    everybody = [method for method in (*METHODS, *VARIANTS) if method.kind in kinds]
    found = [method for method in everybody if not names or method.name in names]
    if any(method.sampler == UMAP for method in found) and importlib.util.find_spec("umap") is None:
        print("umap-learn is not installed, so the published search does not take part; see the extra 'baselines'")
        found = [method for method in found if method.sampler != UMAP]
    return found


def compare(
    searches: Searches, nets: Sequence[str], methods: Sequence[Method], args: argparse.Namespace
) -> list[Judged]:
    """Tune and judge every sampler in every net."""
    judged: list[Judged] = []
    tuned: dict[str, dict[str, dict[str, Any]]] = {}
    for method in methods:
        if method.settings:
            tuned[method.name] = _tune(searches, nets, method, args)
        for net in nets:
            settings = tuned[method.name][net]
            seeds = range(min(args.n_repeats, method.n_repeats or args.n_repeats))
            jobs = [_job(args.table, net, method, settings, seed, seed < method.n_by_model) for seed in seeds]
            runs = searches.of(jobs, chunksize=1 if len(jobs) < 20 else 4)
            one = Judged(net, method.name, method.kind, settings, method.n_evaluations, runs)
            by_model = [Run(run.expected, run.n_to_best, run.expected) for run in runs[: method.n_by_model]]
            judged.append(one)
            if by_model:
                judged.append(replace(one, name=f"{method.name}, by the model", runs=by_model))
            if method.sampler == UMAP and FROM_KNOWN in args.kinds:
                judged.append(replace(one, kind=FROM_KNOWN))  # it begins with them anyway
            regrets = ", ".join(f"{one.regrets(b).mean():.2f}" for b in BUDGETS if b <= one.n_evaluations)
            print(f"{net}, {method.kind}: {method.name} {settings}: regret {regrets}", flush=True)
    return judged


def _job(table: str, net: str, method: Method, settings: dict[str, Any], seed: int, asks_model: bool) -> Job:
    sampler = method.sampler or method.name
    return Job(table, net, method.kind, sampler, settings, method.n_evaluations, seed, asks_model)


def _tune(
    searches: Searches, nets: Sequence[str], method: Method, args: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Return for each net the settings with the least mean regret, over all budgets, in the other nets.

    Where a model says what it expects most of, that is what counts.
    """
    if len(method.settings) == 1 or args.n_tuning == 0:
        return dict.fromkeys(nets, method.settings[0])
    at = [budget - 1 for budget in BUDGETS if budget <= method.n_evaluations]
    asks_model = method.n_by_model > args.n_repeats
    scores = np.empty((len(nets), len(method.settings)))
    for i, net in enumerate(nets):
        for j, settings in enumerate(method.settings):
            seeds = range(TUNING_SEED, TUNING_SEED + args.n_tuning)
            runs = searches.of([_job(args.table, net, method, settings, seed, asks_model) for seed in seeds])
            scores[i, j] = np.mean([(run.expected if asks_model else run.regret)[at] for run in runs])
    return {net: method.settings[int(np.delete(scores, i, axis=0).mean(axis=0).argmin())] for i, net in enumerate(nets)}


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    root = Path(__file__).parents[1]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="aquasurf_mnist1d", help="a table's name or file")
    parser.add_argument("--n-repeats", type=int, default=100)
    parser.add_argument("--n-tuning", type=int, default=8, help="searches with each setting; 0: no tuning")
    parser.add_argument("--samplers", nargs="*", default=[], help="only these, the surrogate and another among them")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs", type=Path, default=root / "results" / "samplers", help="where searches are kept")
    parser.add_argument("--out", type=Path, default=root / "docs" / "results")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    given = [word for word in (sys.argv[1:] if argv is None else argv) if os.sep not in word and word != "--table"]
    recorded = load_table(args.table)
    for net in recorded.nets:
        arena_of(recorded, net)  # what is missing is said before anything is run
    with Searches(args.workers, args.runs, table_path(args.table)) as searches:
        judged = compare(searches, recorded.nets, taking_part(args.samplers, args.kinds), args)
    made = (
        f"Made by `{shlex.join(['python', 'scripts/compare_samplers.py', *given])}`: the searches took "
        f"{searches.seconds(KINDS) / 60:.0f} minutes of one core of a busy machine, those of the figure "
        f"{searches.seconds([ONE_BY_ONE]) / 60:.0f} (`--kinds {shlex.quote(ONE_BY_ONE)}`)."
    )
    (args.out / "samplers.md").write_text(page(judged, recorded, made, args.n_tuning), encoding="utf-8")
    plot([one for one in judged if one.kind == ONE_BY_ONE], args.out / "samplers.png")


if __name__ == "__main__":
    try:
        main()
    except ActsearchError as error:
        raise SystemExit(f"error: {error}") from error
