"""The small parts of a fit: seeds, nets, streams, batches, learning rates."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from actsearch.nn.make import make
from actsearch.tasks import _rng
from actsearch.tasks._learning_rate import scale_learning_rates
from actsearch.tasks._nets import MLP, Conv1dNet, Conv2dNet, ResidualMLP
from actsearch.tasks._stream import Stream
from actsearch.tasks._tensors import Batches
from actsearch.tasks.load import load_task
from actsearch.tasks.seeds import derive_seed


def test_seeds_differ_by_everything_but_the_candidate_and_are_stable() -> None:
    base: dict[str, Any] = {"study_seed": 0, "task": "t", "net": "n", "replicate": 0, "purpose": "init"}
    changes: list[dict[str, Any]] = [
        {"study_seed": 1}, {"task": "u"}, {"net": "m"}, {"replicate": 1}, {"purpose": "order"}, {"purpose": "dropout"},
    ]  # fmt: skip
    seeds = [derive_seed(**base), *(derive_seed(**base | change) for change in changes)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    # fixed for ever: a change would make old studies impossible to continue
    assert derive_seed(0, "toy", "mlp", 0, "init") == 527_771_732


def test_nets_of_a_replicate_share_their_data() -> None:
    assert derive_seed(0, "t", "a", 1, "data") == derive_seed(0, "t", "b", 1, "data")


@pytest.mark.parametrize(
    ("net", "n_parameters"), [("mlp", 15_210), ("deep", 32_394), ("residual", 54_090), ("conv", 5_210)]
)
def test_nets_have_the_published_sizes(net: str, n_parameters: int) -> None:
    """15,210 and 5,210 are the paper's MLP and CNN."""
    module = load_task("mnist1d").net(net)(activation=nn.ReLU)
    assert sum(parameter.numel() for parameter in module.parameters()) == n_parameters


def test_deep_has_eight_activations_and_no_normalisation_and_residual_six() -> None:
    deep, residual = (load_task("mnist1d").net(net)(activation=nn.ReLU) for net in ("deep", "residual"))
    kinds = [type(part) for part in deep.modules()]
    assert kinds.count(nn.ReLU) == 8
    assert not {nn.LayerNorm, nn.BatchNorm1d} & set(kinds)
    assert [type(part) for part in residual.modules()].count(nn.ReLU) == 6


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda f, gain: MLP(f, (40, 64, 64, 10), gain), (40,)),
        (lambda f, gain: ResidualMLP(f, 40, 10, 64, 6, gain), (40,)),
        (lambda f, gain: Conv1dNet(f, 10, gain=gain), (40,)),
        (lambda f, gain: Conv2dNet(f, 10, gain=gain), (1, 8, 8)),
    ],
)
def test_nets_give_every_activation_a_module_of_its_own_and_biases_start_at_zero(make: Any, shape: Any) -> None:
    made: list[nn.Module] = []

    def factory() -> nn.Module:
        made.append(nn.Tanh())
        return made[-1]

    net = make(factory, 1.5)
    assert len({id(part) for part in made}) == len([part for part in net.modules() if isinstance(part, nn.Tanh)]) > 1
    assert net(torch.randn(3, *shape)).shape == (3, 10)
    assert all(not value.any() for name, value in net.named_parameters() if name.endswith("bias"))


def test_a_deep_net_keeps_the_scale_of_its_activations_with_the_right_gain() -> None:
    torch.manual_seed(0)
    x = torch.randn(500, 40)
    for activation, gain in ((nn.ReLU, 2**0.5), (nn.Tanh, 1.5925)):
        sizes = (40, *[256] * 8, 256)
        with torch.no_grad():
            assert MLP(activation, sizes, gain)(x).std().item() == pytest.approx(1.0, abs=0.4)


def test_batches_cover_an_epoch_in_a_new_order() -> None:
    x, y = torch.arange(10.0), torch.arange(10)
    batches = Batches((x, y), 4, shuffle=True)
    first, second = ([row for batch in batches for row in batch[1].tolist()] for _ in range(2))
    assert len(batches) == 2
    assert len(first) == len(set(first)) == 8
    assert first != second
    assert [len(part) for part, _ in Batches((x, y), 4)] == [4, 4, 2] == [4] * 2 + [len(y) % 4]
    assert len(Batches((x, y), 4)) == 3
    assert len(Batches((x, y), 99, shuffle=True)) == 1


class Here:
    """A position that stays where it is put."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.epoch, self.batch = epoch, batch
        self.n_before = 0

    def before_batch(self) -> None:
        self.n_before += 1


@pytest.mark.filterwarnings("ignore:`isinstance:FutureWarning")
@pytest.mark.parametrize("kind", ["batches", "loader", "combined"])
def test_a_stream_goes_on_where_it_was(kind: str) -> None:
    data = torch.arange(12.0), torch.arange(12)
    loader: Any = Batches(data, 3, shuffle=True)
    if kind != "batches":
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data), batch_size=3, shuffle=True)
    if kind == "combined":
        loader = [loader, loader]

    def seen(epoch: int, batch: int) -> list[str]:
        return [str(part) for part in Stream(loader, 5, Here(epoch, batch))]

    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert len(Stream(loader, 5, Here(0, 0))) == len(seen(0, 0)) == 4
    assert seen(0, 2) == seen(0, 0)[2:]
    assert seen(1, 0) != seen(0, 0)
    assert torch.equal(torch.get_rng_state(), state)


def test_random_states_go_round_through_plain_data() -> None:
    with _rng.preserved():
        _rng.seed_all(3)
        np.random.randn()  # noqa: NPY002 - leaves half a pair behind
        states = _rng.collect()

        def draws() -> Any:
            return torch.rand(2).tolist(), random.random(), np.random.randn(3).tolist()  # noqa: NPY002

        first = draws()
        _rng.restore(states)
        assert draws() == first


@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5),
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 8),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=9),
        lambda o: torch.optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, cycle_momentum=False),
        lambda o: torch.optim.lr_scheduler.SequentialLR(
            o,
            [torch.optim.lr_scheduler.LinearLR(o, 0.1, 1.0, 3), torch.optim.lr_scheduler.ExponentialLR(o, 0.9)],
            [3],
        ),
        lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=2),
    ],
)
@pytest.mark.filterwarnings("ignore:The epoch parameter in")
def test_the_factor_scales_the_whole_schedule(schedule: Any) -> None:
    def rates(factor: float) -> list[float]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler = schedule(optimizer)
        scale_learning_rates([optimizer], [scheduler], factor)
        seen = []
        for _ in range(8):
            seen.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step(1.0) if isinstance(
                scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau
            ) else scheduler.step()
        return seen

    assert rates(3.0) == pytest.approx([3 * rate for rate in rates(1.0)])


@pytest.mark.parametrize("task", ["toy", "mnist1d", "digits"])
def test_what_activations_learn_can_have_a_rate_of_its_own(task: str) -> None:
    made = load_task(task, activation_rate=0.1, schedule="constant")
    module = made.net(next(iter(made.nets)))(activation=lambda: make("x * sigmoid(beta[1.0] * x)"))
    weights, activations = module.configure_optimizers().param_groups
    assert activations["lr"] == pytest.approx(0.1 * weights["lr"])
    assert all(parameter.numel() == 1 for parameter in activations["params"])
    assert len(weights["params"]) + len(activations["params"]) == len(list(module.parameters()))
