"""The proxies of all recorded functions, kept in a file as they are measured, beside what was recorded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actsearch.errors import ActivationError, TaskError
from actsearch.study.proxies import Start, load_proxy, proxy_names
from actsearch.study.ranks import RankCorrelation, rank_correlation
from actsearch.study.replay import Recording, recording
from actsearch.tasks.load import load_task
from actsearch.tasks.tables import Table
from actsearch.tasks.task import Cell

Array = NDArray[np.float64]
Key = tuple[str, bool, str]  # net, normalise, function


@dataclass(frozen=True, eq=False)
class Arena:
    """One net, normalised or not: what was recorded, and proxy -> badness of each function (larger is worse)."""

    net: str
    normalise: bool
    recorded: Recording
    badness: dict[str, Array]

    @cache  # noqa: B019 - an arena lives as long as the script
    def correlation(self, name: str, only_best: bool = False) -> RankCorrelation:
        """Return how far a proxy's order, the promising first, is that of accuracy at the end, mean over seeds."""
        truth = self.recorded.end.mean(axis=1)
        chosen = truth >= np.median(truth) if only_best else np.ones(len(truth), dtype=bool)
        return rank_correlation(-self.badness[name][chosen], truth[chosen])

    def between_seeds(self, rung: int, only_best: bool = False) -> RankCorrelation | None:
        """Return how far accuracy at a rung with one seed tells that at the end with the others; None: one seed."""
        if self.recorded.n_seeds < 2:
            return None
        truth = np.stack([self.recorded.truth(seed) for seed in range(self.recorded.n_seeds)], axis=1)
        mean = self.recorded.end.mean(axis=1)
        chosen = mean >= np.median(mean) if only_best else np.ones(len(mean), dtype=bool)
        return rank_correlation(self.recorded.metric[chosen, :, rung], truth[chosen])


def arenas_of(table: Table, parts: Path, n_workers: int | None) -> list[Arena]:
    """Return every net, normalised and not, as far as the table has it, with its proxies.

    Args:
        table: the table.
        parts: folder of what was measured before.
        n_workers: processes that measure what is missing; None: functions that are not measured are left out.
    """
    recorded: dict[tuple[str, bool], Recording] = {}
    for normalise in (True, False):
        for net in table.nets:
            try:
                recorded[net, normalise] = recording(table, net, normalise)
            except TaskError as missing:
                print(f"left out: {missing}", flush=True)
    path = parts / f"{table.meta['space']}_{table.meta['task']}.jsonl"
    keys = [(*cell, text) for cell, one in recorded.items() for text in one.functions]
    values = measure_all(keys if n_workers else [], table.meta["task"], path, n_workers or 1)
    arenas = []
    for (net, normalise), whole in recorded.items():
        there = np.array([(net, normalise, text) in values for text in whole.functions])
        if not there.any():
            continue
        one = whole.only(there)
        badness = {}
        for name in proxy_names():
            column = np.array([values[net, normalise, text][name] for text in one.functions])
            signed = column if load_proxy(name).better == "low" else -column
            badness[name] = np.where(np.isnan(signed), np.inf, signed)
        arenas.append(Arena(net, normalise, one, badness))
    return arenas


def measured(job: tuple[Key, str]) -> tuple[Key, dict[str, float]]:
    """Return all proxies of one function; called in a worker."""
    (net, normalise, text), task = job
    start = Start(text, Cell(load_task(task, net), net), normalise=normalise)
    values = {}
    for name in proxy_names():
        try:
            values[name] = load_proxy(name).measure(start)
        except ActivationError:
            values[name] = float("nan")
    return (net, normalise, text), values


def measure_all(keys: Sequence[Key], task: str, path: Path, n_workers: int) -> dict[Key, dict[str, float]]:
    """Return the proxies of functions: those of the file, and those that it lacks, which are added to it."""
    found: dict[Key, dict[str, float]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            net, normalise, text, values = json.loads(line)
        except ValueError:  # torn by a kill, and measured again
            continue
        found[net, normalise, text] = values
    missing = [key for key in keys if set(found.get(key, ())) != set(proxy_names())]
    path.parent.mkdir(parents=True, exist_ok=True)
    spawn = get_context("spawn")
    with ProcessPoolExecutor(n_workers, mp_context=spawn) as pool, path.open("a", buffering=1) as file:
        jobs = [(key, task) for key in missing]
        for done, (key, values) in enumerate(pool.map(measured, jobs, chunksize=4), start=1):
            found[key] = values
            file.write(json.dumps([*key, values]) + "\n")
            if done % 100 == 0:
                print(f"{done}/{len(missing)} measured", flush=True)
    return found
