"""Each proxy against a value from elsewhere: a formula, another way to compute it, or a net whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from actsearch.errors import StudyError, TaskError
from actsearch.expr.text import parse
from actsearch.study.proxies import Proxy, Start, load_proxy, measure, proxy_names
from actsearch.study.proxies._hermite import correlation, shares
from actsearch.tasks.load import load_task
from actsearch.tasks.task import Cell

TASK = load_task("mnist1d")
DEEP = Cell(TASK, "deep")


def value(name: str, spec: str, cell: Cell | None = None, normalise: bool = False) -> float:
    return load_proxy(name).measure(Start(spec, cell, normalise=normalise))


@pytest.mark.parametrize("name", proxy_names())
def test_a_proxy_says_what_it_is_and_is_the_same_again(name: str) -> None:
    proxy = load_proxy(name)
    assert proxy.better in ("low", "high")
    assert proxy.measure.__doc__ is not None
    assert "arXiv" in proxy.measure.__doc__  # its source
    first, again = (measure("silu", TASK, "deep", names=[name], seed=3)[name] for _ in range(2))
    assert math.isfinite(first.value)
    assert first.value == again.value
    assert first.milliseconds > 0
    assert proxy.badness(Start("silu", DEEP, seed=3)) == first.value * (1 if proxy.better == "low" else -1)


@pytest.mark.parametrize("name", [name for name in proxy_names() if load_proxy(name).needs_net])
def test_what_looks_at_a_net_depends_on_its_seed_alone(name: str) -> None:
    state = torch.get_rng_state()
    assert value(name, "tanh", DEEP) != load_proxy(name).measure(Start("tanh", DEEP, normalise=False, seed=1))
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(StudyError, match="needs a task"):
        value(name, "tanh")


def test_edge_of_chaos() -> None:
    assert value("edge_of_chaos", "relu") == pytest.approx(0, abs=1e-9)  # He's scale is its edge of chaos
    # normalised: E f'^2 = 1/2, Var f = 1/2 - 1/(2 pi)
    assert value("edge_of_chaos", "relu", normalise=True) == pytest.approx(1 / (1 - 1 / math.pi) - 1)
    assert value("edge_of_chaos", "3*x") == pytest.approx(0, abs=1e-9)
    # E cos(z)^2 = (1 + e^-2)/2, E sin(z)^2 = (1 - e^-2)/2
    assert value("edge_of_chaos", "sin(x)") == pytest.approx((1 + math.exp(-2)) / (1 - math.exp(-2)) - 1)


def test_shares_give_the_arc_cosine_kernel_of_relu() -> None:
    # Cho and Saul 2009, arXiv:1112.3712: (sin t + (pi - t) cos t) / pi with cos t = c
    c = np.array([0.0, 0.3, 0.7, 0.95])
    angle = np.arccos(c)
    kernel = (np.sin(angle) + (np.pi - angle) * c) / np.pi
    np.testing.assert_allclose(correlation(shares(parse("max(x, 0)")), c), kernel, atol=1e-5)
    assert shares(parse("max(x, 0)")).sum() == pytest.approx(1)
    assert np.isnan(shares(parse("log(x)"))).all()


def test_nonlinearity() -> None:
    assert value("nonlinearity", "2*x + 5") == pytest.approx(0, abs=1e-9)
    assert value("nonlinearity", "x**2") == pytest.approx(1)
    assert value("nonlinearity", "x + x**2/sqrt(2)") == pytest.approx(1 / 2)  # x and (x^2 - 1)/sqrt(2) are orthonormal


def test_correlation_map() -> None:
    assert value("correlation_map", "x") == pytest.approx(1)
    # odd: fixed point 0, slope E[z f(z)]^2 / E f^2 with E[z sin z] = e^-1/2
    assert value("correlation_map", "sin(x)") == pytest.approx(math.exp(-1) / ((1 - math.exp(-2)) / 2), rel=1e-6)
    # ordered: (x^2 + 9)^2 has E = 3 + 18 + 81 and E f'^2 = 4, fixed point 1
    assert value("correlation_map", "x**2 + 9") == pytest.approx(4 / 102)
    # C(c) = (1 + 2 c^2)/3 = c at 1/2, where its slope is 2/3
    assert value("correlation_map", "x**2") == pytest.approx(2 / 3)
    assert math.isnan(value("correlation_map", "log(x)"))


def test_gradient_variance_is_that_of_a_product_of_matrices() -> None:
    net = Start("x", DEEP, normalise=False).net
    layers = [part for part in net.module.modules() if isinstance(part, torch.nn.Linear)]
    logits = net.outputs()
    delta = (torch.softmax(logits, 1) - torch.nn.functional.one_hot(net.batch[1], 10)) / net.n_examples
    squares = [delta.square().mean().item()]
    for layer in reversed(layers[1:]):
        delta = delta @ layer.weight
        squares.append(delta.square().mean().item())
    slope = np.polyfit(range(len(squares)), np.log(squares[::-1]), 1)[0]
    assert value("gradient_variance", "x", DEEP) == pytest.approx(abs(slope), rel=1e-4)
    # chi of a steep wave is 10, and a gradient grows by about as much a layer
    assert 1.5 < value("gradient_variance", "sin(3*x)", DEEP) < 3


def test_fisher_is_the_gradient_of_each_example_alone() -> None:
    start = Start("silu", DEEP)
    net = start.net
    x, y = net.batch
    squares = 0.0
    products = []
    for i in range(net.n_examples):
        loss = torch.nn.functional.cross_entropy(net.module(x[i : i + 1]), y[i : i + 1])
        row = torch.cat([part.flatten() for part in torch.autograd.grad(loss, net.weights)]).double()
        products.append(row)
        squares += row.square().sum().item() / net.n_examples
    assert load_proxy("fisher").measure(start) == pytest.approx(squares, rel=1e-5)
    eigenvalues = torch.linalg.eigvalsh(torch.stack(products) @ torch.stack(products).T)
    assert load_proxy("fisher_rank").measure(start) == pytest.approx(
        (eigenvalues.sum() ** 2 / eigenvalues.square().sum()).item(), rel=1e-5
    )


def test_ntk_condition_of_gradients_taken_one_by_one() -> None:
    start = Start("silu", DEEP)
    rows = [
        torch.cat([part.flatten() for part in torch.autograd.grad(output.sum(), start.net.weights, retain_graph=True)])
        for output in start.net.outputs()
    ]
    values = torch.linalg.svdvals(torch.stack(rows).double())
    expected = 2 * math.log(values[0] / values[-1])
    assert load_proxy("ntk_condition").measure(start) == pytest.approx(expected, rel=1e-4)


def test_a_linear_net_looks_alike_everywhere() -> None:
    assert value("jacobian_correlation", "x", DEEP) < 10 * value("jacobian_correlation", "relu", DEEP)
    assert -value("jacobian_correlation", "sin(3*x)", DEEP) < -value("jacobian_correlation", "relu", DEEP)
    # 64 features hold at most 32 directions of 32 examples, a line keeps those of the input, and a fold loses some
    assert value("effective_rank", "relu", DEEP) < value("effective_rank", "sin(3*x)", DEEP) < 32


def test_families_stand_for_the_function_they_start_at() -> None:
    assert value("nonlinearity", "dynamic_relu") == value("nonlinearity", "relu")
    assert math.isfinite(value("fisher", "dynamic_relu", DEEP))


def test_which_are_measured() -> None:
    analytic = measure("tanh")
    assert set(analytic) == {name for name in proxy_names() if not load_proxy(name).needs_net}
    assert set(measure("tanh", "toy")) == set(proxy_names())
    with pytest.raises(TaskError, match=r"no net 'dep'.*deep"):
        measure("tanh", "mnist1d", "dep")
    with pytest.raises(StudyError, match=r"unknown proxy 'edge_of_caos'; did you mean 'edge_of_chaos'\? \(known: "):
        load_proxy("edge_of_caos")


OWN = Proxy("mean", lambda start: start.moments.mean, "low", False)


def test_a_proxy_of_ones_own() -> None:
    found = measure("relu", names=[f"{__name__}:OWN"], normalise=False)
    assert found["mean"].value == pytest.approx(1 / math.sqrt(2 * math.pi))
    with pytest.raises(StudyError, match=r"'math:pi' is a float, not an actsearch.study.proxies.Proxy"):
        load_proxy("math:pi")
