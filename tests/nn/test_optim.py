"""Parameter groups: every parameter once, what activations learn in a group of its own."""

import pytest
import torch
from torch import nn

from actsearch.nn.make import make
from actsearch.nn.optim import parameter_groups


def model() -> nn.Module:
    shared = make("rational", granularity="shared", backend="reference")
    return nn.Sequential(nn.Linear(3, 4), shared, nn.Linear(4, 4), shared, nn.PReLU(), nn.ReLU(), nn.Linear(4, 1))


def test_every_parameter_is_in_one_group_once():
    built = model()
    groups = parameter_groups(built)
    listed = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == {id(parameter) for parameter in built.parameters()}
    assert [(group["name"], len(group["params"])) for group in groups] == [("weights", 6), ("activations", 11)]


def test_each_group_is_trained_with_its_own_settings():
    built = model()
    groups = parameter_groups(built, lr=0.0, weight_decay=0.3, activation_lr=0.1)
    before = [parameter.detach().clone() for parameter in built.parameters()]
    optimiser = torch.optim.AdamW(groups)
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.3, 0.0]
    built(torch.randn(5, 3, generator=torch.Generator().manual_seed(0))).square().sum().backward()
    optimiser.step()
    moved = {
        name for (name, now), old in zip(built.named_parameters(), before, strict=True) if not torch.equal(now, old)
    }
    assert moved
    assert all(name.startswith(("1.", "4.")) for name in moved)


@pytest.mark.parametrize(("settings", "expected"), [({}, [None, None]), ({"lr": 0.1}, [0.1, 0.1])])
def test_without_a_rate_of_their_own_activations_have_that_of_the_weights(settings, expected):
    assert [group.get("lr") for group in parameter_groups(model(), **settings)] == expected


def test_no_group_is_empty():
    assert [group["name"] for group in parameter_groups(nn.Sequential(nn.Linear(1, 1), nn.ReLU()))] == ["weights"]
    assert [group["name"] for group in parameter_groups(make("apl", n_channels=2))] == ["activations"]
