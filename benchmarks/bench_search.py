"""Candidates trained a minute: ``actsearch.search`` beside the loop that one would write with Optuna and Lightning.

The loop is Optuna's TPE over the same space, in two processes that share a storage; a trial is one Lightning Trainer a
net, with DataLoaders, the formula evaluated by torch operations (``sympy.lambdify``), nothing stopped early; betas are
numbers there and do not learn, which is a little cheaper. Nets, optimiser, data, steps and cores are the search's. The
two take turns in one run, and rates are of whole chunks. Beside the rates, which a busy machine blurs, stands the
processor time of all processes, compilers included. Not counted on either side: what is done once (imports, data), and
the search's panel, which the loop does not have. Writes ``benchmarks/results/search-DATE.md`` and ``.json``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import loky
import optuna
import sympy
import torch
from _results import FOLDER, machine, reached, write
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import actsearch

SPACE, TASK, NETS, PROCESSES, BATCH = "core_unit", "mnist1d", ["deep", "residual"], 2, 100
PANEL = ("relu", "silu")  # gives the score its unit; it is not counted, so it is small
X = sympy.Symbol("x", real=True)
UNARY: dict[str, Callable[[Any], Any]] = {
    "x": lambda a: a, "-x": lambda a: -a, "abs": sympy.Abs, "x^2": lambda a: a**2, "x^3": lambda a: a**3,
    "sqrt": sympy.sqrt, "beta*x": lambda a: 1.0 * a, "x+beta": lambda a: a + 1.0,
    "log": lambda a: sympy.log(sympy.Abs(a) + 1e-7), "exp": sympy.exp, "sin": sympy.sin, "cos": sympy.cos,
    "sinh": sympy.sinh, "cosh": sympy.cosh, "tanh": sympy.tanh, "asinh": sympy.asinh, "atan": sympy.atan,
    "sinc": lambda a: sympy.sin(a) / a, "max": lambda a: sympy.Max(a, 0), "min": lambda a: sympy.Min(a, 0),
    "sigmoid": lambda a: 1 / (1 + sympy.exp(-a)), "softplus": lambda a: sympy.log(1 + sympy.exp(a)),
    "gauss": lambda a: sympy.exp(-(a**2)), "erf": sympy.erf, "beta": lambda a: sympy.Float(1.0),
}  # fmt: skip
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b, "*": lambda a, b: a * b, "-": lambda a, b: a - b, "/": lambda a, b: a / (b + 1e-7),
    "max": sympy.Max, "min": sympy.Min, "gate": lambda a, b: b / (1 + sympy.exp(-a)),
    "gauss": lambda a, b: sympy.exp(-((a - b) ** 2)), "laplace": lambda a, b: sympy.exp(-sympy.Abs(a - b)),
    "mix": lambda a, b: 0.5 * a + 0.5 * b,
}  # fmt: skip
NAMES = {
    "Abs": torch.abs,  # the names that SymPy prints
    "max": lambda *rest: _extreme(torch.maximum, *rest),
    "min": lambda *rest: _extreme(torch.minimum, *rest),
}


def _extreme(function: Callable[..., torch.Tensor], *values: Any) -> torch.Tensor:
    like = next(value for value in values if isinstance(value, torch.Tensor))
    first, *rest = (value if isinstance(value, torch.Tensor) else torch.full_like(like, value) for value in values)
    for value in rest:
        first = function(first, value)
    return first


class Lambda(nn.Module):
    """A formula in torch operations."""

    def __init__(self, expr: sympy.Expr) -> None:
        super().__init__()
        self.function = sympy.lambdify(X, expr, modules=[NAMES, torch])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = self.function(x)
        return value if isinstance(value, torch.Tensor) else torch.full_like(x, float(value))


def quiet() -> None:
    """Set a worker of the loop up, once."""
    import logging

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)


def naive_trials(journal: str, n: int, seed: int, n_steps: int) -> int:
    """Run ``n`` trials of the loop in this process, and return how many."""
    backend = optuna.storages.journal.JournalFileBackend(journal)
    study = optuna.create_study(
        study_name="naive",
        storage=optuna.storages.JournalStorage(backend),
        sampler=optuna.samplers.TPESampler(seed=seed),
        direction="maximize",
        load_if_exists=True,
    )
    study.optimize(partial(naive_objective, n_steps=n_steps), n_trials=n)
    return n


def naive_objective(trial: optuna.Trial, n_steps: int) -> float:
    """Return the mean validation accuracy of a candidate over the nets."""
    from actsearch.tasks._mnist1d_data import splits

    left = UNARY[trial.suggest_categorical("left", list(UNARY))](X)
    right = UNARY[trial.suggest_categorical("right", list(UNARY))](X)
    expr = BINARY[trial.suggest_categorical("binary", list(BINARY))](left, right)
    task = actsearch.load_task(TASK, NETS, n_steps=n_steps)
    train, validation, _ = (TensorDataset(*split) for split in splits())
    total = 0.0
    for net in NETS:
        module = task.nets[net](lambda: Lambda(expr))
        trainer = lightning.Trainer(
            max_steps=n_steps,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, DataLoader(train, batch_size=BATCH, shuffle=True))
        (metrics,) = trainer.validate(module, DataLoader(validation, batch_size=BATCH), verbose=False)
        total += metrics["val_accuracy"]
    return total / len(NETS)


def processor_seconds(pool: Any) -> float:
    """Return the processor time so far of this process, of a pool's, and of the compilers that they called."""
    pids = [os.getpid(), *pool._processes]
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(ticks) for found in fields for ticks in found[11:15]) / os.sysconf("SC_CLK_TCK")


