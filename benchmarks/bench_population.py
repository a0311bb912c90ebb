"""Fits many at once beside fits one by one: how fast, and whether the scores are the same but for rounding.

Speed: candidate-steps a second of processor time, of populations and of single fits (random candidates that do not
diverge: a single fit that does stops early), and of a bare ``torch.func.vmap`` loop over the same net with silu, in
turns within one run, the fastest of each. Agreement: the final validation metric of random candidates that finish,
fitted singly under two seeds, and under the first of them in a population. Rounding makes two float32 fits drift apart;
there must be no bias in it (the paired interval contains 0), and less of it than two seeds make. Writes
``benchmarks/results/population-DATE.md`` and ``.json``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _results import FOLDER, machine, write
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F

import actsearch
from actsearch.study.screen import screen
from actsearch.study.stats import mean_interval
from actsearch.tasks._mnist1d_data import splits
from actsearch.tasks.fit import FitJob, fit
from actsearch.tasks.population import fit_population

SPACE, TASK, NET = "core_unit", "mnist1d", "deep"
STEPS_OF_A_FIT = 400


def candidates(n: int) -> list[str]:
    """Return the first ``n`` random candidates that pass the screen."""
    space, found, seed = actsearch.load_space(SPACE), list[str](), 0
    while len(found) < n:
        expr = space.sample(seed)
        seed += 1
        if screen(expr) is None:
            found.append(actsearch.format(expr))
    return found


def finishing(n: int, steps: int) -> list[str]:
    """Return candidates that do not diverge: a single fit that does stops early, and seems fast."""
    specs = candidates(3 * n)
    results = fit_population([job(spec, steps) for spec in specs])
    return [spec for spec, result in zip(specs, results, strict=True) if result.status == "finished"][:n]


def job(spec: str, steps: int, replicate: int = 0) -> FitJob:
    """Return the job of one fit of ``steps``."""
    task = actsearch.load_task(TASK, [NET], n_steps=STEPS_OF_A_FIT)
    return FitJob(task, NET, spec, True, 0, replicate, 1.0, (steps,), steps)


def bare_loop(size: int, steps: int) -> None:
    """Train ``size`` nets with silu as one would by hand: stacked weights, vmap, fused Adam, no validation."""
    (x, y), _, _ = splits()
    nets = [job("silu", steps).task.net(NET)(activation=torch.nn.SiLU) for _ in range(size)]
    parameters, _ = stack_module_state([net.net for net in nets])  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(parameters.values(), lr=5e-3, fused=True)

    def loss(weights: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(functional_call(nets[0].net, weights, (x,)), y)

    for _ in range(steps):
        rows = torch.randint(0, len(y), (100,))
        optimizer.zero_grad()
        vmap(loss, (0, None, None))(parameters, x[rows], y[rows]).sum().backward()
        optimizer.step()


def speed(size: int, steps: int, rounds: int) -> dict[str, float]:
    """Return candidate-steps a second of processor time, by what ran."""
    specs = finishing(size, steps)
    single = specs[:4]
    runs: dict[str, tuple[int, Callable[[], object]]] = {
        "random candidates, one by one": (len(single), lambda: [fit(job(spec, steps)) for spec in single]),
        "random candidates at once": (size, lambda: fit_population([job(spec, steps) for spec in specs])),
        "silu, one by one": (1, lambda: fit(job("silu", steps))),
        "silu at once": (size, lambda: fit_population([job("silu", steps)] * size)),
        "silu, a bare vmap loop": (size, lambda: bare_loop(size, steps)),
    }
    found = dict.fromkeys(runs, 0.0)
    for n_before in range(rounds + 1):
        for name, (n, run) in runs.items():
            start = time.process_time()
            run()
            rate = n * steps / (time.process_time() - start)
            found[name] = max(found[name], rate) if n_before else 0.0  # the first round builds kernels
    return found


def agreement(n: int) -> dict[str, Any]:
    """Return final metrics of ``n`` candidates that finish: single, under another seed, and in populations."""
    rows: list[tuple[str, float, float, float]] = []
    tried = 0
    while len(rows) < n:
        specs = candidates(tried + n)[tried:]
        tried += n
        together = fit_population([job(spec, STEPS_OF_A_FIT) for spec in specs])
        for spec, member in zip(specs, together, strict=True):
            one, other = (fit(job(spec, STEPS_OF_A_FIT, replicate)) for replicate in (0, 1))
            if len(rows) < n and {member.status, one.status, other.status} == {"finished"}:
                rows.append((spec, one.metric[-1], other.metric[-1], member.metric[-1]))
    single, seed, population = (np.array(column) for column in list(zip(*rows, strict=True))[1:])
    interval = mean_interval(population - single)
    return {
        "candidates": rows,
        "mean": interval.mean,
        "interval": [interval.low, interval.high],
        "rounding": float(np.sqrt(np.mean((population - single) ** 2))),
        "seeds": float(np.sqrt(np.mean((seed - single) ** 2))),
        "correlation": float(np.corrcoef(population, single)[0, 1]),
    }


def page(found: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    rates, one = found["speed"], found["agreement"]
    size, n = found["settings"]["size"], len(one["candidates"])
    lines = ["| candidate-steps a second of processor time | measured | / one by one |", "|---|---|---|"]
    for name, rate in rates.items():
        alone = rates["random candidates, one by one" if name.startswith("random") else "silu, one by one"]
        lines.append(f"| {name} | {rate:.0f} | {rate / alone:.2f} |")
    low, high = one["interval"]
    agree = "no" if low <= 0 <= high else "a"
    return [
        *lines,
        "",
        f"{size} at once. Fits of {found['settings']['steps']} steps with one validation; the bare loop has none.",
        "",
        f"Agreement over {n} random candidates, {STEPS_OF_A_FIT} steps, final validation accuracy:",
        "",
        f"- population - single: mean {one['mean']:+.4f}, 95 % interval [{low:+.4f}, {high:+.4f}]: {agree} bias shown;",
        f"- root mean square difference: {one['rounding']:.4f} by rounding, {one['seeds']:.4f} by another seed;",
        f"- correlation of the scores of the two modes: {one['correlation']:.4f}.",
    ]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=32, help="members of a population")
    parser.add_argument("--steps", type=int, default=100, help="of the fits that are timed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=30, help="whose scores are compared")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    settings = {name: value for name, value in vars(arguments).items() if name != "folder"}
    results: dict[str, Any] = {"machine": machine("actsearch", "torch", "lightning"), "settings": settings}
    results["speed"] = speed(arguments.size, arguments.steps, arguments.rounds)
    results["agreement"] = agreement(arguments.candidates)
    how = f"Made by `benchmarks/bench_population.py`: {SPACE} on {TASK}, net {NET}, one thread."
    write("population", "Fits many at once", how, results, page(results), arguments.folder)


if __name__ == "__main__":
    main()
