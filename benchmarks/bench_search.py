"""Candidates trained a minute: ``actsearch.search`` beside the loop that one would write with Optuna and Lightning.

The loop is that of ``_optuna_loop.py``, in two processes; its betas are numbers and do not learn, which is a little
cheaper. Space, nets, optimiser, data, steps and cores are the search's, and without pruning a net is validated once, at
the end, on both sides. The two take turns in one run, and rates are of whole chunks. Beside the rates, which a busy
machine blurs, stands the processor time of all processes, compilers included: kernels are built anew, in an empty
cache. Not counted on either side: what is done once (imports, data, the op that runs kernels), and the search's panel,
which the loop does not have.

Writes ``benchmarks/results/search-DATE.md`` and ``.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import loky
import numpy as np
import numpy.typing as npt
import optuna
from _optuna_loop import NETS, PROCESSES, SPACE, TASK, open_study, quiet, run_trials
from _results import FOLDER, machine, reached, write

import actsearch
from actsearch.compiler import c_op
from actsearch.study.executor import ONE_THREAD
from actsearch.study.result import TRAINED

Array = npt.NDArray[np.float64]

WHY = """
Why not more: of a step of 32 candidates a sixth is autograd, vmap and Lightning (2.7 of 16 ms in deep, 3.9 of 21 ms in
residual, as steps of nets of a sixteenth of the width showed); the rest is arithmetic, linear layers at 140 to 170
GFLOP/s forward and backward, activations and Adam (all timed by hand). A new candidate costs a compiler's call and its
formula's analysis, whatever it is trained for. With pruning, how good the sampler's candidates are beside those before
them decides how many steps they get: 24 % where half of them stop at each rung."""
PANEL = ("relu", "silu")  # gives the score its unit; it is not counted, so it is small


PARTS = ("this process", "workers", "compilers")


def processor_seconds(pool: Any) -> Array:
    """Return the processor time so far of ``PARTS``: this process, those of a pool, and what they called."""
    ticks = np.zeros(3)
    for pid in (os.getpid(), *pool._processes):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        user, system, children_user, children_system = map(int, fields[11:15])
        ticks += ((pid == os.getpid()) * (user + system), (pid != os.getpid()) * (user + system), 0)
        ticks[2] += children_user + children_system
    return ticks / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def empty_cache() -> Iterator[str]:
    """Make a folder, and let this process and those that it starts keep their caches there."""
    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            yield folder
        finally:
            os.environ.pop("XDG_CACHE_HOME")
            if before is not None:
                os.environ["XDG_CACHE_HOME"] = before


class Search:
    """A search that goes on chunk by chunk.

    Attributes:
        rates: candidates a minute, a chunk each.
        processor: seconds of processor time a candidate, of each of ``PARTS``, a chunk each.
        steps: the share of a whole fit's steps that a candidate was trained for, a chunk each.
        panel_seconds: what came before the first candidate.
    """

    def __init__(self, folder: Path, pruner: str, n_steps: int, executor: Executor) -> None:
        self.storage, self.pruner, self.n = str(folder / f"{pruner}.journal"), pruner, 0
        self.task = actsearch.load_task(TASK, NETS, n_steps=n_steps)
        self.executor = executor  # kept from chunk to chunk, as the loop keeps its processes
        self.rates: list[float] = []
        self.processor: list[list[float]] = []
        self.steps: list[float] = []
        self.panel_seconds = self._run(1)

    def chunk(self, n: int) -> None:
        """Train ``n`` more candidates."""
        before = processor_seconds(self.executor)
        self.rates.append(60 * n / self._run(n))
        self.processor.append(list((processor_seconds(self.executor) - before) / n))

    def _run(self, n: int) -> float:
        self.n += n
        start = time.monotonic()
        result = actsearch.search(
            SPACE, self.task, n_trials=self.n, storage=self.storage, name=self.pruner, pruner=self.pruner,
            n_workers=PROCESSES, finalists=0, n_null_control=0, panel=PANEL, executor=self.executor,
            rungs=(1,) if self.pruner == "none" else (1 / 9, 1 / 3, 1),
        )  # fmt: skip
        seconds = time.monotonic() - start
        trained = [trial for trial in result.study.trials if trial.user_attrs.get("outcome") in TRAINED][-n:]
        ends = [curve["steps"][-1:] for trial in trained for curve in trial.user_attrs["curves"].values()]
        self.steps.append(sum(sum(end) for end in ends) / (n * len(NETS) * self.task.n_steps))
        return seconds


def measure(minutes: float, n_naive: int, n_ours: int, n_steps: int) -> dict[str, Any]:
    """Return candidates a minute of the loop and of both searches, chunk by chunk, in turns for about ``minutes``."""
    with (
        empty_cache() as name,
        ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"), quiet) as pool,
        loky.ProcessPoolExecutor(PROCESSES, env=ONE_THREAD) as workers,
    ):
        folder = Path(name)
        c_op.load()
        journal = folder / "naive.journal"
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        open_study(journal)

        def loop(n: int, seed: int) -> float:
            start = time.monotonic()
            futures = [pool.submit(run_trials, journal, PROCESSES * seed + i, n_steps, n) for i in range(PROCESSES)]
            for future in futures:
                future.result()
            return 60 * n * PROCESSES / (time.monotonic() - start)

        loop(1, 0)  # imports and data
        searches = {pruner: Search(folder, pruner, n_steps, workers) for pruner in ("none", "halving")}
        naive: list[float] = []
        processor: list[float] = []
        end = time.monotonic() + 60 * minutes
        while not naive or time.monotonic() < end:
            before = processor_seconds(pool)
            naive.append(loop(n_naive, len(naive) + 1))
            spent = sum(processor_seconds(pool) - before)
            processor.append(spent / (n_naive * PROCESSES))
            for search in searches.values():
                search.chunk(n_ours)
    return {
        "naive": naive,
        **{pruner: search.rates for pruner, search in searches.items()},
        "processor_seconds": {"naive": processor, **{pruner: s.processor for pruner, s in searches.items()}},
        "steps": {pruner: search.steps[1:] for pruner, search in searches.items()},
        "panel_seconds": {pruner: search.panel_seconds for pruner, search in searches.items()},
        "settings": {"minutes": minutes, "naive_trials_a_process": n_naive, "search_trials": n_ours, "steps": n_steps},
    }


def page(found: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    rates = {name: len(found[name]) / sum(1 / rate for rate in found[name]) for name in ("naive", "none", "halving")}
    ratios = {name: rates[name] / rates["naive"] for name in ("none", "halving")}
    parts = {name: np.mean(found["processor_seconds"][name], axis=0) for name in ("none", "halving")}
    seconds = {"naive": statistics.fmean(found["processor_seconds"]["naive"])} | {k: v.sum() for k, v in parts.items()}
    less = {name: seconds["naive"] / one for name, one in seconds.items()}
    lines = [
        "| candidates a minute | measured | / the loop | target | reached | processor seconds a candidate | less |",
        "|---|---|---|---|---|---|---|",
        f"| Optuna TPE, one Lightning Trainer a net, {PROCESSES} processes | {rates['naive']:.1f} | 1 | - | - "
        f"| {seconds['naive']:.2f} | 1 |",
    ]
    for name, what, target in (("none", "without pruning", 4.0), ("halving", "with it", 8.0)):
        mark = reached(ratios[name], target, at_least=True)
        lines.append(
            f"| actsearch.search, {what} | {rates[name]:.1f} | {ratios[name]:.1f} | >= {target:g} | {mark} "
            f"| {seconds[name]:.2f} | {less[name]:.1f} |"
        )
    rows = zip(found["naive"], found["none"], found["halving"], strict=True)
    chunk = f"chunk of {found['settings']['search_trials']}"
    lines += ["", f"| {chunk} | the loop | without pruning | with it |", "|---|---|---|---|"]
    lines += [f"| {i} | {' | '.join(f'{rate:.1f}' for rate in row)} |" for i, row in enumerate(rows, 1)]
    lines += [
        "",
        "Where a candidate's processor time goes, and the share of a whole fit's steps that it was trained for:",
        "",
    ]
    lines += [f"| | {' | '.join(PARTS)} | steps, chunk by chunk |", "|---|---|---|---|---|"]
    for name, what in (("none", "without pruning"), ("halving", "with it")):
        steps = ", ".join(f"{100 * share:.0f} %" for share in found["steps"][name])
        lines.append(f"| {what} | {' | '.join(f'{part:.3f}' for part in parts[name])} | {steps} |")
    panel = found["panel_seconds"]["none"]
    return [
        *lines,
        "",
        f"Not counted: what the search does first, its panel and one candidate ({panel:.0f} s).",
        *WHY.splitlines(),
    ]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0, help="at least one chunk of each is run")
    parser.add_argument("--naive-trials", type=int, default=20, help="of the loop, a process and chunk")
    parser.add_argument("--search-trials", type=int, default=500, help="of each search, a chunk: a quickstart")
    parser.add_argument("--steps", type=int, default=400, help="of a fit")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"machine": machine("actsearch", "torch", "lightning", "optuna")}
    results |= measure(arguments.minutes, arguments.naive_trials, arguments.search_trials, arguments.steps)
    what = f"{SPACE} on {TASK}, nets {' and '.join(NETS)}, {arguments.steps} steps"
    how = f"Made by `benchmarks/bench_search.py`: {what}, in turns within one run."
    write("search", "Candidates trained a minute", how, results, page(results), arguments.folder)


if __name__ == "__main__":
    main()
