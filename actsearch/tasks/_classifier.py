"""The LightningModule of the shipped tasks: classification with Adam."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from torch import nn

from actsearch.nn.optim import parameter_groups

Schedule = Literal["constant", "cosine"]


class Classifier(LightningModule):
    """A net with logits out, trained on cross-entropy.

    The optimiser is Adam without weight decay. Adam, because its steps do not depend on the scale of gradients, which
    differs by orders of magnitude between activations; and because the MNIST-1D paper uses it. No weight decay, so
    none on the parameters of activations either, whose start values mean something.

    Args:
        net: maps inputs to logits of shape (batch, classes).
        learning_rate: Adam's.
        schedule: ``"cosine"`` falls to zero over the Trainer's ``max_steps``, the task's ``n_steps``: it does not
            depend on where a fit stops.
        activation_rate: factor of the learning rate of what activations learn.
    """

    def __init__(self, net: nn.Module, learning_rate: float, schedule: Schedule, activation_rate: float = 1.0) -> None:
        super().__init__()
        self.net = net
        self.loss = nn.CrossEntropyLoss()
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.activation_rate = activation_rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (batch, classes)."""
        return self.net(x)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Return the batch's mean cross-entropy."""
        x, y = batch
        loss: torch.Tensor = self.loss(self.net(x), y)
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> None:
        """Log ``val_accuracy`` and ``val_loss``."""
        self._measure("val", *batch)

    def test_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> None:
        """Log ``test_accuracy`` and ``test_loss``."""
        self._measure("test", *batch)

    def configure_optimizers(self) -> Any:
        """Return Adam, with the schedule when it is not constant."""
        # one fused pass over all weights: a third of the time of Adam's loop on small nets
        optimizer = torch.optim.Adam(self._parameters_or_groups(), lr=self.learning_rate, fused=True)
        if self.schedule == "constant":
            return optimizer
        n_steps = self.trainer.max_steps

        def cosine(step: int) -> float:
            return 0.5 * (1 + math.cos(math.pi * min(step / n_steps, 1.0)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _parameters_or_groups(self) -> Any:
        if self.activation_rate == 1.0:
            return self.parameters()
        return parameter_groups(self, activation_lr=self.learning_rate * self.activation_rate)

    def _measure(self, split: str, x: torch.Tensor, y: torch.Tensor) -> None:
        logits = self.net(x)
        accuracy = (logits.argmax(dim=1) == y).to(logits.dtype).mean()
        values = {f"{split}_accuracy": accuracy, f"{split}_loss": self.loss(logits, y)}
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(y))
