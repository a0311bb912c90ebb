"""A task that answers from a table of recorded fits instead of training: searches at thousands of trials a minute.

Any sampler, pruner and executor runs against it as if it trained. A study sees one recorded seed, as a real one does:
all its candidates share it, and other study seeds draw other ones.
"""

from __future__ import annotations

import math
import os
from functools import partial
from typing import NoReturn

import numpy as np

from actsearch.errors import TaskError
from actsearch.tasks.fit import FitJob, FitResult
from actsearch.tasks.seeds import derive_seed
from actsearch.tasks.tables import Recorded, Table, load_table
from actsearch.tasks.task import Task


def table_task(table: str | os.PathLike[str] = "aquasurf_mnist1d") -> Task:
    """Return the task that a table recorded, which looks fits up instead of making them.

    Its fits stop at the recorded rungs only (rungs given as fractions mean the nearest of them), with the recorded
    learning rate, on functions that the table holds (those of the same symmetry class are one). Replicates take the
    recorded seeds in an order drawn by the study's seed, and from the first again when there are no more of them.

    Args:
        table: a table that comes with the package, or a file; see :func:`actsearch.tasks.tables.load_table`.

    Raises:
        TaskError: there is no such table, or it is damaged.

    Example:
        ``actsearch.search("aquasurf", table_task(), finalists=0)``; on the command line the task is called
        ``actsearch.tasks.table:table_task``. More in docs/table.md.
    """
    meta = load_table(table).meta
    return Task(
        name=meta["task"],
        nets=dict.fromkeys(meta["nets"], _no_net),
        data=_no_data,
        chance=meta["chance"],
        n_steps=meta["n_steps"],
        settings={**meta["settings"], "table": os.fspath(table)},
        sign_symmetric=tuple(meta["nets"]),  # one fit is recorded for all members of a class
        measured_at=tuple(meta["rungs"]),
        replay=partial(replay, table=os.fspath(table)),
    )


def replay(job: FitJob, table: str) -> FitResult:
    """Return the recorded curve of a job's function.

    Raises:
        TaskError: the table holds no such fit.
    """
    loaded = load_table(table)
    if job.learning_rate_factor != 1.0:
        raise TaskError(
            f"{job.where}: the table was recorded with a learning rate factor of 1, not {job.learning_rate_factor}; "
            "search it with finalists=0"
        )
    reached = [rung for rung in job.rungs if rung <= job.stop_step]
    if unknown := [rung for rung in reached if rung not in loaded.rungs]:
        raise TaskError(
            f"{job.where}: the table was not measured at step {unknown[0]}; its rungs are "
            f"{', '.join(map(str, loaded.rungs))}"
        )
    recorded = loaded.recorded(job.net, job.normalise)
    row = loaded.class_of(job.spec, job.net, job.normalise)
    seed = _seed(job, recorded)
    if not np.isfinite(recorded.test[row, seed]):
        raise TaskError(f"{job.where}: the build of the table was interrupted before {job.spec!r} with seed {seed}")
    return _result(job, loaded, recorded, (row, seed), [loaded.rungs.index(rung) for rung in reached])


def _seed(job: FitJob, recorded: Recorded) -> int:
    """Return the recorded seed that stands for the job's replicate: of those that all functions have, if any is."""
    there = np.isfinite(recorded.test)
    seeds = np.flatnonzero(there.all(axis=0))
    if len(seeds) == 0:
        seeds = np.flatnonzero(there.any(axis=0))
    # the same for every replicate, so that replicates differ as long as there are seeds
    order = np.random.default_rng(derive_seed(job.study_seed, job.task.name, job.net, 0, "order")).permutation(seeds)
    return int(order[job.replicate % len(order)])


def _result(job: FitJob, table: Table, recorded: Recorded, place: tuple[int, int], measured: list[int]) -> FitResult:
    rungs = tuple(table.rungs[i] for i in measured)
    has_ended = rungs[-1] == table.rungs[-1]
    if job.test and not has_ended:
        raise TaskError(f"{job.where}: the table has the test metric of whole fits only, not at step {rungs[-1]}")
    val_loss = tuple(float(recorded.val_loss[place][i]) for i in measured)
    # a fit that diverged has no losses from there on
    diverged = bool(recorded.diverged[place]) and (has_ended or not math.isfinite(val_loss[-1]))
    return FitResult(
        steps=rungs,
        metric=tuple(float(recorded.metric[place][i]) for i in measured),
        val_loss=val_loss,
        train_loss=_train_loss(recorded.train_loss[place], table.rungs, measured),
        status="diverged" if diverged else "finished",
        reason=f"the recorded fit diverged before step {rungs[-1]}" if diverged else "",
        seconds=float(recorded.seconds[place]) * rungs[-1] / table.rungs[-1],
        n_parameters=table.meta["n_parameters"][job.net],
        test_metric=float(recorded.test[place]) if job.test else None,
    )


def _train_loss(recorded: np.ndarray[tuple[int, ...], np.dtype[np.float32]], rungs: tuple[int, ...],
                measured: list[int]) -> tuple[float, ...]:  # fmt: skip
    """Return the mean training loss since the measured rung before, out of the means since each recorded one."""
    lengths = np.diff([0, *rungs])
    starts = [0, *(i + 1 for i in measured[:-1])]
    return tuple(
        float(np.average(recorded[start : stop + 1], weights=lengths[start : stop + 1]))
        for start, stop in zip(starts, measured, strict=True)
    )


def _no_net(activation: object, gain: float = 1.0) -> NoReturn:
    raise TaskError("a recorded task has no net to build; load the task that the table recorded")


def _no_data(seed: int | None = None) -> NoReturn:
    raise TaskError("a recorded task has no data; load the task that the table recorded")
