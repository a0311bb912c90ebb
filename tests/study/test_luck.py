"""The best of N by luck alone, and what is left of search scores under fresh seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from actsearch.errors import StudyError
from actsearch.study.luck import expected_maximum, luck, shrinkage, shrunken


@pytest.mark.parametrize(
    ("n", "expected"),
    # Teichroew 1956, "Tables of expected values of order statistics", Ann. Math. Statist. 27 (n <= 20); Royston 1982
    [(1, 0.0), (2, 0.5641896), (3, 0.8462844), (5, 1.1629645), (10, 1.5387527), (20, 1.8674751), (100, 2.5075936)],
)
def test_expected_maximum_is_the_tables(n: int, expected: float) -> None:
    assert expected_maximum(n) == pytest.approx(expected, abs=2e-7)


@pytest.mark.parametrize("n", [1000, 100_000, 10**9])
def test_expected_maximum_of_many_is_near_the_extreme_value_law(n: int) -> None:
    from scipy.stats import norm

    gumbel = norm.isf(1 / n) + np.euler_gamma * (norm.isf(1 / (n * math.e)) - norm.isf(1 / n))
    assert expected_maximum(n) == pytest.approx(gumbel, rel=0.005)


def test_luck_of_a_simulated_search() -> None:
    rng = np.random.default_rng(0)
    told = luck(rng.normal(0.5, 2.0, 100_000), n_tried=50)
    best = rng.normal(0.5, 2.0, (20_000, 50)).max(axis=1)
    assert told.best == pytest.approx(best.mean(), abs=0.05)
    assert (told.low, told.high) == pytest.approx(tuple(np.quantile(best, [0.025, 0.975])), abs=0.12)
    assert (told.mean, told.sd, told.n_tried) == (pytest.approx(0.5, abs=0.03), pytest.approx(2.0, abs=0.02), 50)
    assert luck([0.0, 1.0], n_tried=1).best == pytest.approx(0.5)


def test_shrunken_scores_are_right_on_average() -> None:
    """The winner's curse, simulated: the shrunken best score is unbiased where the raw one is not."""
    rng = np.random.default_rng(1)
    raw, pulled = [], []
    for _ in range(2000):
        true = rng.normal(0.0, 1.0, 100)
        scores = true + rng.normal(0.0, 1.5, 100)
        best = int(scores.argmax())
        raw.append(scores[best] - true[best])
        pulled.append(shrunken(float(scores[best]), scores, noise_sd=1.5) - true[best])
    assert np.mean(raw) > 2.0
    assert abs(np.mean(pulled)) < 0.1


def test_shrunken_limits() -> None:
    assert shrunken(3.0, [1.0, 2.0, 3.0], noise_sd=0.0) == 3.0
    assert shrunken(3.0, [1.0, 2.0, 3.0], noise_sd=9.0) == 2.0
    assert shrunken(2.0, [2.0, 2.0], noise_sd=0.1) == 2.0


def test_shrinkage() -> None:
    rng = np.random.default_rng(2)
    true = rng.normal(size=400)
    search, fresh = true + rng.normal(size=400) + 0.7, true + rng.normal(size=400)
    told = shrinkage(search, fresh)
    assert told.drop_low < 0.7 < told.drop_high
    assert told.drop_high - told.drop_low == pytest.approx(2 * 1.96 * math.sqrt(2 / 400), rel=0.1)
    assert told.correlation == pytest.approx(0.5, abs=0.12)
    assert told.rank_correlation == pytest.approx(0.5, abs=0.12)
    assert (told.n, shrinkage([1.0], [0.5]).drop_low) == (400, -math.inf)
    assert math.isnan(shrinkage([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).correlation)
    assert math.isnan(shrinkage([1.0, 2.0], [1.0, 2.0]).rank_correlation)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: expected_maximum(0), "best of 0"),
        (lambda: luck([1.0], 5), "two or more copies"),
        (lambda: luck([1.0, math.inf], 5), "two or more copies"),
        (lambda: luck([1.0, 2.0], 0), "best of 0"),
        (lambda: shrunken(1.0, [1.0], 0.1), "two or more scores"),
        (lambda: shrunken(1.0, [1.0, 2.0], -0.1), "noise >= 0"),
        (lambda: shrinkage([], []), "as many fresh scores"),
        (lambda: shrinkage([1.0], [1.0, 2.0]), "as many fresh scores"),
    ],
)
def test_bad_arguments_are_named(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(StudyError, match=message):
        call()
