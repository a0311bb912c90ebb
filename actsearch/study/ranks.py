"""Rank correlation with an interval: how far one order of functions tells another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from actsearch.errors import StudyError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation and its confidence interval.

    Attributes:
        rho: the correlation, in [-1, 1]; NaN where all values are equal.
        low: lower end of the interval.
        high: upper end.
        n: how many pairs.
    """

    rho: float
    low: float
    high: float
    n: int


def rank_correlation(
    values: ArrayLike, reference: ArrayLike, level: float = 0.95, n_resamples: int = 1000, seed: int = 0
) -> RankCorrelation:
    """Return Spearman's rank correlation with its percentile bootstrap interval over pairs.

    Ties share their mean rank. Pairs with a NaN are left out; infinite values are larger than all others.

    Args:
        values: shape (n,), or (n, k) for the mean of k correlations, whose columns are resampled together.
        reference: of the same shape.
        level: coverage, in (0, 1).
        n_resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        StudyError: the shapes differ, fewer than 3 pairs are left, or a bad level.

    References:
        Spearman 1904, Am. J. Psychol. 15. Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13.

    Example:
        >>> found = rank_correlation([1, 2, 3, 4, 5], [10, 20, 30, 50, 40])
        >>> round(found.rho, 3), found.n, found.low < found.rho < found.high
        (0.9, 5, True)
    """
    ours, theirs = (np.asarray(given, dtype=np.float64) for given in (values, reference))
    if ours.shape != theirs.shape or ours.ndim not in (1, 2):
        raise StudyError(f"a rank correlation needs two lists of one shape, not {ours.shape} and {theirs.shape}")
    if not 0.0 < level < 1.0:
        raise StudyError(f"a confidence level is between 0 and 1, not {level}")
    ours, theirs = (given.reshape(len(given), -1) for given in (ours, theirs))
    there = ~(np.isnan(ours) | np.isnan(theirs)).any(axis=1)
    ours, theirs = ours[there], theirs[there]
    n = len(ours)
    if n < 3:
        raise StudyError(f"a rank correlation needs at least 3 pairs without NaN, not {n}")
    drawn = np.random.default_rng(seed).integers(0, n, size=(n_resamples, n))
    resampled = np.mean([_rho(ours[drawn, k], theirs[drawn, k]) for k in range(ours.shape[1])], axis=0)
    # a resample whose values are all equal says nothing
    known = resampled[~np.isnan(resampled)]
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2]) if len(known) else (np.nan, np.nan)
    rho = np.mean([_rho(ours[None, :, k], theirs[None, :, k])[0] for k in range(ours.shape[1])])
    return RankCorrelation(float(rho), float(low), float(high), n)


def _rho(a: Array, b: Array) -> Array:
    """Return the correlation of ranks along the last axis, NaN where one side is constant."""
    ranks = [rankdata(side, axis=-1) for side in (a, b)]
    first, second = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    with np.errstate(invalid="ignore"):
        return np.asarray((first * second).sum(-1) / np.sqrt((first**2).sum(-1) * (second**2).sum(-1)))
