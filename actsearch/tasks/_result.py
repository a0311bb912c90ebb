"""A fit's result out of what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from actsearch.tasks.fit import FitJob, FitResult

Row = tuple[int, float, float, float]


def make_result(
    job: FitJob,
    rows: Sequence[Row],
    reason: str,
    *,
    seconds: float,
    n_parameters: int,
    test_metric: float | None,
    learned: str | None,
) -> FitResult:
    """Return the result; a diverged fit, which has a ``reason``, is worth a guess at every rung it did not reach."""
    chance = math.nan if job.task.chance is None else job.task.chance
    reached = rows[-1][0] if rows else 0
    guesses = [(rung, chance, math.nan, math.nan) for rung in job.rungs if reached < rung <= job.stop_step]
    steps, metric, val_loss, train_loss = zip(*rows, *guesses, strict=True)
    return FitResult(
        steps=steps,
        metric=metric,
        val_loss=val_loss,
        train_loss=train_loss,
        status="diverged" if reason else "finished",
        reason=reason,
        seconds=seconds,
        n_parameters=n_parameters,
        test_metric=chance if reason and job.test else test_metric,
        learned=learned,
    )
