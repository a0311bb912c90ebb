"""Formulas put back into a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import actsearch
from actsearch.errors import DistillError
from actsearch.report.put_back import distill_layer


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    act = actsearch.make("x*sigmoid(beta[1.7]*x)")
    return nn.Sequential(nn.Linear(4, 32), act, nn.Linear(32, 32), act, nn.Linear(32, 1))


DATA = torch.randn(200, 4, generator=torch.Generator().manual_seed(1))


def metric(model: nn.Module) -> float:
    return float(model(DATA).detach().square().mean())


def test_the_metric_is_measured_with_the_formula(net: nn.Module) -> None:
    learned = net[1]
    done = distill_layer(net, "1", metric, ["silu", "relu", "tanh"])
    assert done.found.name == "silu"
    assert done.before == metric(net)
    assert done.after == pytest.approx(done.before, rel=1e-3)
    assert net[1] is net[3] is learned
    assert "the metric goes from" in str(done)


def test_kept_in_all_its_places(net: nn.Module) -> None:
    done = distill_layer(net, net[1], metric, ["silu"], keep=True)
    assert net[1] is net[3]
    assert not list(net[1].parameters())
    assert metric(net) == done.after


def test_without_a_match_nothing_changes(net: nn.Module) -> None:
    done = distill_layer(net, "1", metric, ["tanh"], keep=True)
    assert done.found.match is None
    assert done.after is None
    assert list(net[1].parameters())


def test_its_own_inputs_count(net: nn.Module) -> None:
    """All of this layer's inputs are positive, where relu is the identity."""
    model = nn.Sequential(actsearch.make("relu"))
    assert distill_layer(model, "0", lambda m: float(m(DATA.abs()).detach().mean())).found.name == "identity"


def test_a_failing_evaluation_leaves_the_model_as_it_was(net: nn.Module) -> None:
    learned, calls = net[1], []

    def fails_later(model: nn.Module) -> float:
        calls.append(model)
        if len(calls) == 2:
            raise RuntimeError("no data")
        return metric(model)

    with pytest.raises(RuntimeError, match="no data"):
        distill_layer(net, "1", fails_later, ["silu"])
    assert net[1] is net[3] is learned


def test_wrong_layers_are_one_sentence(net: nn.Module) -> None:
    with pytest.raises(DistillError, match="no layer 'one'"):
        distill_layer(net, "one", metric)
    with pytest.raises(DistillError, match="no submodule"):
        distill_layer(net, nn.ReLU(), metric)
    with pytest.raises(DistillError, match="never called"):
        distill_layer(net, "1", lambda model: 0.0)
