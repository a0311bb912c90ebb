"""Run a job through Lightning's Trainer."""

from __future__ import annotations

import math
import platform
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from actsearch import __version__
from actsearch.errors import TaskError
from actsearch.tasks import _build, _rng
from actsearch.tasks._session import Diverged, Session, Suspended, next_rung, nonfinite_parameter, read_metric
from actsearch.tasks._state import StateFile, read_state
from actsearch.tasks._surroundings import surroundings
from actsearch.tasks.fit import FitJob, FitResult

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


class _Unusable(Exception):
    """The state belongs to the job, and yet cannot be loaded: the user's module or data have changed."""


def run(job: FitJob, n_threads: int | None) -> FitResult:
    """Fit, resuming from the job's state where there is one."""
    with surroundings(n_threads):
        key = _key(job, n_threads)
        state = read_state(job.state_path, key)
        if state is not None and _steps_done(state) <= job.stop_step:
            try:
                return _fit(job, StateFile(key, state))
            except _Unusable:
                pass
        return _fit(job, StateFile(key, None))


def _fit(job: FitJob, file: StateFile) -> FitResult:
    session = Session(job)
    module = _build.build_module(job)
    data = session.wrap(_build.build_data(job))
    trainer = _trainer(job, session, file, module)
    resuming = file.state is not None
    reason = ""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=job.state_path if resuming else None)
        session.check_whole()
        if job.state_path is not None:
            trainer.save_checkpoint(job.state_path, weights_only=False)
    except Suspended:
        pass
    except Diverged as diverged:
        reason = str(diverged)
    except Exception as error:
        if resuming and not session.started:
            raise _Unusable from error
        if nonfinite_parameter(module) is None:
            if isinstance(error, MisconfigurationException):
                raise TaskError(f"{job.where}: {error}") from error
            raise
        reason = f"{type(error).__name__} at step {session.step}, the weights being no longer finite"
    test_metric = _test(job, module, data) if job.test and not reason else None
    return _result(job, session, module, reason, test_metric)


def _trainer(job: FitJob, session: Session, file: StateFile, module: LightningModule) -> Trainer:
    done = 0 if file.state is None else _steps_done(file.state)
    return Trainer(
        **{**_LEAN, **job.task.trainer_options, **({} if job.logger is None else {"logger": job.logger()})},
        max_epochs=-1,
        # Lightning counts calls of optimisers: with several in manual optimisation that is not the number of batches
        max_steps=job.task.n_steps if module.automatic_optimization else -1,
        check_val_every_n_epoch=None,
        val_check_interval=next_rung(job.rungs, done),
        callbacks=[session],
        plugins=[file],
    )


def _test(job: FitJob, module: LightningModule, data: LightningDataModule) -> float:
    _rng.seed_all(_build.seed(job, "dropout"))
    trainer = Trainer(**{**_LEAN, **job.task.trainer_options})
    trainer.test(module, datamodule=data, verbose=False)
    return read_metric(trainer.callback_metrics, job.task.test_metric, job.where)


def _result(
    job: FitJob, session: Session, module: LightningModule, reason: str, test_metric: float | None
) -> FitResult:
    rows = list(session.rows)
    chance = math.nan if job.task.chance is None else job.task.chance
    reached = rows[-1][0] if rows else 0
    # a diverged fit is worth a guess at every rung that it did not reach
    rows += [(rung, chance, math.nan, math.nan) for rung in job.rungs if reached < rung <= job.stop_step]
    steps, metric, val_loss, train_loss = zip(*rows, strict=True)
    return FitResult(
        steps=steps,
        metric=metric,
        val_loss=val_loss,
        train_loss=train_loss,
        status="diverged" if reason else "finished",
        reason=reason,
        seconds=session.seconds,
        n_parameters=session.n_parameters,
        test_metric=chance if reason and job.test else test_metric,
        learned=None if reason else _build.learned(module),
    )


def _steps_done(state: dict[str, Any]) -> int:
    return int(state["callbacks"][Session.__qualname__]["step"])


def _key(job: FitJob, n_threads: int | None) -> dict[str, Any]:
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
