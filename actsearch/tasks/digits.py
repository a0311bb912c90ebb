"""Handwritten digits of 8 x 8 pixels, shipped with scikit-learn, and a small convolutional net.

Reference: Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from actsearch.tasks.task import Task

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule
    from torch import nn

    from actsearch.tasks._classifier import Schedule
    from actsearch.tasks._tensors import Splits, TensorData

_N_CLASSES = 10
_STANDARD_SEED = 0
# of 1,797 images
_N_VAL, _N_TEST = 400, 400


def make_task(
    n_steps: int = 200,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    schedule: Schedule = "cosine",
    activation_rate: float = 1.0,
) -> Task:
    """Return the task; nets: ``conv`` (three convolutions of 16 channels).

    Args:
        n_steps: batches of a whole fit.
        batch_size: examples a batch.
        learning_rate: Adam's.
        schedule: ``"constant"`` or ``"cosine"``, over ``n_steps``.
        activation_rate: multiplies the learning rate of what activations learn.
    """
    settings = locals().copy()
    net = partial(_conv, learning_rate=learning_rate, schedule=schedule, activation_rate=activation_rate)
    return Task(
        name="digits",
        nets={"conv": net},
        data=partial(_data, batch_size=batch_size),
        chance=1 / _N_CLASSES,
        n_steps=n_steps,
        settings=settings,
        takes_gain=True,
        sign_symmetric=("conv",),
    )


def _conv(
    activation: Callable[[], nn.Module],
    gain: float = 1.0,
    *,
    learning_rate: float,
    schedule: Schedule,
    activation_rate: float,
) -> LightningModule:
    from actsearch.tasks._classifier import Classifier
    from actsearch.tasks._nets import Conv2dNet

    return Classifier(Conv2dNet(activation, _N_CLASSES, gain=gain), learning_rate, schedule, activation_rate)


def _data(seed: int | None = None, *, batch_size: int) -> TensorData:
    from actsearch.tasks._tensors import TensorData

    return TensorData(partial(_splits, _STANDARD_SEED if seed is None else seed), batch_size)


@lru_cache(maxsize=2)
def _splits(seed: int) -> Splits:
    """Return 997 training, 400 validation and 400 test images, split anew by each seed, classes in proportion.

    x has shape (n, 1, 8, 8), float32, standardised by mean and deviation of the training split; y is 0 to 9.
    """
    import numpy as np
    import torch
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    rows = np.arange(len(labels))
    rest, test = train_test_split(rows, test_size=_N_TEST, stratify=labels, random_state=seed)
    train, val = train_test_split(rest, test_size=_N_VAL, stratify=labels[rest], random_state=seed)
    mean, deviation = images[train].mean(), images[train].std()
    x = torch.from_numpy(((images - mean) / deviation).astype(np.float32).reshape(-1, 1, 8, 8))
    y = torch.from_numpy(labels.astype(np.int64))
    parts = [torch.from_numpy(part) for part in (train, val, test)]
    first, second, third = ((x[part], y[part]) for part in parts)
    return first, second, third
