"""Where a fit is: the steps trained, the seeded stream of batches, the random states, the stop at a rung."""

from __future__ import annotations

import copy
import time
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, Trainer

from actsearch.errors import TaskError
from actsearch.tasks import _build, _rng
from actsearch.tasks._stream import Stream
from actsearch.tasks.fit import FitJob


class Suspended(Exception):
    """The fit has come to its ``stop_step`` and left its state."""


class Progress(Callback):
    """Counts steps, seeds batches, and suspends the fit at its ``stop_step``.

    Attributes:
        started: a step of training was about to begin.
    """

    def __init__(self, job: FitJob) -> None:
        self.job = job
        self.started = False
        self._begin = time.perf_counter()
        self._resumed_at = 0
        self._random: dict[str, Any] | None = None
        self._trainer: Trainer

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
    def elapsed(self) -> float:
        """Seconds since this call began."""
        return time.perf_counter() - self._begin

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
                self.on_restored()
        if self.step == self.job.stop_step:
            if self.step != self._resumed_at:
                self.save()
            raise Suspended

    def on_restored(self) -> None:
        """Called when the random states of a resumed fit have been restored."""

    def save(self) -> None:
        """Leave the state in its file, where the job names one."""
        if self.job.state_path is not None:
            self._trainer.save_checkpoint(self.job.state_path, weights_only=False)

    def check_whole(self, reached: int) -> None:
        """See that training came to its end by itself; ``reached`` is the last step measured.

        Raises:
            TaskError: something stopped it early; fits of different lengths cannot be compared.
        """
        if reached < self.job.stop_step:
            raise TaskError(
                f"{self.job.where}: training ended at step {self.step} of {self.job.stop_step}; "
                "early stopping, or a module that ends its training, makes fits that cannot be compared"
            )

    def check_validates(self, trainer: Trainer) -> None:
        """See that there is something to validate on.

        Raises:
            TaskError: there is no validation loader, or no validation step.
        """
        if not trainer.enable_validation or not trainer.num_val_batches:
            raise TaskError(
                f"{self.job.where}: no validation; the data need val_dataloader, the module validation_step"
            )
