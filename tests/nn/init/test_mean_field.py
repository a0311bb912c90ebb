"""The edge of chaos against closed forms, published values and wide networks."""

import math

import pytest
import torch
from torch import nn

from actsearch.errors import ActivationError
from actsearch.nn.init import edge_of_chaos, fixed_point, initialise, moments_of
from actsearch.nn.make import make


@pytest.mark.parametrize("slope", [0.0, 0.01, 0.5])
def test_relus_keep_any_variance(slope):
    edge = edge_of_chaos(f"max(x, 0) + {slope}*min(x, 0)")
    assert (edge.q, edge.chi) == (1.0, 1.0)
    assert edge.sigma_w == pytest.approx(math.sqrt(2 / (1 + slope**2)), rel=1e-9)


def test_published_values():
    # Hayou et al.'s search: 1.265 for slope 1/2, and for elu with sigma_b = 0.2 it has reached 1.227 after 20 steps
    assert edge_of_chaos("max(x, 0.5*x)").sigma_w == pytest.approx(1.265, abs=5e-4)
    assert edge_of_chaos("elu", 0.2).sigma_w == pytest.approx(1.227, abs=3e-3)


def test_tanh_without_biases_has_its_edge_at_the_origin():
    edge = edge_of_chaos("tanh")
    assert edge.q == 0
    assert edge.sigma_w == pytest.approx(1, abs=1e-5)
    assert edge_of_chaos("gelu").sigma_w == pytest.approx(2, abs=1e-3)  # 1 / f'(0)


@pytest.mark.parametrize(("spec", "sigma_b"), [("tanh", 0.1), ("tanh", 0.5), ("elu", 0.2), ("erf(x)", 0.3)])
def test_both_equations_hold(spec, sigma_b):
    edge = edge_of_chaos(spec, sigma_b)
    moments = moments_of(spec, 0.0, math.sqrt(edge.q))
    assert edge.sigma_w**2 * moments.derivative_mean_square == pytest.approx(1, rel=1e-8)
    assert sigma_b**2 + edge.sigma_w**2 * moments.mean_square == pytest.approx(edge.q, rel=1e-6)
    again = fixed_point(spec, edge.sigma_w, sigma_b)
    assert again.q == pytest.approx(edge.q, rel=1e-4)
    assert again.chi == pytest.approx(1, abs=1e-4)


def test_order_and_chaos():
    assert fixed_point("tanh", 1.0, 0.3).chi < 1 < fixed_point("tanh", 2.0, 0.3).chi
    assert fixed_point("tanh", 0.9).q == 0
    assert fixed_point("relu", 1.0).q == 0
    assert fixed_point("relu", math.sqrt(2)).chi == pytest.approx(1)


def test_a_wide_deep_network_keeps_the_variance_that_was_told():
    torch.manual_seed(0)
    model = nn.Sequential(*[layer for _ in range(8) for layer in (nn.Linear(500, 500), make("tanh"))])
    report = initialise(model, method="edge_of_chaos", sigma_b=0.3)
    edge = edge_of_chaos("tanh", 0.3)
    assert report.method == "edge_of_chaos"
    assert [row.gain for row in report.layers[1:]] == [pytest.approx(edge.sigma_w)] * 7
    assert model[2].bias.std().item() == pytest.approx(0.3, rel=0.15)
    x = torch.randn(100, 500)
    for index, module in enumerate(model):
        x = module(x)
        if index % 2 == 0:
            assert x.var().item() == pytest.approx(edge.q, rel=0.12)


def test_bad_input_gets_a_sentence():
    with pytest.raises(ActivationError, match="sigma_b is -1"):
        edge_of_chaos("tanh", -1)
    with pytest.raises(ActivationError, match="sigma_w is 0"):
        fixed_point("tanh", 0)
    with pytest.raises(ActivationError, match="grows without end at sigma_w=2"):
        fixed_point("relu", 2.0)
    with pytest.raises(ActivationError, match=r"relu.* has no edge of chaos at sigma_b=0.5"):
        edge_of_chaos("relu", 0.5)


def test_stability_is_what_deep_networks_show():
    """He's scale keeps variance 1 for gelu in one layer; a variance that is off by 10 % is farther off after ten."""
    for spec, stable in (("gelu", False), ("silu", False), ("tanh", True)):
        told = fixed_point(spec, gain := moments_of(spec).gain)
        assert (told.q, told.is_stable) == (pytest.approx(1, rel=1e-4), stable)
        for off in (0.9, 1.1):
            variance = off
            for _ in range(10):
                variance = gain**2 * moments_of(spec, 0.0, math.sqrt(variance)).mean_square
            assert (abs(variance - 1) < 0.1) == stable
    assert edge_of_chaos("relu").is_stable
    assert edge_of_chaos("tanh").is_stable
    assert not edge_of_chaos("gelu", 0.1).is_stable
