"""MNIST-1D: ten classes of noisy signals of 40 points, small and yet hard enough to tell nets apart.

Reference: Greydanus & Kobak 2024, "Scaling Down Deep Learning with MNIST-1D", arXiv:2011.14439.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from actsearch.errors import TaskError
from actsearch.tasks.task import Task

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule
    from torch import nn

    from actsearch.tasks._classifier import Schedule
    from actsearch.tasks._tensors import TensorData

_N_INPUTS, _N_CLASSES = 40, 10
# Where the validation accuracy of relu and silu together was best, of 1, 2, 4, 8, 16 e-3, after 400 steps (two seeds),
# rounded down: deep nets of other activations stand less than these two do. Finals try thrice and a third of it.
_LEARNING_RATES = {"mlp": 1e-2, "deep": 5e-3, "residual": 3e-3, "conv": 1e-2}


def make_task(
    n_steps: int = 400,
    batch_size: int = 100,
    learning_rate: float | None = None,
    schedule: Schedule = "cosine",
    width: float = 1.0,
    activation_rate: float = 1.0,
) -> Task:
    """Return the task. Nets, cheapest first:

    - ``mlp``: the paper's size, 40-100-100-10;
    - ``deep``: eight hidden layers of 64, without normalisation layers;
    - ``residual``: six pre-norm residual blocks of 64;
    - ``conv``: the paper's CNN of 5,210 weights.

    Args:
        n_steps: batches of a whole fit.
        batch_size: examples a batch; the paper's is 100.
        learning_rate: Adam's; None: a good one for each net.
        schedule: ``"constant"`` or ``"cosine"``, over ``n_steps``.
        width: multiplies the width of hidden layers, as a control for activations that add weights.
        activation_rate: multiplies the learning rate of what activations learn.

    Raises:
        TaskError: a hidden layer would have no unit.
    """
    if not 1 / 25 <= width < float("inf"):
        raise TaskError(f"width is {width}; at least 0.04 is allowed, which leaves a unit in each hidden layer")
    rates = {net: learning_rate or rate for net, rate in _LEARNING_RATES.items()}
    return Task(
        name="mnist1d",
        nets={
            net: partial(_net, net, learning_rate=rate, schedule=schedule, width=width, activation_rate=activation_rate)
            for net, rate in rates.items()
        },
        data=partial(_data, batch_size=batch_size),
        chance=1 / _N_CLASSES,
        n_steps=n_steps,
        settings={
            "n_steps": n_steps,
            "batch_size": batch_size,
            "learning_rate": rates,
            "schedule": schedule,
            **({"width": width} if width != 1 else {}),
            **({"activation_rate": activation_rate} if activation_rate != 1 else {}),
        },
        takes_gain=True,
        sign_symmetric=tuple(rates),
    )


def _net(
    name: str,
    activation: Callable[[], nn.Module],
    gain: float = 1.0,
    *,
    learning_rate: float,
    schedule: Schedule,
    width: float,
    activation_rate: float,
) -> LightningModule:
    from actsearch.tasks._classifier import Classifier
    from actsearch.tasks._nets import MLP, Conv1dNet, ResidualMLP

    n = round(width * {"mlp": 100, "deep": 64, "residual": 64, "conv": 25}[name])
    bodies: dict[str, Callable[[], nn.Module]] = {
        "mlp": lambda: MLP(activation, (_N_INPUTS, n, n, _N_CLASSES), gain),
        "deep": lambda: MLP(activation, (_N_INPUTS, *[n] * 8, _N_CLASSES), gain),
        "residual": lambda: ResidualMLP(activation, _N_INPUTS, _N_CLASSES, width=n, n_blocks=6, gain=gain),
        "conv": lambda: Conv1dNet(activation, _N_CLASSES, channels=n, gain=gain),
    }
    return Classifier(bodies[name](), learning_rate, schedule, activation_rate)


def _data(seed: int | None = None, *, batch_size: int) -> TensorData:
    from actsearch.tasks._mnist1d_data import splits
    from actsearch.tasks._tensors import TensorData

    return TensorData(partial(splits, seed), batch_size)
