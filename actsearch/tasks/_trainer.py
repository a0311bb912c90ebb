"""Lightning's Trainer as a fit needs it, and what makes two jobs the same fit."""

from __future__ import annotations

import platform
from typing import Any

import lightning
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins.io import CheckpointIO

from actsearch import __version__
from actsearch.tasks._progress import Progress
from actsearch.tasks._session import next_rung
from actsearch.tasks.fit import FitJob

# All that a search does not need is off: it would cost more than a small net's training.
_LEAN: dict[str, Any] = {
    "accelerator": "cpu",
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
    "use_distributed_sampler": False,
}


def make_trainer(job: FitJob, progress: Progress, file: CheckpointIO, module: LightningModule, done: int) -> Trainer:
    """Return the trainer of one fit, which begins after ``done`` steps."""
    return Trainer(
        **{**_LEAN, **job.task.trainer_options, **({} if job.logger is None else {"logger": job.logger()})},
        max_epochs=-1,
        # Lightning counts calls of optimisers: with several in manual optimisation that is not the number of batches
        max_steps=job.task.n_steps if module.automatic_optimization else -1,
        check_val_every_n_epoch=None,
        val_check_interval=next_rung(job.rungs, done),
        callbacks=[progress],
        plugins=[file],
    )


def make_tester(job: FitJob) -> Trainer:
    """Return a trainer that measures the test split."""
    return Trainer(**{**_LEAN, **job.task.trainer_options})


def key_of(job: FitJob, n_threads: int | None) -> dict[str, Any]:
    """What makes two jobs the same fit, as plain data; ``stop_step`` and ``test`` are not part of it."""
    return {
        "versions": [__version__, str(torch.__version__), lightning.__version__, platform.machine()],
        "n_threads": n_threads or torch.get_num_threads(),
        "task": job.task.name,
        "settings": repr(sorted(job.task.settings.items())),
        "n_steps": job.task.n_steps,
        "metric": job.task.metric,
        "net": job.net,
        "spec": job.spec,
        "normalise": job.normalise,
        "study_seed": job.study_seed,
        "replicate": job.replicate,
        "learning_rate_factor": job.learning_rate_factor,
        "rungs": list(job.rungs),
        "fresh_data": job.fresh_data,
    }
