"""Flipping the signs of weights maps training with f(-x) or -f(x) onto training with f, to the bit, in every net."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from actsearch.tasks.load import load_task

CELLS = [(task, net) for task in ("toy", "mnist1d", "digits") for net in load_task(task).nets]


class Formula(nn.Module):
    """An activation without symmetry of its own: sign_out * f(sign_in * x)."""

    def __init__(self, sign_in: int, sign_out: int) -> None:
        super().__init__()
        self.sign_in, self.sign_out = sign_in, sign_out

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.sign_in * x
        return self.sign_out * (x * torch.sigmoid(x) + 0.3 * torch.tanh(x))


@pytest.mark.parametrize(("task", "net"), CELLS)
@pytest.mark.parametrize(("sign_in", "sign_out"), [(-1, 1), (1, -1), (-1, -1)])
def test_training_is_mirrored(task: str, net: str, sign_in: int, sign_out: int) -> None:
    losses = _losses(task, net, lambda: Formula(1, 1), 1, 1)
    assert losses == _losses(task, net, lambda: Formula(sign_in, sign_out), sign_in, sign_out)
    assert losses != _losses(task, net, lambda: Formula(sign_in, sign_out), 1, 1)


def _losses(task: str, net: str, activation: Callable[[], nn.Module], sign_in: int, sign_out: int) -> list[float]:
    """Return training losses from weights that are flipped before (and so with their biases) and after activations."""
    torch.manual_seed(0)
    module = load_task(task).net(net)(activation=activation)
    layers = [part for part in module.modules() if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | Formula)]
    with torch.no_grad():
        for before, part, after in zip(layers, layers[1:], layers[2:], strict=False):
            if isinstance(part, Formula):
                before.weight.mul_(sign_in)
                assert not before.bias.any()  # flipping it would matter
                after.weight.mul_(sign_out)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    data = load_task(task).data()
    data.setup("fit")
    losses = []
    for step, batch in enumerate(data.train_dataloader()):
        if step == 5:
            break
        loss = module.training_step([part[:16] for part in batch], step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses
