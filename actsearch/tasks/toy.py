"""Three intertwined spirals in the plane and a tiny MLP: a fit takes well under a second. For tests."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Literal

from actsearch.tasks.task import Task

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule
    from torch import nn

    from actsearch.tasks._classifier import Schedule
    from actsearch.tasks._tensors import Splits, TensorData

_N_CLASSES = 3
_STANDARD_SEED = 0


def make_task(
    n_steps: int = 60,
    batch_size: int = 64,
    learning_rate: float = 3e-2,
    schedule: Schedule = "cosine",
    width: int = 16,
    precision: Literal["32-true", "64-true"] = "32-true",
    activation_rate: float = 1.0,
) -> Task:
    """Return the task; nets: ``mlp`` (two hidden layers).

    Args:
        n_steps: batches of a whole fit.
        batch_size: examples a batch.
        learning_rate: Adam's.
        schedule: ``"constant"`` or ``"cosine"``.
        width: units of a hidden layer.
        precision: Lightning's; ``"64-true"`` for comparisons that rounding must not blur.
        activation_rate: multiplies the learning rate of what activations learn.
    """
    settings = locals().copy()
    net = partial(_mlp, width=width, learning_rate=learning_rate, schedule=schedule, activation_rate=activation_rate)
    return Task(
        name="toy",
        nets={"mlp": net},
        data=partial(_data, batch_size=batch_size),
        chance=1 / _N_CLASSES,
        n_steps=n_steps,
        settings=settings,
        takes_gain=True,
        sign_symmetric=("mlp",),
        trainer_options={"precision": precision},
    )


def _mlp(
    activation: Callable[[], nn.Module],
    gain: float = 1.0,
    *,
    width: int,
    learning_rate: float,
    schedule: Schedule,
    activation_rate: float,
) -> LightningModule:
    from actsearch.tasks._classifier import Classifier
    from actsearch.tasks._nets import MLP

    return Classifier(MLP(activation, (2, width, width, _N_CLASSES), gain), learning_rate, schedule, activation_rate)


def _data(seed: int | None = None, *, batch_size: int) -> TensorData:
    from actsearch.tasks._tensors import TensorData

    return TensorData(partial(_splits, _STANDARD_SEED if seed is None else seed), batch_size)


def _splits(seed: int) -> Splits:
    """Return 768 training, 768 validation and 1,536 test examples: x of shape (n, 2), classes 0 to 2."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    n = 768 * 4
    label = torch.arange(n) % _N_CLASSES
    radius = torch.rand(n, generator=generator, dtype=torch.float64).sqrt()
    angle = 4.0 * radius + 2 * math.pi * label / _N_CLASSES
    noise = 0.1 * torch.randn(n, 2, generator=generator, dtype=torch.float64)
    # a disc of radius 1 has variance 1/4 along each axis; times 2 makes it 1
    x = (2 * (torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1) + noise)).float()
    parts = [slice(0, 768), slice(768, 1536), slice(1536, n)]
    train, val, test = ((x[part], label[part]) for part in parts)
    return train, val, test
