"""What a fit does at each step and rung, as a Lightning callback."""

from __future__ import annotations

import copy
import math
import time
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer

from actsearch.errors import TaskError, suggest
from actsearch.tasks import _build, _rng
from actsearch.tasks._lazy import materialise
from actsearch.tasks._learning_rate import scale_learning_rates
from actsearch.tasks._stream import Stream
from actsearch.tasks.fit import FitJob

# Lightning validates when the step is a multiple of a number; beyond the last rung that is a number never reached
_NEVER = 2**62


class Suspended(Exception):
    """The fit has come to its ``stop_step`` and left its state."""


class Diverged(Exception):
    """A loss, a metric or a weight is NaN or infinite."""


class Session(Callback):
    """Measures at rungs, watches for divergence, and suspends the fit at its ``stop_step``.

    Attributes:
        rows: a row a rung: (step, metric, validation loss, mean training loss since the rung before).
        started: a step of training was about to begin.
    """

    def __init__(self, job: FitJob) -> None:
        self.job = job
        self.rows: list[tuple[int, float, float, float]] = []
        self.started = False
        self.n_parameters = 0
        self._losses: list[float] = []
        self._begin = time.perf_counter()
        self._seconds_before = 0.0
        self._resumed_at = 0
        self._random: dict[str, Any] | None = None
        self._metrics: dict[str, torch.Tensor] = {}
        self._trainer: Trainer

    # Where the training is (for Stream)

    @property
    def epoch(self) -> int:
        """Epochs completed."""
        return self._trainer.current_epoch

    @property
    def batch(self) -> int:
        """Batches trained in this epoch."""
        return self._trainer.fit_loop.batch_idx + 1

    @property
    def step(self) -> int:
        """Batches trained in all."""
        return self._trainer.fit_loop.total_batch_idx + 1

    @property
    def seconds(self) -> float:
        """Time since the fit began, that of resumed calls included."""
        return self._seconds_before + time.perf_counter() - self._begin

    def wrap(self, data: LightningDataModule) -> LightningDataModule:
        """Return the data with the order of its batches seeded; ``data`` itself stays as it is."""
        wrapped = copy.copy(data)
        loader = wrapped.train_dataloader
        order = _build.seed(self.job, "order")
        wrapped.train_dataloader = lambda: Stream(loader(), order, self)  # type: ignore[method-assign]
        return wrapped

    def before_batch(self) -> None:
        """Start or restore the random states before the first step; suspend the fit where it is to stop."""
        self.started = True
        if self.step == self._resumed_at:
            if self._random is None:
                _rng.seed_all(_build.seed(self.job, "dropout"))
            else:
                _rng.restore(self._random)
                self._trainer.callback_metrics.update(self._metrics)
        if self.step == self.job.stop_step:
            if self.job.state_path is not None and self.step != self._resumed_at:
                self._trainer.save_checkpoint(self.job.state_path, weights_only=False)
            raise Suspended

    def check_whole(self) -> None:
        """See that training came to its end by itself.

        Raises:
            TaskError: something stopped it early; fits of different lengths cannot be compared.
        """
        if not self.rows or self.rows[-1][0] < self.job.stop_step:
            raise TaskError(
                f"{self.job.where}: training ended at step {self.step} of {self.job.stop_step}; "
                "early stopping, or a module that ends its training, makes fits that cannot be compared"
            )

    # Hooks

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give lazy parameters their shapes."""
        self._trainer = trainer
        if stage == "fit":
            materialise(pl_module, getattr(trainer, "datamodule", None))
            self.n_parameters = sum(part.numel() for part in pl_module.parameters() if part.requires_grad)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Scale learning rates; see that there is something to validate on."""
        if not trainer.enable_validation or not trainer.num_val_batches:
            raise TaskError(
                f"{self.job.where}: no validation; the data need val_dataloader, the module validation_step"
            )
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
