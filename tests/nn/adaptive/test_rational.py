"""Rational functions: versions, starts fitted to functions, noise, size, poles."""

import numpy as np
import pytest
import torch

from actsearch.errors import ActivationError, ActsearchError
from actsearch.expr.functions import x as symbol
from actsearch.nn.adaptive._rational_fit import fit, poles
from actsearch.nn.adaptive.rational import VERSIONS, formula
from actsearch.nn.make import make

A, B = (0.1, -0.5, 0.25, 1.0), (0.5, 0.75, -0.125)
X = np.linspace(-3, 3, 61)


def denominator(version: str, x: np.ndarray) -> np.ndarray:
    terms = [b * x**k for k, b in enumerate(B, 0 if version == "C" else 1)]
    if version == "A":
        return 1 + sum(np.abs(term) for term in terms)
    if version == "C":
        return 0.1 + np.abs(sum(terms))
    return 1 + (sum(terms) if version == "N" else np.abs(sum(terms)))


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_is_its_definition(version):
    module = make("rational", start=(A, B), version=version, low=-3.0, high=3.0, backend="reference").eval()
    expected = sum(a * X**k for k, a in enumerate(A)) / denominator(version, X)
    assert np.allclose(module.double()(torch.from_numpy(X)).detach().numpy(), expected, rtol=1e-6)
    assert module.max_error < 1e-9


# Largest errors of a start at degrees (5, 4) on |x| <= 10: what is asked for, and a little above what is reached
ERRORS = [
    ("gelu", 0.01, 0.0068),
    ("silu", 0.01, 0.0018),
    ("mish", 0.01, 0.0072),
    ("elu", 0.02, 0.0042),
    ("relu", 0.05, 0.0427),
]


@pytest.mark.parametrize(("name", "asked", "reached"), ERRORS)
def test_starts_are_as_near_as_asked(name, asked, reached):
    module = make("rational", start=name, backend="reference").double()
    x = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    exact = make(name, backend="reference")(x)
    error = (module(x) - exact).abs().max().item()
    assert error <= reached < asked
    assert error == pytest.approx(module.max_error, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "asked"), [(name, asked) for name, asked, _ in ERRORS])
def test_so_are_those_of_every_version(version, name, asked):
    assert formula(start=name, version=version).max_error <= asked


@pytest.mark.parametrize("version", VERSIONS)
def test_a_function_that_is_rational_is_met(version):
    assert formula((3, 2), version, "2*x**3 - x + 0.5", -2.0, 5.0).max_error < 1e-2
    assert formula((1, 1), version, "3*x", -2.0, 5.0).max_error < 1e-2


def test_the_fit_is_no_worse_than_one_of_fewer_degrees():
    errors = [formula((n + 1, n), "A", "gelu").max_error for n in (2, 3, 4, 6)]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("version", ["A", "B", "C"])
@pytest.mark.parametrize("start", ["identity", "gelu"])
def test_every_coefficient_can_learn_from_the_start(version, start):
    module = make("rational", start=start, version=version, backend="reference").double()
    x = torch.linspace(-3, 3.5, 50, dtype=torch.float64)
    (module(x) - x.tanh()).square().sum().backward()
    assert all(parameter.grad.abs() > 1e-12 for parameter in module.parameters())


def test_noise_in_training_alone():
    module = make("rational", version="D", noise=0.2, start=(A, B))
    plain = make("rational", version="B", start=(A, B))
    x = torch.ones(20_000)
    assert torch.equal(module.eval()(x), plain(x))
    noisy = module.train()(x)
    above = 1.2 * sum(abs(a) for a in A)  # the denominator is at least 1
    assert noisy.std() > 0.05
    assert noisy.abs().max() <= above
    assert noisy[0] != noisy[1]


@pytest.mark.parametrize("version", ["A", *(pytest.param(other, marks=pytest.mark.slow) for other in "BC")])
def test_finite_at_a_hundred_million_with_two_derivatives(version):
    module = make("rational", start="gelu", version=version, backend="reference")
    x = torch.tensor([-1e8, -1e4, 0.0, 1e4, 1e8], requires_grad=True)
    y = module(x)
    first = torch.autograd.grad(y.sum(), (x, *module.parameters()), create_graph=True)
    (second,) = torch.autograd.grad(first[0].sum(), x)
    assert all(torch.isfinite(part).all() for part in (y, second, *first))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_same_function_on_every_backend(dtype):
    one, other = (make("rational", start="silu", backend=backend).to(dtype) for backend in ("auto", "reference"))
    x = torch.linspace(-12, 12, 997).to(dtype)
    assert torch.allclose(one(x), other(x), rtol=4 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)


def test_learning_moves_it_to_another_function():
    torch.manual_seed(0)
    module = make("rational", start="leaky_relu", backend="reference")
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    x = torch.linspace(-4, 4, 201)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (module(x) - x.tanh()).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10


def test_a_pole_within_the_range_is_refused_in_one_sentence():
    with pytest.raises(
        ActivationError, match=r"version N is 0 at 2, within its range \[-10, 10\]; take version A"
    ) as caught:
        make("rational", version="N", start=((0.0, 1.0), (-0.5,)))
    assert "\n" not in str(caught.value)
    assert make("rational", version="N", start=((0.0, 1.0), (-0.5,)), high=1.0)(torch.tensor(1.0)).item() == 2.0


def test_poles_are_found_where_they_are():
    made = fit(symbol / (1 + symbol**2), (1, 2), "N", -3.0, 3.0)
    assert poles(made, -100.0, 100.0) == []
    assert poles(type(made)((1.0,), (0.0, -0.25)), -10.0, 10.0) == pytest.approx([-2.0, 2.0])
    assert poles(type(made)((1.0,), (0.0, -0.25)), -1.0, 10.0) == pytest.approx([2.0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"version": "a"}, "version='a' is unknown"),
        ({"degrees": (5, 0)}, "the denominator's degree=0"),
        ({"degrees": 5}, "degrees=5 is no pair"),
        ({"start": ((1.0,), ())}, "denominator coefficients=0"),
        ({"start": (1.0, 2.0)}, "neither a function nor"),
        ({"start": "log(x)"}, "not finite at -10"),
        ({"start": "gellu"}, "did you mean 'gelu'"),
        ({"version": "D", "noise": 1.5}, "noise=1.5"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ActsearchError, match=message):
        formula(**settings)
