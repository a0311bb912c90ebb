"""Short fits for the tests."""

from __future__ import annotations

import dataclasses
from typing import Any

from actsearch.tasks.fit import FitJob, FitResult
from actsearch.tasks.lightning_task import lightning_task
from actsearch.tasks.task import Task


def job(task: Task, rungs: tuple[int, ...], **changes: Any) -> FitJob:
    """Return a job on the task's first net up to its last rung."""
    settings: dict[str, Any] = {
        "net": next(iter(task.nets)),
        "spec": "relu",
        "normalise": False,
        "study_seed": 0,
        "replicate": 0,
        "learning_rate_factor": 1.0,
        "stop_step": rungs[-1],
    }
    return FitJob(task=task, rungs=rungs, **(settings | changes))


def own_task(module: Any, data: Any, n_steps: int = 20, **settings: Any) -> Task:
    """Return a task on the validation loss."""
    return lightning_task(module, data, metric="val_loss", n_steps=n_steps, **settings)


def numbers(result: FitResult) -> FitResult:
    """Return the result without the time it took, which is all that may differ."""
    return dataclasses.replace(result, seconds=0.0)
