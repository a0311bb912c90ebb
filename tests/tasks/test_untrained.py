"""A net before training: the weights and data that a fit begins with, looked at without moving anything."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from actsearch.errors import TaskError
from actsearch.tasks._build import build_module
from actsearch.tasks.load import load_task
from actsearch.tasks.untrained import untrained
from tasks import own_model as own
from tasks.jobs import job, own_task


class AskingNet(own.Net):
    """Asks for a number in its step, which functional transforms refuse."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
        assert loss.item() >= 0
        return loss


def test_it_is_what_a_fit_begins_with() -> None:
    state = torch.get_rng_state()
    wanted = job(load_task("mnist1d"), (10,), net="residual", spec="silu")
    made = untrained(wanted, n_examples=20)
    assert torch.equal(torch.get_rng_state(), state)
    fresh = build_module(wanted).state_dict()
    assert all(torch.equal(part, fresh[name]) for name, part in made.module.state_dict().items())
    assert made.n_examples == len(made.inputs) == 20
    assert made.outputs().shape == (20, 10)
    assert torch.equal(untrained(wanted, n_examples=20).inputs, made.inputs)
    assert torch.equal(untrained(job(load_task("mnist1d"), (10,), net="residual"), 20).inputs, made.inputs)


@pytest.mark.parametrize("net", [own.Net, AskingNet])
def test_gradients_of_each_example_alone(net: type[own.Net]) -> None:
    made = untrained(job(own_task(net, own.Data), (10,), spec="tanh"))
    x, y = made.batch
    rows = []
    for i in range(made.n_examples):
        loss = torch.nn.functional.mse_loss(made.module.net(x[i : i + 1]), y[i : i + 1])
        rows.append(torch.cat([part.flatten() for part in torch.autograd.grad(loss, made.weights)]))
    torch.testing.assert_close(made.loss_gradients(), torch.stack(rows))
    torch.testing.assert_close(made.loss(), sum(((made.module.net(x) - y) ** 2).mean(1)) / len(x))
    with pytest.raises(TaskError, match=r"the net \w+ has no forward"):
        made.outputs()


def test_batch_normalisation_has_the_statistics_of_the_batch() -> None:
    made = untrained(job(own_task(own.Net, own.Data), (10,)))
    assert not made.module.training
    norm = made.module.net[1]
    before = made.module.net[0](made.inputs)
    torch.testing.assert_close(norm.running_mean, before.mean(0))
    torch.testing.assert_close(norm.running_var, before.var(0))
    assert norm.momentum == 0.1


def test_what_cannot_be_looked_at() -> None:
    with pytest.raises(TaskError, match="optimises by hand"):
        untrained(job(own_task(own.ManualNet, own.Data), (10,)))
