"""What n replicates say: intervals, paired differences, Holm's adjustment, and a plain verdict.

Replicates share seeds between functions (common random numbers), so two functions are compared by their differences
replicate by replicate. Everything here is plain NumPy and SciPy; nothing knows of studies or tasks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from actsearch.errors import StudyError

Direction = Literal["maximize", "minimize"]
Verdict = Literal["better", "not shown", "worse"]
Method = Literal["t", "bootstrap"]

# Below 8 pairs a claim rests on normality alone: if all n pairs agree in sign, the sign test, which assumes nothing,
# gives p = 2 / 2**n, and n = 8 is the first (p = 0.008) that Holm's adjustment over 5 finalists leaves below 0.05.
MIN_REPLICATES = 8

_N_RESAMPLES = 9999


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval.

    Attributes:
        mean: the sample mean.
        low: lower end; minus infinity when one value says nothing of the spread.
        high: upper end.
        sd: the sample's standard deviation (divisor n - 1); NaN for one value.
        n: how many values.
    """

    mean: float
    low: float
    high: float
    sd: float
    n: int


@dataclass(frozen=True)
class Difference(Interval):
    """A mean paired difference, its interval, and the p-value of "the mean difference is 0" (two-sided)."""

    p_value: float


def mean_interval(values: ArrayLike, level: float = 0.95, method: Method = "t", seed: int = 0) -> Interval:
    """Return the mean of independent values with its confidence interval.

    Args:
        values: shape (n,), n >= 1, finite.
        level: coverage, in (0, 1).
        method: ``"t"``: Student's t, right for about normal values and the better one for n below about 20, where
            resampling so few values makes intervals too short. ``"bootstrap"``: bias-corrected and accelerated, for
            many and skewed values.
        seed: of the bootstrap's resampling.

    Raises:
        StudyError: no values, a value that is not finite, or a bad level.

    Reference:
        Efron 1987, "Better bootstrap confidence intervals", JASA 82.

    Example:
        >>> interval = mean_interval([1.0, 2.0, 3.0, 4.0])
        >>> round(interval.low, 3), interval.mean, round(interval.high, 3)
        (0.446, 2.5, 4.554)
    """
    sample = _sample(values)
    if not 0.0 < level < 1.0:
        raise StudyError(f"a confidence level is between 0 and 1, not {level}")
    if method not in ("t", "bootstrap"):
        raise StudyError(f"an interval's method is 't' or 'bootstrap', not {method!r}")
    n = len(sample)
    mean = float(sample.mean())
    if n == 1:
        return Interval(mean, -math.inf, math.inf, math.nan, 1)
    sd = float(sample.std(ddof=1))
    if method == "bootstrap" and sd > 0.0:
        low, high = _bootstrap(sample, level, seed)
    else:
        half = float(stats.t.ppf((1.0 + level) / 2.0, n - 1)) * sd / math.sqrt(n)
        low, high = mean - half, mean + half
    return Interval(mean, low, high, sd, n)


