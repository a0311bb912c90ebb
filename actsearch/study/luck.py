"""How much of a search's best score is luck: the best of N noisy scores is high even if all N are equally good."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate, stats

from actsearch.errors import StudyError


@dataclass(frozen=True)
class Luck:
    """What N copies of one and the same function would score at best.

    Attributes:
        n_tried: N.
        mean: mean score of the copies.
        sd: standard deviation of one copy's score, which is noise alone.
        best: expected best of N copies.
        low: the best of N is below this in 2.5 % of all searches.
        high: it is above this in 2.5 %; a search's best score above it is hardly luck alone.
    """

    n_tried: int
    mean: float
    sd: float
    best: float
    low: float
    high: float


@dataclass(frozen=True)
class Shrinkage:
    """Search scores against fresh-seed scores of the same functions.

    Attributes:
        n: how many functions.
        drop: mean of search score minus fresh score: the winner's curse as it was paid.
        drop_low: lower end of its 95 % interval; minus infinity for fewer than two functions.
        drop_high: upper end.
        correlation: Pearson's; NaN for fewer than three functions, or when one side does not vary.
        rank_correlation: Spearman's; NaN likewise.
    """

    n: int
    drop: float
    drop_low: float
    drop_high: float
    correlation: float
    rank_correlation: float


def expected_maximum(n: int) -> float:
    """Return the expected largest of n independent standard normal numbers.

    Args:
        n: >= 1.

    Raises:
        StudyError: n is below 1.

    Reference:
        Royston 1982, "Expected normal order statistics (exact and approximate)", Applied Statistics 31.

    Example:
        >>> round(expected_maximum(2), 4), round(expected_maximum(100), 3)
        (0.5642, 2.508)
    """
    if n < 1:
        raise StudyError(f"the best of {n} scores does not exist")

    def excess(z: float) -> float:
        # E max = integral of P(max > z) - P(max < -z) over z > 0, free of the cancellation in z * density
        above = -math.expm1(n * float(stats.norm.logcdf(z)))
        return above - math.exp(n * float(stats.norm.logcdf(-z)))

    value, _ = integrate.quad(excess, 0.0, 40.0, points=[math.sqrt(2.0 * math.log(n + 1))], limit=200)
    return float(value)


def luck(null_scores: ArrayLike, n_tried: int) -> Luck:
    """Return how high the best of ``n_tried`` candidates would score if all were the null control's function.

    The noise is taken as normal with the spread of the copies: a few copies cannot be resampled into a tail.

    Args:
        null_scores: shape (k,), k >= 2: search scores of copies of one function under other seeds.
        n_tried: how many candidates were scored, >= 1.

    Raises:
        StudyError: fewer than two copies, or a score that is not finite.

    Example:
        >>> round(luck([-0.1, 0.0, 0.1], n_tried=100).best, 3)
        0.251
    """
    scores = np.asarray(null_scores, dtype=np.float64)
    if scores.ndim != 1 or len(scores) < 2 or not bool(np.all(np.isfinite(scores))):
        raise StudyError(f"luck is measured on two or more copies with finite scores, not on {scores.tolist()}")
    mean, sd = float(scores.mean()), float(scores.std(ddof=1))
    best = expected_maximum(n_tried)
    # the largest of n is below z with probability cdf(z)**n
    low, high = (float(stats.norm.ppf(probability ** (1.0 / n_tried))) for probability in (0.025, 0.975))
    return Luck(n_tried, mean, sd, mean + best * sd, mean + low * sd, mean + high * sd)


def shrunken(score: float, all_scores: ArrayLike, noise_sd: float) -> float:
    """Return a search score pulled towards the mean of all as far as noise explains their spread.

    The expected true score, were true scores and noise normal (empirical Bayes): with noise alone every score shrinks
    to the mean, without noise none does.

    Args:
        score: the one to shrink, such as the best.
        all_scores: shape (n,), n >= 2: the scores of all candidates, ``score`` among them.
        noise_sd: standard deviation of a score under other seeds, >= 0 (see :func:`luck`).

    Raises:
        StudyError: fewer than two scores, or a negative noise.

    Reference:
        Efron 2011, "Tweedie's formula and selection bias", JASA 106; James and Stein 1961.

    Example:
        >>> shrunken(3.0, [1.0, 2.0, 3.0], noise_sd=0.5)
        2.75
    """
    scores = np.asarray(all_scores, dtype=np.float64)
    if scores.ndim != 1 or len(scores) < 2 or not noise_sd >= 0.0:
        raise StudyError(f"shrinking needs two or more scores and a noise >= 0, not {scores.tolist()} and {noise_sd}")
    variance = float(scores.var(ddof=1))
    mean = float(scores.mean())
    reliability = max(0.0, 1.0 - noise_sd**2 / variance) if variance > 0.0 else 0.0
    return mean + reliability * (score - mean)


def shrinkage(search_scores: ArrayLike, fresh_scores: ArrayLike) -> Shrinkage:
    """Compare what functions scored when they were chosen with what they score under fresh seeds.

    Args:
        search_scores: shape (n,), n >= 1.
        fresh_scores: shape (n,), of the same functions in the same order and on the same scale.

    Raises:
        StudyError: the lengths differ, or there is nothing to compare.

    Example:
        >>> round(shrinkage([1.0, 0.8, 0.9], [0.7, 0.6, 0.5]).drop, 3)
        0.3
    """
    search = np.asarray(search_scores, dtype=np.float64)
    fresh = np.asarray(fresh_scores, dtype=np.float64)
    if search.shape != fresh.shape or search.ndim != 1 or not search.size:
        raise StudyError(f"needs as many fresh scores as search scores, not {search.shape} and {fresh.shape}")
    n = len(search)
    drops = search - fresh
    drop = float(drops.mean())
    half = math.inf
    if n > 1:
        half = float(stats.t.ppf(0.975, n - 1)) * float(drops.std(ddof=1)) / math.sqrt(n)
    pearson = spearman = math.nan
    if n > 2 and np.ptp(search) > 0.0 and np.ptp(fresh) > 0.0:
        pearson = float(stats.pearsonr(search, fresh).statistic)
        spearman = float(stats.spearmanr(search, fresh).statistic)
    return Shrinkage(n, drop, drop - half, drop + half, pearson, spearman)
