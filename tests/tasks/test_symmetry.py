"""Flipping the signs of weights maps training with f(-x) or -f(x) onto training with f, to the bit, in every net."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import nn

from actsearch.errors import TaskError
from actsearch.tasks._classifier import Classifier
from actsearch.tasks.lightning_task import lightning_task
from actsearch.tasks.load import load_task, task_names

MIRRORS = [(-1, 1), (1, -1), (-1, -1)]
CELLS = [(task, net) for task in task_names() for net in load_task(task).nets]
Make = Callable[[], nn.Module]
Build = Callable[[Make], LightningModule]


class Formula(nn.Module):
    """An activation without symmetry of its own: sign_out * f(sign_in * x), with a parameter that learns."""

    def __init__(self, sign_in: int, sign_out: int) -> None:
        super().__init__()
        self.sign_in, self.sign_out = sign_in, sign_out
        self.slope = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.sign_in * x
        return self.sign_out * (x * torch.sigmoid(x) + self.slope * torch.tanh(x))


@pytest.mark.parametrize(("task", "net"), CELLS)
@pytest.mark.parametrize("signs", MIRRORS)
def test_training_is_mirrored_where_a_task_says_so(task: str, net: str, signs: tuple[int, int]) -> None:
    made = load_task(task)

    def build(activation: Make) -> LightningModule:
        return made.net(net)(activation=activation)

    losses = _losses(task, build, (1, 1), (1, 1))
    is_mirrored = losses == _losses(task, build, signs, signs)
    assert is_mirrored == (net in made.sign_symmetric)
    assert losses != _losses(task, build, signs, (1, 1))


class Skip(nn.Module):
    """An activation's output beside its input."""

    def __init__(self, activation: Make) -> None:
        super().__init__()
        self.activation = activation()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.activation(x)


class Pool(Skip):
    """The larger of neighbours."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.max_pool1d(self.activation(x), 2)


@pytest.mark.parametrize("after", [Skip, Pool])
def test_nets_that_see_more_of_an_activation_tell_mirror_images_apart(after: Callable[[Make], nn.Module]) -> None:
    def build(activation: Make) -> LightningModule:
        first, last = nn.Linear(40, 16), nn.LazyLinear(10)
        nn.init.zeros_(first.bias)
        body = nn.Sequential(first, after(activation), last)
        body(torch.zeros(1, 40))
        return Classifier(body, 1e-2, "constant")

    assert _losses("mnist1d", build, (1, 1), (1, 1)) != _losses("mnist1d", build, (1, -1), (1, -1))


@pytest.mark.parametrize(("said", "nets"), [(False, ()), (True, ("a", "b")), ("a", ("a",)), (["b"], ("b",))])
def test_one_s_own_nets_are_symmetric_if_one_says_so(said: Any, nets: tuple[str, ...]) -> None:
    assert lightning_task({"a": dict, "b": dict}, dict, sign_symmetric=said).sign_symmetric == nets


def test_a_net_that_is_not_there_is_one_sentence() -> None:
    message = r"^sign_symmetric names 'deeep', which is no net; did you mean 'deep'\? \(known: deep\)$"
    with pytest.raises(TaskError, match=message):
        lightning_task({"deep": dict}, dict, sign_symmetric=["deeep"])


def _losses(task: str, build: Build, formula: tuple[int, int], flipped: tuple[int, int]) -> list[float]:
    """Return training losses from weights that are flipped before (and so with their biases) and after activations."""
    torch.manual_seed(0)
    module = build(lambda: Formula(*formula))
    layers = [part for part in module.modules() if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | Formula)]
    with torch.no_grad():
        for before, part, after in zip(layers, layers[1:], layers[2:], strict=False):
            if isinstance(part, Formula):
                before.weight.mul_(flipped[0])
                assert not before.bias.any()  # flipping it would matter
                after.weight.mul_(flipped[1])
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    return [_step(module, optimizer, batch, number) for number, batch in enumerate(_batches(task))]


def _batches(task: str) -> list[list[torch.Tensor]]:
    data = load_task(task).data()
    data.setup("fit")
    return [[part[:16] for part in batch] for batch in islice(data.train_dataloader(), 5)]


def _step(module: LightningModule, optimizer: torch.optim.Optimizer, batch: list[torch.Tensor], number: int) -> float:
    loss = module.training_step(batch, number)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())