def paired_difference(
    values: ArrayLike, reference: ArrayLike, level: float = 0.95, method: Method = "t", seed: int = 0
) -> Difference:
    """Return the mean of ``values - reference``, replicate by replicate, with interval and p-value.

    The p-value is the paired t test's. Wilcoxon's signed-rank test does not need normal differences, but with n = 8 it
    cannot go below 0.0078, and it tests another thing (symmetry about 0) than the interval shows; means of 8 and more
    differences of accuracies are near enough to normal for t (see the coverage test).

    Args:
        values: shape (n,), finite.
        reference: shape (n,), from the same replicates in the same order.
        level: coverage, in (0, 1).
        method: see :func:`mean_interval`.
        seed: of the bootstrap's resampling.

    Raises:
        StudyError: the lengths differ, or as :func:`mean_interval`.

    Example:
        >>> difference = paired_difference([0.81, 0.84, 0.86], [0.80, 0.82, 0.83])
        >>> round(difference.mean, 3), round(difference.p_value, 3)
        (0.02, 0.074)
    """
    ours, theirs = _sample(values), _sample(reference)
    if len(ours) != len(theirs):
        raise StudyError(
            f"a paired difference needs as many values as reference values, not {len(ours)}, {len(theirs)}"
        )
    interval = mean_interval(ours - theirs, level, method, seed)
    return Difference(interval.mean, interval.low, interval.high, interval.sd, interval.n, _p_value(interval))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return the p-values adjusted for their number by Holm's step-down procedure.

    Args:
        p_values: shape (m,), each in [0, 1].

    Returns:
        Array of shape (m,): reject at alpha where it is below alpha; the chance of any wrong rejection is then at most
        alpha, whatever the dependence between the tests.

    Raises:
        StudyError: a p-value outside [0, 1].

    Reference:
        Holm 1979, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.atleast_1d(np.asarray(p_values, dtype=np.float64))
    if p.size and not bool(np.all((p >= 0.0) & (p <= 1.0))):
        raise StudyError(f"p-values are between 0 and 1, not {p.tolist()}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def smallest_difference(sd: float, n: int, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the true mean difference that a paired t test of n replicates would find with the given power.

    Args:
        sd: standard deviation of the paired differences, >= 0.
        n: replicates; with fewer than 2 nothing can be shown and the answer is infinite.
        alpha: two-sided level; after Holm over m finalists, alpha / m is the safe one.
        power: chance of showing it, in (alpha, 1).

    Raises:
        StudyError: an argument out of range.

    Reference:
        Cohen 1988, "Statistical power analysis for the behavioral sciences", chapter 2: exact, by the noncentral t.

    Example:
        >>> round(smallest_difference(sd=1.0, n=8), 3)
        1.156
    """
    if not sd >= 0.0 or not 0.0 < alpha < power < 1.0:
        raise StudyError(f"needs sd >= 0 and 0 < alpha < power < 1, not sd {sd}, alpha {alpha}, power {power}")
    if n < 2:
        return math.inf
    critical = stats.t.ppf(1.0 - alpha / 2.0, n - 1)

    def excess(shift: float) -> float:
        # the far tail counts for small n; where it is too small for SciPy, SciPy says NaN
        tails = stats.nct.sf(critical, n - 1, shift), stats.nct.cdf(-critical, n - 1, shift)
        return float(np.nan_to_num(tails).sum()) - power

    high = float(critical)
    while excess(high) < 0.0:
        high *= 1.5
    shift = optimize.brentq(excess, 1e-9, high)
    return float(shift) * sd / math.sqrt(n)


def pooled_sd(groups: Sequence[ArrayLike]) -> float:
    """Return the standard deviation within groups, pooled over groups of two and more values.

    Args:
        groups: one array of replicates a function; each may have its own mean.

    Returns:
        sqrt(sum of squared deviations / degrees of freedom); NaN when no group has two values.

    Example:
        >>> pooled_sd([[1.0, 3.0], [10.0, 12.0]]) == 2**0.5
        True
    """
    samples = [_sample(group) for group in groups]
    freedom = sum(len(sample) - 1 for sample in samples)
    if freedom < 1:
        return math.nan
    return math.sqrt(sum(float(((sample - sample.mean()) ** 2).sum()) for sample in samples) / freedom)


def verdict(difference: Difference, p_holm: float, direction: Direction = "maximize", alpha: float = 0.05) -> Verdict:
    """Return "better", "worse" or "not shown" for a difference to the reference.

    Anything but "not shown" needs at least :data:`MIN_REPLICATES` replicates, an adjusted p-value below alpha, and an
    interval that leaves out 0.

    Args:
        difference: candidate minus reference, in the metric's own units.
        p_holm: its p-value after :func:`holm` over all candidates that were compared.
        direction: of the metric.
        alpha: level.

    Raises:
        StudyError: an unknown direction.
    """
    if direction not in ("maximize", "minimize"):
        raise StudyError(f"a direction is 'maximize' or 'minimize', not {direction!r}")
    excludes_zero = difference.low > 0.0 or difference.high < 0.0
    if difference.n < MIN_REPLICATES or not p_holm < alpha or not excludes_zero:
        return "not shown"
    return "better" if (difference.mean > 0.0) == (direction == "maximize") else "worse"


def _sample(values: ArrayLike) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not sample.size or not bool(np.all(np.isfinite(sample))):
        raise StudyError(f"needs a list of at least one finite value, not {sample.tolist()}")
    return sample


def _p_value(interval: Interval) -> float:
    if interval.n < 2:
        return 1.0
    if interval.sd == 0.0:  # all differences equal: no spread at all speaks for 0, or none against it
        return 1.0 if interval.mean == 0.0 else 0.0
    t = interval.mean / (interval.sd / math.sqrt(interval.n))
    return float(2.0 * stats.t.sf(abs(t), interval.n - 1))


def _bootstrap(sample: NDArray[np.float64], level: float, seed: int) -> tuple[float, float]:
    resampled = stats.bootstrap(
        (sample,),
        np.mean,
        confidence_level=level,
        n_resamples=_N_RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    return float(resampled.confidence_interval.low), float(resampled.confidence_interval.high)
