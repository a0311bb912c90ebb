"""Curves back to formulas: right names from noisy samples, and no name for what is not there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.interpolate import CubicSpline

import actsearch
from actsearch.errors import DistillError
from actsearch.expr import catalog
from actsearch.expr.noise import Curve, noise_level
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.report.distillation import Distillation, distill

NOISE = 0.01
SOME = ("relu", "silu", "gelu", "tanh", "sigmoid", "softplus", "elu", "mish", "sine", "hard_swish", "erf", "softsign")


def samples(f: Callable[[np.ndarray], np.ndarray], seed: int = 0, n: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Inputs N(0, 2), in no order, and values with noise of 1 % of their standard deviation."""
    random = np.random.default_rng(seed)
    x = 2 * random.normal(size=n)
    y = f(x)
    return x, y + NOISE * y.std() * random.normal(size=n)


def named(name: str) -> Callable[[np.ndarray], np.ndarray]:
    program = lower(catalog.get(name).expr)
    return lambda x: evaluate(program, x)


def is_within_noise(found: Distillation, f: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Whether what was found differs from a function by less than the noise, in the root mean square."""
    if found.match is None:
        return False
    x = samples(f)[0]
    difference = evaluate(lower(found.match), x) - f(x)
    return bool(np.sqrt(np.mean(difference**2)) < NOISE * f(x).std())


@pytest.mark.parametrize("name", SOME)
def test_names_from_noisy_samples(name: str) -> None:
    found = distill(samples(named(name)))
    assert found.name == name
    assert found.match == catalog.get(name).expr
    assert found.noise == pytest.approx(NOISE * named(name)(samples(named(name))[0]).std(), rel=0.15)


@pytest.mark.slow
def test_the_catalog_is_named() -> None:
    plain = [name for name in catalog.names() if not parameters_of(catalog.get(name).expr)]
    curves = {name: named(name) for name in plain}
    found = {name: distill(samples(f)) for name, f in curves.items() if samples(f)[1].std() > 0}
    right = [name for name in found if found[name].name == name or is_within_noise(found[name], curves[name])]
    assert sorted(set(found) - set(right)) == []
    # a function that is another one to within the noise may bear that one's name
    assert sum(found[name].name == name for name in found) > 0.8 * len(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2*tanh(0.5*x) - 1", "tanh"),
        ("-3*gelu(1.5 - 2*x)", "gelu"),
        ("0.7*softplus(3*x) + 0.2", "softplus"),
        ("relu(x - 0.5)", "relu"),
    ],
)
def test_maps_inside_and_outside(text: str, expected: str) -> None:
    program = lower(to_expr(text))
    found = distill(samples(lambda x: evaluate(program, x)), ["relu", "tanh", "gelu", "softplus", "silu", "elu"])
    assert found.name == expected
    assert is_within_noise(found, lambda x: evaluate(program, x))


def spline(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    curve = CubicSpline(np.linspace(-9, 9, 13), np.random.default_rng(seed).normal(size=13))
    return lambda x: np.asarray(curve(np.clip(x, -9, 9)))


ABSENT = {
    "wave packet": lambda x: np.sin(3 * x) * np.exp(-(x**2)),
    "chirp": lambda x: np.sin(x * np.abs(x)),
    **{f"spline {seed}": spline(seed) for seed in range(2)},
}


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_not_there_has_no_match(name: str) -> None:
    for found in (distill(samples(ABSENT[name])), distill(ABSENT[name])):
        assert found.match is None
        assert found.name is None
        assert found.error > found.max_error
        assert str(found).startswith("no match: the nearest of ")


def test_a_right_function_leaves_noise_and_r_squared_does_not_count() -> None:
    x, y = samples(named("relu"))
    found = distill((x, y), ["tanh"])
    left = np.mean((evaluate(lower(found.nearest), x) - y) ** 2) / y.var()
    assert 1 - left > 0.98
    assert found.match is None


def test_larger_errors_allow_simpler_functions() -> None:
    close = distill(named("gelu_tanh"), max_error=1e-6)
    far = distill(named("gelu_tanh"), max_error=1e-2)
    assert close.name == "gelu_tanh"
    assert far.complexity < close.complexity
    assert far.error <= 1e-2


def test_the_distribution_decides_what_counts() -> None:
    positive = np.abs(np.random.default_rng(0).normal(size=1000))
    assert distill(named("relu"), distribution=positive).name == "identity"
    assert distill(named("relu")).name == "relu"


def test_a_space_of_expressions() -> None:
    space = actsearch.load_space("tiny")
    found = distill(lambda x: 3 * evaluate(lower(space.sample(3)), x), space, max_error=1e-6)
    assert found.match is not None
    assert found.error <= 1e-6


class TestModules:
    def test_a_learned_parameter_is_read(self) -> None:
        module = actsearch.make("x*sigmoid(beta[2.0]*x)")
        found = distill(module, ["silu", "tanh", "relu"], max_error=1e-4)
        assert found.name == "silu"
        assert actsearch.fingerprint(found.match) == actsearch.fingerprint("silu(2*x)/2")

    def test_channels(self) -> None:
        module = actsearch.make("prelu", n_channels=2)
        assert distill(module, ["leaky_relu", "max(x, 0) + 0.25*min(x, 0)"]).match is not None
        with torch.no_grad():
            next(module.parameters())[1] = 1.0
        assert distill(module, channel=1).name == "identity"
        with pytest.raises(DistillError, match="say which one with channel=0 to 1"):
            distill(module)
        with pytest.raises(DistillError, match="channel=2 is not one of"):
            distill(module, channel=2)

    def test_only_elementwise_modules(self) -> None:
        with pytest.raises(DistillError, match="not elementwise"):
            distill(torch.nn.Linear(1, 3))


def test_bad_input_is_one_sentence() -> None:
    x = np.linspace(-1, 1, 100)
    with pytest.raises(DistillError, match="one value for each point"):
        distill((x, x[:-1]))
    with pytest.raises(DistillError, match="too few"):
        distill((x[:5], x[:5]))
    with pytest.raises(DistillError, match="not finite"):
        distill((x, np.where(x > 0, np.nan, x)))
    with pytest.raises(DistillError, match="too large"):
        distill((x, x), actsearch.load_space("pangaea"))
    with pytest.raises(DistillError, match="no function of x"):
        distill((x, x), ["beta[1.0]*x"])
    with pytest.raises(DistillError, match="neither 'catalog'"):
        distill((x, x), "catalogue")
    with pytest.raises(DistillError, match="max_error"):
        distill((x, x), max_error=-1.0)


class TestNoise:
    def test_level_is_told_by_neighbours(self) -> None:
        random = np.random.default_rng(0)
        x = np.sort(random.normal(size=4000))
        clean = np.sin(2 * x) + (x > 0.3)
        assert noise_level(x, clean + 0.05 * random.normal(size=4000)) == pytest.approx(0.05, rel=0.05)
        assert noise_level(x, clean) < 1e-5

    def test_noise_is_excused_and_a_small_wave_is_not(self) -> None:
        random = np.random.default_rng(1)
        x = np.linspace(-3, 3, 2000)
        excused = [
            Curve(x, 0.1 * random.normal(size=2000), 0.1, 0.0).excuses(wave * np.sin(3 * x))
            for wave in (0.0, 0.03)
            for _ in range(50)
        ]
        assert sum(excused[:50]) >= 49
        assert sum(excused[50:]) == 0


def imitate(module: torch.nn.Module, teacher: torch.nn.Module, x: torch.Tensor) -> None:
    """Train a module to give what a teacher gives, until its optimiser finds nothing better."""
    y = teacher(x)

    def closure() -> torch.Tensor:
        module.zero_grad()
        loss = torch.nn.functional.mse_loss(module(x), y)
        loss.backward()
        return loss

    adam = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(300):
        adam.step(closure)
    for _ in range(4):
        torch.optim.LBFGS(module.parameters(), max_iter=300, history_size=20, line_search_fn="strong_wolfe").step(
            closure
        )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "max_error"), [("silu", 0.05), ("gelu", 0.05), ("tanh", 0.05), ("relu", 0.07)])
def test_a_rational_that_learned_a_function_is_read_back(name: str, max_error: float) -> None:
    """It starts as the identity and imitates; relu's kink it gets wrong by 0.06."""
    x = torch.tensor(stats.norm.ppf((np.arange(1024) + 0.5) / 1024))
    module = actsearch.make("rational", start="identity").double()
    assert distill(module).name == "identity"
    imitate(module, actsearch.make(name), x)
    assert distill(module, max_error=max_error).name == name
