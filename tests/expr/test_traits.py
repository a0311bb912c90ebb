"""Traits against what is known of functions from books."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actsearch.expr import catalog
from actsearch.expr.limits import limit
from actsearch.expr.traits import GRID, SMOOTHNESS, traits

INF = math.inf


@pytest.mark.parametrize(
    ("spec", "low", "high"),
    [
        ("relu", 0, INF),
        ("tanh", -1, 1),
        ("sigmoid", 0, 1),
        ("atan", -math.pi / 2, math.pi / 2),
        ("silu", -0.27846454276107, INF),
        ("gelu", -0.16997120747990, INF),
        ("mish", -0.30884341301725, INF),
        ("sinc", -0.21723362821122, 1),
        ("x*cos(x)", -INF, INF),
        ("sine", -1, 1),
        ("softsign", -1, 1),
        ("x*exp(-x**2)", -1 / math.sqrt(2 * math.e), 1 / math.sqrt(2 * math.e)),
        ("log1p(abs(x))", 0, INF),
        ("selu", -1.0507009873554805 * 1.6732632423543772, INF),
        ("step", 0, 1),
        ("-x**2", -INF, 0),
        ("exp(x)", 0, INF),
        ("2 + 3/(1 + x**2)", 2, 5),
    ],
)
def test_range(spec: str, low: float, high: float) -> None:
    assert traits(spec).range == pytest.approx((low, high), abs=1e-6)


@pytest.mark.parametrize(
    ("spec", "monotone", "symmetry"),
    [
        ("relu", "increasing", ""),
        ("sigmoid", "increasing", ""),
        ("tanh", "increasing", "odd"),
        ("cosine", "", "even"),
        ("sine", "", "odd"),
        ("silu", "", ""),
        ("-atan(x)", "decreasing", "odd"),
        ("exp(-x)", "decreasing", ""),
        ("x - 1.001*sin(x)", "", "odd"),
        ("x - sin(x)", "increasing", "odd"),
        ("sinh(x)", "increasing", "odd"),
        ("cosh(x)", "", "even"),
        ("tanh(x) + 1e-9", "increasing", ""),
        ("sign(x)", "increasing", "odd"),
    ],
)
def test_monotone_and_symmetry(spec: str, monotone: str, symmetry: str) -> None:
    assert (traits(spec).monotone, traits(spec).symmetry) == (monotone, symmetry)


@pytest.mark.parametrize(
    ("spec", "smoothness", "lipschitz"),
    [
        ("step", "jumps", INF),
        ("hardshrink", "jumps", INF),
        ("relu", "C0", 1),
        ("leaky_relu", "C0", 1),
        ("hard_tanh", "C0", 1),
        ("sqrt(x) if x >= 0 else -sqrt(-x)", "C0", INF),
        ("abs(x)**0.9", "C0", INF),
        ("elu", "C1", 1),
        ("softsign", "C1", 1),
        ("sqnl", "C1", 1),
        ("silu", "smooth", 1.0998393201),
        ("gelu", "smooth", 1.1289041452),
        ("tanh(100*x)", "smooth", 100),
        ("siren", "smooth", 30),
        ("x**2", "smooth", INF),
        ("x*sin(x)", "smooth", INF),
        ("x + sin(x)", "smooth", 2),
        ("sigmoid(0.02*(x - 600))", "smooth", 0.005),
    ],
)
def test_smoothness_and_largest_slope(spec: str, smoothness: str, lipschitz: float) -> None:
    found = traits(spec)
    assert found.smoothness == smoothness
    assert found.lipschitz == pytest.approx(lipschitz, rel=1e-4)


@pytest.mark.parametrize(
    ("spec", "left", "right"),
    [
        ("relu", ("constant", 0.0), ("linear", 1.0)),
        ("selu", ("constant", -1.758099), ("linear", 1.050701)),
        ("softsign", ("constant", -1.0), ("constant", 1.0)),
        ("leaky_relu", ("linear", 0.01), ("linear", 1.0)),
        ("exp(x)", ("constant", 0.0), ("superlinear", INF)),
        ("-x**3", ("superlinear", INF), ("superlinear", -INF)),
        ("log1p(abs(x))", ("sublinear", INF), ("sublinear", INF)),
        ("sqrt(abs(x))", ("sublinear", INF), ("sublinear", INF)),
        ("sin(x)", ("oscillating", None), ("oscillating", None)),
        ("x*sin(x)", ("oscillating", None), ("oscillating", None)),
        ("cos(x) - x", ("linear", -1.0), ("linear", -1.0)),
        ("sinc(x)", ("constant", 0.0), ("constant", 0.0)),
        ("x*abs(x)**0.1", ("superlinear", -INF), ("superlinear", INF)),
        ("log(x)", ("unknown", None), ("sublinear", INF)),
    ],
)
def test_limits(spec: str, left: tuple, right: tuple) -> None:
    for found, (kind, number) in zip(traits(spec).limits, (left, right), strict=True):
        assert found.kind == kind
        if number is not None:
            value = found.slope if kind == "linear" else found.value
            assert value == pytest.approx(number, abs=1e-6)


@pytest.mark.parametrize(
    ("spec", "zeros"),
    [
        ("silu", [(0, 0)]),
        ("relu", [(-INF, 0)]),
        ("softshrink", [(-0.5, 0.5)]),
        ("x**3 - x", [(-1, -1), (0, 0), (1, 1)]),
        ("x**2 - 2", [(-math.sqrt(2), -math.sqrt(2)), (math.sqrt(2), math.sqrt(2))]),
        ("tent", [(-INF, -1), (1, INF)]),
        ("sigmoid", []),
        ("exp(-x**2)", []),  # it underflows, which is no zero
        ("sign(x - 0.3141)", []),  # a jump over 0
        ("sin(x) if abs(x) < 4 else x", [(-math.pi, -math.pi), (0, 0), (math.pi, math.pi)]),
    ],
)
def test_zeros(spec: str, zeros: list[tuple[float, float]]) -> None:
    found = traits(spec).zeros
    assert len(found) == len(zeros)
    for ours, known in zip(found, zeros, strict=True):
        assert ours == pytest.approx(known, abs=1e-9)


def test_the_gain_is_that_of_the_moments() -> None:
    assert traits("relu").moments.gain == pytest.approx(math.sqrt(2))
    assert traits("selu").moments.mean == pytest.approx(0, abs=1e-6)


def test_parameters_are_at_their_start() -> None:
    assert traits("a[2.0]*tanh(x)").range == (-2.0, 2.0)


def test_the_grid_is_symmetric() -> None:
    assert np.array_equal(GRID, -GRID[::-1])


def test_a_limit_of_a_plain_function() -> None:
    assert limit(lambda x: 3 * x + np.sin(x), 1).slope == pytest.approx(3, rel=1e-6)
    assert limit(lambda x: np.full_like(x, np.nan), 1).kind == "unknown"


@pytest.mark.slow
@pytest.mark.parametrize("name", catalog.names())
def test_every_row_has_traits(name: str) -> None:
    found = traits(name)
    low, high = found.range
    assert low < high
    assert found.smoothness in SMOOTHNESS
    assert all(side.kind != "unknown" for side in found.limits)
    assert found.lipschitz > 0
    assert all(first <= last for first, last in found.zeros)
