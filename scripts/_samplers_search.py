"""One simulated search of compare_samplers.py, and the file that keeps those that are done."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from _samplers_arena import Arena, arena_of
from numpy.typing import NDArray

import actsearch.study.samplers
from actsearch.expr.resolve import to_expr
from actsearch.space import Space, load_space
from actsearch.study import simulate as simulation
from actsearch.study.samplers import load_sampler
from actsearch.study.samplers.surrogate import Surrogate
from actsearch.study.simulate import Numbers, candidate_numbers, simulate
from actsearch.tasks.tables import load_table

Array = NDArray[np.float64]
BUDGETS = (50, 100, 200)
BATCH_BUDGETS = (64, 128, 192)
BATCH = 32
ONE_BY_ONE, BATCHES, FROM_KNOWN = "one by one", "batches of 32", "from known functions"
KNOWN = ("elu", "relu", "selu", "sigmoid", "softplus", "softsign", "silu", "tanh")


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        regret: simple regret of the best by the seed that was seen, after each evaluation.
        n_to_best: evaluations to the best 1 %; infinite: not found.
        expected: the regret of what the surrogate's model expects most of, at the budgets; NaN elsewhere.
        seconds: processor time.
    """

    regret: Array
    n_to_best: float
    expected: Array
    seconds: float = 0.0


@dataclass(frozen=True)
class Job:
    """One simulated search, as plain data for a worker.

    Attributes:
        path: the table's name or file.
        kind: how results are told; see ``KINDS`` of compare_samplers.py.
        asks_model: whether a surrogate's model tells what it expects most of, of what was tried.
    """

    path: str
    net: str
    kind: str
    sampler: str
    settings: dict[str, Any]
    n_evaluations: int
    seed: int
    asks_model: bool

    @property
    def key(self) -> str:
        """What tells it from all others on one table."""
        rest = [self.net, self.kind, Path(self.sampler).name, self.settings, self.n_evaluations, self.seed]
        return json.dumps([*rest, self.asks_model])


@lru_cache(maxsize=1)
def _world(path: str) -> tuple[Space, Numbers, dict[str, Arena]]:
    table = load_table(path)
    space = load_space(table.meta["space"])
    return space, candidate_numbers(space), {net: arena_of(table, net) for net in table.nets}


def search(job: Job) -> Run:
    """Return one simulated search; called in a worker."""
    space, numbers, arenas = _world(job.path)
    began = time.process_time()
    arena, n = arenas[job.net], job.n_evaluations
    seen_seed = job.seed % arena.n_seeds
    seen, truth = arena.values[:, seen_seed], arena.truth(seen_seed)
    sampler = load_sampler(job.sampler, space, job.seed, **job.settings)
    model = sampler if isinstance(sampler, Surrogate) else load_sampler("surrogate", space, job.seed)
    assert isinstance(model, Surrogate)
    budgets = BATCH_BUDGETS if job.kind == BATCHES else BUDGETS
    expected = np.full(n, np.nan)

    def ask_model(study: optuna.Study, n_told: int) -> None:
        if job.asks_model and n_told in budgets and (order := model.expected_order(study)):
            best = int(arena.classes[numbers[frozenset(order[0].params.items())]])
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
        first=[space.encode(to_expr(name)) for name in KNOWN] if job.kind == FROM_KNOWN else [],
        batch=BATCH if job.kind == BATCHES else 1,
        after=ask_model,
    )
    leaders = found[np.maximum.accumulate(np.where(_rises(seen[found]), np.arange(len(found)), 0))]
    regret = truth.max() - truth[leaders]
    regret = np.concatenate([regret, np.full(n - len(regret), regret[-1])])
    hits = np.flatnonzero(arena.is_best(seen_seed)[found])
    n_to_best = float(hits[0] + 1) if len(hits) else np.inf
    return Run(regret, n_to_best, expected, time.process_time() - began)


def _rises(values: Array) -> NDArray[np.bool_]:
    """Return where a value exceeds all before it."""
    before = np.concatenate([[-np.inf], np.maximum.accumulate(values)[:-1]])
    return np.asarray(values > before)


class Searches:
    """Simulated searches in processes of their own, each written down when it is done, so that a second call goes on.

    Args:
        workers: number of processes.
        folder: where the file is; its name tells the table and the code, so that changed ones begin anew.
        table: the table's file.
    """

    def __init__(self, workers: int, folder: Path, table: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{_digest(table)}.jsonl"
        self._done: dict[str, Run] = {}
        self._asked_for: set[str] = set()
        if self._file.exists():
            whole = self._file.read_bytes().rpartition(b"\n")[0]  # the last line may have been cut off
            self._file.write_bytes(whole + b"\n" if whole else b"")
            for line in whole.decode().splitlines():
                key, regret, n_to_best, expected, seconds = json.loads(line)
                self._done[key] = Run(np.array(regret), n_to_best, np.array(expected), seconds)
        self._pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))

    def __enter__(self) -> Searches:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def seconds(self, kinds: Sequence[str]) -> float:
        """Return the processor time of the searches of some kinds that were asked for, also where spent earlier."""
        return sum(self._done[key].seconds for key in self._asked_for if json.loads(key)[1] in kinds)

    def of(self, jobs: Sequence[Job], chunksize: int = 1) -> list[Run]:
        """Return the searches of some jobs, in their order; those that are done are not run again."""
        missing = [job for job in jobs if job.key not in self._done]
        with self._file.open("a", encoding="utf-8") as file:
            for job, run in zip(missing, self._pool.map(search, missing, chunksize=chunksize), strict=True):
                self._done[job.key] = run
                row = [job.key, _rounded(run.regret), run.n_to_best, _rounded(run.expected), round(run.seconds, 3)]
                file.write(json.dumps(row) + "\n")
                file.flush()
        self._asked_for.update(job.key for job in jobs)
        return [self._done[job.key] for job in jobs]


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 8) for value in values]


def _digest(table: Path) -> str:
    here, samplers = Path(__file__).parent, Path(actsearch.study.samplers.__file__).parent
    code = [Path(__file__), here / "_samplers_arena.py", here / "_umap_baseline.py", Path(simulation.__file__)]
    digest = hashlib.sha256()
    for path in [table, *code, *sorted(samplers.glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
