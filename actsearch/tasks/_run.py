"""Run a job through Lightning's Trainer."""

from __future__ import annotations

from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule

from actsearch.errors import TaskError
from actsearch.tasks import _build, _rng
from actsearch.tasks._progress import Suspended
from actsearch.tasks._result import make_result
from actsearch.tasks._session import Diverged, Session, nonfinite_parameter, read_metric
from actsearch.tasks._state import StateFile, read_state
from actsearch.tasks._surroundings import surroundings
from actsearch.tasks._trainer import key_of, make_tester, make_trainer
from actsearch.tasks.fit import FitJob, FitResult


class _Unusable(Exception):
    """The state belongs to the job, and yet cannot be loaded: the user's module or data have changed."""


def run(job: FitJob, n_threads: int | None) -> FitResult:
    """Fit, resuming from the job's state where there is one."""
    with surroundings(n_threads):
        key = key_of(job, n_threads)
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
    done = 0 if file.state is None else _steps_done(file.state)
    trainer = make_trainer(job, session, file, module, done)
    resuming = file.state is not None
    reason = ""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=job.state_path if resuming else None)
        session.check_whole(session.reached)
        session.save()
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
    return make_result(
        job,
        session.rows,
        reason,
        seconds=session.seconds,
        n_parameters=session.n_parameters,
        test_metric=test_metric,
        learned=None if reason else _build.learned(job, _build.activations_of(module)),
    )


def _test(job: FitJob, module: LightningModule, data: LightningDataModule) -> float:
    _rng.seed_all(_build.seed(job, "dropout"))
    trainer = make_tester(job)
    trainer.test(module, datamodule=data, verbose=False)
    return read_metric(trainer.callback_metrics, job.task.test_metric, job.where)


def _steps_done(state: dict[str, Any]) -> int:
    return int(state["callbacks"][Session.__qualname__]["step"])
