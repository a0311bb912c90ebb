"""Rank correlations against SciPy's, and intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from actsearch.errors import StudyError
from actsearch.study.ranks import rank_correlation


@pytest.mark.parametrize("digits", [1, 8])  # with ties, and without
def test_it_is_spearmans(digits: int) -> None:
    rng = np.random.default_rng(digits)
    a = rng.normal(size=60).round(digits)
    b = (a + rng.normal(size=60)).round(digits)
    found = rank_correlation(a, b)
    assert found.rho == pytest.approx(spearmanr(a, b).statistic)
    assert found.low < found.rho < found.high
    assert found == rank_correlation(a, b) != rank_correlation(a, b, seed=1)


def test_columns_are_averaged_and_resampled_together() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 3))
    found = rank_correlation(a, b)
    assert found.rho == pytest.approx(np.mean([spearmanr(a[:, k], b[:, k]).statistic for k in range(3)]))
    same = rank_correlation(np.repeat(a[:, :1], 3, axis=1), np.repeat(b[:, :1], 3, axis=1))
    one = rank_correlation(a[:, 0], b[:, 0])  # three copies are no more knowledge than one
    assert (same.rho, same.low, same.high) == pytest.approx((one.rho, one.low, one.high))


def test_what_is_missing_is_left_out_and_infinity_is_largest() -> None:
    found = rank_correlation([1.0, 2.0, np.nan, np.inf], [1.0, 2.0, 0.0, 3.0])
    assert (found.rho, found.n) == (pytest.approx(1.0), 3)
    assert np.isnan(rank_correlation([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]).rho)


def test_an_interval_covers() -> None:
    rng = np.random.default_rng(0)
    # for normal pairs of correlation r Spearman's is 6/pi asin(r/2)
    true = 6 / np.pi * np.arcsin(0.5 / 2)
    hits = 0
    for seed in range(60):
        a = rng.normal(size=80)
        b = 0.5 * a + np.sqrt(0.75) * rng.normal(size=80)
        found = rank_correlation(a, b, n_resamples=200, seed=seed)
        hits += found.low < true < found.high
    assert 51 <= hits <= 60  # of 60 at 95 %: 51 or fewer has a chance of 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2, 3], [1, 2]), r"not \(3,\) and \(2,\)"),
        (([1, 2, float("nan")], [1, 2, 3]), "at least 3 pairs without NaN, not 2"),
        (([1, 2, 3], [1, 2, 3], 95), "between 0 and 1, not 95"),
    ],
)
def test_bad_input(arguments: tuple, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        rank_correlation(*arguments)
