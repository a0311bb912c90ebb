"""Which sampler finds the best activation with the fewest trainings? Searches replayed on the table of recorded fits.

Each search sees one recorded seed, as a real one does, and is judged by the mean validation accuracy over the other
seeds, which it never sees. A sampler's settings are tuned in one net and judged in the other, both ways. The published
search (UMAP and nearest neighbours) takes part where the extra ``baselines`` is installed.

    python scripts/compare_samplers.py --n-repeats 100

Writes docs/results/samplers.md and samplers.png.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from _samplers_arena import Arena, arena_of
from _samplers_page import BATCH_BUDGETS, BUDGETS, Judged, Run, plot, table, verdict
from numpy.typing import NDArray

from actsearch.errors import ActsearchError
from actsearch.expr.resolve import to_expr
from actsearch.space import Space, load_space
from actsearch.study.samplers import load_sampler
from actsearch.study.samplers.surrogate import Surrogate
from actsearch.study.simulate import Numbers, candidate_numbers, simulate
from actsearch.tasks.tables import Table, load_table

Array = NDArray[np.float64]
TUNING_SEED = 1_000_000  # searches for tuning have random numbers of their own
BATCH = 32
KNOWN = ("elu", "relu", "selu", "sigmoid", "softplus", "softsign", "silu", "tanh")
PUBLISHED = f"{Path(__file__).with_name('_umap_baseline.py')}:make_sampler"
KINDS = {
    "one by one": "Every result is told before the next candidate is asked for.",
    "batches of 32": "32 functions are asked for before the first of them is told, as populations are trained.",
    "from known functions": "The eight functions that the published search begins with are tried first by all.",
}


@dataclass(frozen=True)
class Method:
    """A sampler, the settings among which tuning chooses, and how far it is followed where it is slow."""

    name: str
    settings: tuple[dict[str, Any], ...] = ({},)  # none: as tuned one by one
    n_evaluations: int = BUDGETS[-1]
    n_repeats: int | None = None
    sampler: str = ""
    kind: str = "one by one"


METHODS = (
    Method("exhaustive", n_repeats=12),
    Method("random"),
    Method("tpe", ({}, {"n_startup_trials": 10}, {"n_ei_candidates": 96})),
    Method("nsgaii", ({}, {"population_size": 10}, {"population_size": 40})),
    Method(
        "evolution",
        (
            {},
            {"population_size": 10, "tournament_size": 3},
            {"population_size": 40, "tournament_size": 20},
            {"crossover": 0.5},
        ),
    ),
    Method("gp", n_evaluations=100, n_repeats=4),
    Method("surrogate", ({}, {"n_initial": 5}, {"features": ("values", "slopes")})),
)
VARIANTS = tuple(
    Method(name, (), n_repeats=30, kind=kind)
    for kind in ("batches of 32", "from known functions")
    for name in ("random", "tpe", "evolution", "surrogate")
)
# the search itself has no randomness: five embeddings, seen with each recorded seed
UMAP = Method("umap + 3-nn", n_repeats=15, sampler=PUBLISHED)


@lru_cache(maxsize=1)
def _world(path: str) -> tuple[Space, Numbers, dict[str, Arena]]:
    table = load_table(path)
    space = load_space(table.meta["space"])
    return space, candidate_numbers(space), {net: arena_of(table, net) for net in table.nets}


@dataclass(frozen=True)
class Job:
    """One simulated search, as plain data for a worker."""

    path: str
    net: str
    method: Method
    settings: dict[str, Any]
    seed: int


def search(job: Job) -> Run:
    """Return one simulated search; called in a worker."""
    space, numbers, arenas = _world(job.path)
    arena, n = arenas[job.net], job.method.n_evaluations
    seen_seed = job.seed % arena.n_seeds
    seen, truth = arena.values[:, seen_seed], arena.truth(seen_seed)
    sampler = load_sampler(job.method.sampler or job.method.name, space, job.seed, **job.settings)
    budgets = BATCH_BUDGETS if job.method.kind == "batches of 32" else BUDGETS
    expected = np.full(n, np.nan)

    def ask_model(study: optuna.Study, n_told: int) -> None:
        if isinstance(sampler, Surrogate) and n_told in budgets and (trial := sampler.expected_best(study)):
            best = int(arena.classes[numbers[frozenset(trial.params.items())]])
            expected[n_told - 1] = truth.max() - (truth[best] if best >= 0 else arena.chance)

    found = simulate(
        space,
        numbers,
        arena.classes,
        seen,
        sampler,
        n,
        rejected=arena.chance,
        seed=job.seed,
        first=[space.encode(to_expr(name)) for name in KNOWN] if job.method.kind == "from known functions" else [],
        batch=BATCH if job.method.kind == "batches of 32" else 1,
        after=ask_model,
    )
    # the incumbent is what the search itself would hand over: the best by the seed that it saw
    leaders = found[np.maximum.accumulate(np.where(_rises(seen[found]), np.arange(len(found)), 0))]
    regret = truth.max() - truth[leaders]
    regret = np.concatenate([regret, np.full(n - len(regret), regret[-1])])
    hits = np.flatnonzero(arena.is_best(seen_seed)[found])
    return Run(regret, float(hits[0] + 1) if len(hits) else np.inf, expected)


def _rises(values: Array) -> NDArray[np.bool_]:
    """Return where a value exceeds all before it."""
    before = np.concatenate([[-np.inf], np.maximum.accumulate(values)[:-1]])
    return np.asarray(values > before)


def taking_part(names: Sequence[str], kinds: Sequence[str]) -> list[Method]:
    """Return the methods of some names, or of all, that can take part here."""
    everybody = [method for method in (*METHODS, UMAP, *VARIANTS) if method.kind in kinds]
    found = [method for method in everybody if not names or method.name in names]
    if UMAP in found and importlib.util.find_spec("umap") is None:
        print("umap-learn is not installed, so the published search does not take part; see the extra 'baselines'")
        found.remove(UMAP)
    return found


def compare(path: str, nets: Sequence[str], methods: Sequence[Method], args: argparse.Namespace) -> list[Judged]:
    """Tune and judge every sampler in every net."""
    judged = []
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        tuned = {method.name: _tune(pool, path, nets, method, args.n_tuning) for method in methods if method.settings}
        for net in nets:
            for method in methods:
                settings = tuned[method.name][net]
                repeats = range(min(args.n_repeats, method.n_repeats or args.n_repeats))
                jobs = [Job(path, net, method, settings, seed) for seed in repeats]
                runs = list(pool.map(search, jobs, chunksize=1 if len(jobs) < 20 else 4))
                judged.append(Judged(net, method.name, method.kind, settings, method.n_evaluations, runs))
                if method.name == "surrogate":
                    by_model = [Run(run.expected, run.n_to_best, run.expected) for run in runs]
                    judged.append(replace(judged[-1], name="surrogate, by its model", runs=by_model))
                if method is UMAP:  # it begins with them anyway
                    judged.append(replace(judged[-1], kind="from known functions"))
                print(f"{net}, {method.kind}: {method.name} {settings}: {_line(judged[-1])}", flush=True)
    return judged


def _line(judged: Judged) -> str:
    regrets = [f"{judged.regrets(b).mean():.2f}" for b in BUDGETS if b <= judged.n_evaluations]
    return f"regret {', '.join(regrets)}; {np.median(judged.n_to_best):.0f} to the best"


def _tune(
    pool: ProcessPoolExecutor, path: str, nets: Sequence[str], method: Method, n_tuning: int
) -> dict[str, dict[str, Any]]:
    """Return for each net the settings with the least mean regret, over all budgets, in the other nets."""
    if len(method.settings) == 1 or n_tuning == 0:
        return dict.fromkeys(nets, method.settings[0])
    budgets = [budget - 1 for budget in BUDGETS if budget <= method.n_evaluations]
    scores = np.empty((len(nets), len(method.settings)))
    for i, net in enumerate(nets):
        for j, settings in enumerate(method.settings):
            jobs = [Job(path, net, method, settings, TUNING_SEED + k) for k in range(n_tuning)]
            scores[i, j] = np.mean([run.regret[budgets] for run in pool.map(search, jobs, chunksize=2)])
    return {net: method.settings[int(np.delete(scores, i, axis=0).mean(axis=0).argmin())] for i, net in enumerate(nets)}


def page(judged: Sequence[Judged], recorded: Table, seconds: float, args: argparse.Namespace) -> str:
    """Return the page's text."""
    arenas = {net: arena_of(recorded, net) for net in recorded.nets}
    n_missing = len(recorded.recorded(recorded.nets[0], True).functions) - len(arenas[recorded.nets[0]].values)
    lines = [
        "# Samplers compared on the table",
        "",
        f"Searches of the space `{recorded.meta['space']}`, replayed on the table of recorded fits (normalised, "
        f"{recorded.meta['n_steps']} steps): what is counted are distinct functions trained. A search sees one seed "
        "and is judged by the mean validation accuracy over the other seeds; its incumbent is the best by the seed "
        "that it saw, and in the row 'by its model' the one that the surrogate's process expects most of, among those "
        f"tried. Settings were chosen in the other net, on {args.n_tuning} searches each with random numbers of "
        "their own (0: defaults). Means with 95 % intervals (t), medians and ratios with 95 % bootstrap intervals, "
        "over the repeats; intervals hold for this table's functions. Regret is in percentage points of accuracy.",
        "",
        f"Made by `{args.command}` in {seconds / 60:.1f} minutes with {args.workers} processes"
        + (f", from a table that lacked {n_missing} functions." if n_missing else "."),
        "",
        "![simple regret](samplers.png)",
    ]
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
        for kind, what in KINDS.items():
            here = [one for one in judged if (one.net, one.kind) == (net, kind)]
            budgets = BATCH_BUDGETS if kind == "batches of 32" else BUDGETS
            rivals = [one.name for one in here if not one.name.startswith(("surrogate", "exhaustive"))]
            if not here:
                continue
            lines += ["", f"### {kind.capitalize()}", "", what, "", *table(here, budgets), ""]
            for name in ("surrogate", "surrogate, by its model"):
                lines += verdict(here, name, rivals, budgets)
    return "\n".join([*lines, ""])


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="aquasurf_mnist1d", help="a table's name or file")
    parser.add_argument("--n-repeats", type=int, default=100)
    parser.add_argument("--n-tuning", type=int, default=8, help="searches with each setting; 0: no tuning")
    parser.add_argument("--samplers", nargs="*", default=[], help="only these, the surrogate and another among them")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "results")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    given = [word for word in (sys.argv[1:] if argv is None else argv) if os.sep not in word and word != "--table"]
    args.command = shlex.join(["python", "scripts/compare_samplers.py", *given])
    began = time.monotonic()
    recorded = load_table(args.table)
    for net in recorded.nets:
        arena_of(recorded, net)  # what is missing is said before anything is run
    judged = compare(args.table, recorded.nets, taking_part(args.samplers, args.kinds), args)
    text = page(judged, recorded, time.monotonic() - began, args)
    (args.out / "samplers.md").write_text(text, encoding="utf-8")
    plot(
        [one for one in judged if one.kind == "one by one" and not np.isnan(one.runs[0].regret).any()],
        args.out / "samplers.png",
    )
    print(json.dumps({"seconds": round(time.monotonic() - began)}))


if __name__ == "__main__":
    try:
        main()
    except ActsearchError as error:
        raise SystemExit(f"error: {error}") from error
