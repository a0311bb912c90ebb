"""A Lightning callback that watches the activations of a model: to the logger, the progress bar and a CSV file."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from actsearch.nn.health import LayerHealth
from actsearch.nn.monitor import Monitor

_LOGGED = ("active", "dead", "saturated", "linear", "gradient", "low", "high", "outside")


class ActivationMonitor(Callback):
    """Logs the health of every activation at the end of each training epoch, and warns once of what is wrong.

    Logged are ``activation/LAYER/active``, ``dead``, ``saturated``, ``linear``, ``gradient``, ``low``, ``high`` and
    ``outside`` (see :class:`~actsearch.nn.health.LayerHealth`), so that W&B, CSV and TensorBoard loggers have them; the
    progress bar shows the largest ``dead`` and the mean ``active``.

    Args:
        every: sample one step in so many.
        channel_dim: as for :class:`~actsearch.nn.monitor.Monitor`.
        csv: a file for the whole history, rewritten each epoch; None: none.

    Attributes:
        monitor: the monitor of the fit; None before it.

    Example:
        >>> callback = ActivationMonitor(every=20)
        >>> trainer = Trainer(callbacks=[callback], logger=False, enable_checkpointing=False)
    """

    def __init__(self, *, every: int = 100, channel_dim: int | None = None, csv: str | Path | None = None) -> None:
        self.every = every
        self.channel_dim = channel_dim
        self.csv = csv
        self.monitor: Monitor | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the monitor."""
        self.monitor = Monitor(pl_module, every=self.every, channel_dim=self.channel_dim, count_calls=False)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Count a step."""
        if self.monitor is not None:
            self.monitor.begin_step()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log what was seen."""
        rows = self.monitor.end_epoch() if self.monitor is not None else ()
        if self.monitor is None or not rows:
            return
        pl_module.log_dict(
            {f"activation/{row.name}/{key}": value for row in rows for key, value in _finite(row).items()}
        )
        dead = [row.dead for row in rows if math.isfinite(row.dead)]
        pl_module.log("active", sum(row.active for row in rows) / len(rows), prog_bar=True, logger=False)
        if dead:
            pl_module.log("dead", max(dead), prog_bar=True, logger=False)
        if self.csv is not None:
            self.monitor.to_csv(self.csv)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the hooks away, after errors too."""
        if self.monitor is not None:
            self.monitor.detach()


def _finite(row: LayerHealth) -> dict[str, float]:
    return {key: value for key, value in asdict(row).items() if key in _LOGGED and math.isfinite(value)}