class Search:
    """A search that goes on chunk by chunk.

    Attributes:
        rates: candidates a minute, a chunk each.
        processor: seconds of processor time a candidate, a chunk each.
        panel_seconds: what came before the first candidate.
    """

    def __init__(self, folder: Path, pruner: str, n_steps: int, executor: Executor) -> None:
        self.storage, self.pruner, self.n = str(folder / f"{pruner}.journal"), pruner, 0
        self.task = actsearch.load_task(TASK, NETS, n_steps=n_steps)
        self.executor = executor  # kept from chunk to chunk, as the loop keeps its processes
        self.rates: list[float] = []
        self.processor: list[float] = []
        self.panel_seconds = self._run(1)

    def chunk(self, n: int) -> None:
        """Train ``n`` more candidates."""
        before = processor_seconds(self.executor)
        self.rates.append(60 * n / self._run(n))
        self.processor.append((processor_seconds(self.executor) - before) / n)

    def _run(self, n: int) -> float:
        self.n += n
        start = time.monotonic()
        actsearch.search(
            SPACE, self.task, n_trials=self.n, storage=self.storage, name=self.pruner, pruner=self.pruner,
            n_workers=PROCESSES, finalists=0, n_null_control=0, panel=PANEL, executor=self.executor,
        )  # fmt: skip
        return time.monotonic() - start


def measure(minutes: float, n_naive: int, n_ours: int, n_steps: int) -> dict[str, Any]:
    """Return candidates a minute of the loop and of both searches, chunk by chunk, in turns for about ``minutes``."""
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"), quiet) as pool,
        loky.ProcessPoolExecutor(PROCESSES) as workers,
    ):
        folder = Path(name)
        journal = str(folder / "naive.journal")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        optuna.create_study(
            study_name="naive",
            direction="maximize",
            storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(journal)),
        )

        def loop(n: int, seed: int) -> float:
            start = time.monotonic()
            futures = [pool.submit(naive_trials, journal, n, PROCESSES * seed + i, n_steps) for i in range(PROCESSES)]
            return 60 * sum(future.result() for future in futures) / (time.monotonic() - start)

        loop(1, 0)  # imports and data
        searches = {pruner: Search(folder, pruner, n_steps, workers) for pruner in ("none", "halving")}
        naive: list[float] = []
        processor: list[float] = []
        end = time.monotonic() + 60 * minutes
        while not naive or time.monotonic() < end:
            before = processor_seconds(pool)
            naive.append(loop(n_naive, len(naive) + 1))
            processor.append((processor_seconds(pool) - before) / (n_naive * PROCESSES))
            for search in searches.values():
                search.chunk(n_ours)
    return {
        "naive": naive,
        **{pruner: search.rates for pruner, search in searches.items()},
        "processor_seconds": {"naive": processor, **{pruner: s.processor for pruner, s in searches.items()}},
        "panel_seconds": {pruner: search.panel_seconds for pruner, search in searches.items()},
        "settings": {"minutes": minutes, "naive_trials_a_process": n_naive, "search_trials": n_ours, "steps": n_steps},
    }


def page(found: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    rates = {name: len(found[name]) / sum(1 / rate for rate in found[name]) for name in ("naive", "none", "halving")}
    ratios = {name: rates[name] / rates["naive"] for name in ("none", "halving")}
    seconds = {name: statistics.fmean(values) for name, values in found["processor_seconds"].items()}
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
    lines += ["", "| chunk | the loop | without pruning | with it |", "|---|---|---|---|"]
    lines += [f"| {i} | {' | '.join(f'{rate:.1f}' for rate in row)} |" for i, row in enumerate(rows, 1)]
    panel = found["panel_seconds"]["none"]
    return [*lines, "", f"Not counted: what the search does first, its panel and one candidate ({panel:.0f} s)."]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0, help="at least one chunk of each is run")
    parser.add_argument("--naive-trials", type=int, default=6, help="of the loop, a process and chunk")
    parser.add_argument("--search-trials", type=int, default=64, help="of each search, a chunk")
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
