"""What a fit does at each step and rung, as a Lightning callback."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from actsearch.errors import TaskError, suggest
from actsearch.tasks import _rng
from actsearch.tasks._lazy import materialise
from actsearch.tasks._learning_rate import scale_learning_rates
from actsearch.tasks._progress import Progress
from actsearch.tasks.fit import FitJob

# Lightning validates when the step is a multiple of a number; beyond the last rung that is a number never reached
_NEVER = 2**62


class Diverged(Exception):
    """A loss, a metric or a weight is NaN or infinite."""


class Session(Progress):
    """Measures at rungs and watches for divergence.

    Attributes:
        rows: a row a rung: (step, metric, validation loss, mean training loss since the rung before).
    """

    def __init__(self, job: FitJob) -> None:
        super().__init__(job)
        self.rows: list[tuple[int, float, float, float]] = []
        self.n_parameters = 0
        self._losses: list[float] = []
        self._seconds_before = 0.0
        self._metrics: dict[str, torch.Tensor] = {}

    @property
    def seconds(self) -> float:
        """Time since the fit began, that of resumed calls included."""
        return self._seconds_before + self.elapsed

    @property
    def reached(self) -> int:
        """The last step measured."""
        return self.rows[-1][0] if self.rows else 0

    def on_restored(self) -> None:
        """Take up the metrics: schedulers that watch one go on reading the last one between rungs."""
        self._trainer.callback_metrics.update(self._metrics)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give lazy parameters their shapes."""
        self._trainer = trainer
        if stage == "fit":
            materialise(pl_module, getattr(trainer, "datamodule", None))
            self.n_parameters = sum(part.numel() for part in pl_module.parameters() if part.requires_grad)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Scale learning rates; see that there is something to validate on."""
        self.check_validates(trainer)
        if self._resumed_at == 0:
            schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
            scale_learning_rates(trainer.optimizers, schedulers, self.job.learning_rate_factor)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the loss, and stop when it is not finite."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, torch.Tensor):
            value = loss.item()
            if not math.isfinite(value):
                raise Diverged(f"the training loss is {value} at step {self.step}")
            self._losses.append(value)
        if self.step in self.job.rungs:
            if (name := nonfinite_parameter(pl_module)) is not None:
                raise Diverged(f"{name} is not finite at step {self.step}")
            # validation may draw random numbers (its loaders do); training goes on as if it had not
            self._random = _rng.collect()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what was measured at the rung."""
        if self.step not in self.job.rungs:
            return  # the module stopped the training, and Lightning validates once more
        measured = trainer.callback_metrics
        metric = read_metric(measured, self.job.task.metric, self.job.where)
        loss = float(measured["val_loss"]) if "val_loss" in measured else math.nan
        self._check_finite(metric, loss if "val_loss" in measured else 0.0)
        train_loss = math.fsum(self._losses) / len(self._losses) if self._losses else math.nan
        self.rows.append((self.step, metric, loss, train_loss))
        self._losses = []
        trainer.val_check_batch = next_rung(self.job.rungs, self.step)
        assert self._random is not None
        _rng.restore(self._random)
        if self.step == self.job.task.n_steps:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return the curve so far and the random states."""
        return {
            "rows": self.rows,
            "step": self.step,
            "random": _rng.collect(),
            "seconds": self.seconds,
            "losses": self._losses,
            # schedulers that watch a metric go on reading the last one between rungs
            "metrics": dict(self._trainer.callback_metrics),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        self.rows = [tuple(row) for row in state_dict["rows"]]
        self._resumed_at = state_dict["step"]
        self._random = state_dict["random"]
        self._losses = list(state_dict["losses"])
        self._metrics = state_dict["metrics"]
        self._seconds_before = state_dict["seconds"]

    def _check_finite(self, metric: float, val_loss: float) -> None:
        for name, value in ((self.job.task.metric, metric), ("val_loss", val_loss)):
            if not math.isfinite(value):
                raise Diverged(f"{name} is {value} at step {self.step}")


def next_rung(rungs: tuple[int, ...], done: int) -> int:
    """Return the step at which to validate next."""
    return min((rung for rung in rungs if rung > done), default=_NEVER)


def nonfinite_parameter(module: LightningModule) -> str | None:
    """Return the name of a parameter that holds NaN or infinity; None when all are finite."""
    found = (name for name, parameter in module.named_parameters() if not torch.isfinite(parameter).all())
    return next(found, None)


def read_metric(measured: Any, name: str, where: str) -> float:
    """Return a metric that the module logged.

    Raises:
        TaskError: it logged no metric of that name.
    """
    if name not in measured:
        logged = ", ".join(sorted(measured)) or "nothing"
        raise TaskError(f"{where}: the module logs no {name!r}{suggest(name, measured)} (it logs: {logged})")
    return float(measured[name])
