"""Statistics against SciPy's own tests, published tables and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as reference

from actsearch.errors import StudyError
from actsearch.study.stats import (
    MIN_REPLICATES,
    Difference,
    holm,
    mean_interval,
    paired_difference,
    pooled_sd,
    smallest_difference,
    verdict,
)


def _accuracies(rng: np.random.Generator, n_studies: int, n: int) -> np.ndarray:
    """Paired differences as finals give them, about their true mean: accuracies of two functions on 2,000 examples of
    common data, under seed noise that is skewed (a bad seed costs more than a good one gains) and larger for one."""
    shared = rng.normal(0.0, 0.01, (n_studies, n))
    scales = np.array([0.004, 0.008]).reshape(2, 1, 1)
    noise = rng.gumbel(0.0, scales, (2, n_studies, n)) - np.euler_gamma * scales
    counts = rng.binomial(2000, 0.7 + shared - noise) / 2000
    return counts[0] - counts[1]


@pytest.mark.parametrize("n", [2, 3, 8, 30])
def test_t_interval_and_p_value_are_scipys(n: int) -> None:
    rng = np.random.default_rng(n)
    values, others = rng.normal(0.3, 1.0, n), rng.normal(0.0, 1.0, n)
    difference = paired_difference(values, others, level=0.9)
    expected = reference.ttest_rel(values, others)
    interval = expected.confidence_interval(0.9)
    assert difference.mean == pytest.approx(values.mean() - others.mean())
    assert (difference.low, difference.high) == pytest.approx((interval.low, interval.high))
    assert difference.p_value == pytest.approx(expected.pvalue)
    assert difference.n == n
    alone = mean_interval(values)
    expected_alone = reference.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert (alone.low, alone.high) == pytest.approx((expected_alone.low, expected_alone.high))


def test_students_sleep_data() -> None:
    """Student 1908, "The probable error of a mean", Biometrika 6: the first paired t test, t = 4.06 on 9 degrees."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    difference = paired_difference(second, first)
    assert difference.mean == pytest.approx(1.58)
    assert difference.p_value == pytest.approx(0.002833, abs=1e-6)
    assert (difference.low, difference.high) == pytest.approx((0.7001, 2.4599), abs=1e-4)


def test_bootstrap_is_scipys_and_repeats_itself() -> None:
    values = np.random.default_rng(0).exponential(1.0, 40)
    interval = mean_interval(values, method="bootstrap", seed=3)
    expected = reference.bootstrap(
        (values,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(3)
    ).confidence_interval
    assert (interval.low, interval.high) == (expected.low, expected.high)
    assert interval == mean_interval(values, method="bootstrap", seed=3)
    t = mean_interval(values)
    assert interval.high - values.mean() > values.mean() - interval.low  # skewed as the values are
    assert t.high - values.mean() == pytest.approx(values.mean() - t.low)


def test_one_value_and_equal_values() -> None:
    one = paired_difference([0.5], [0.25])
    assert (one.mean, one.low, one.high, one.p_value) == (0.25, -math.inf, math.inf, 1.0)
    assert math.isnan(one.sd)
    same = paired_difference([0.5] * 8, [0.5] * 8)
    assert (same.low, same.high, same.p_value) == (0.0, 0.0, 1.0)
    apart = paired_difference([0.5] * 8, [0.25] * 8, method="bootstrap")
    assert (apart.low, apart.high, apart.p_value) == (0.25, 0.25, 0.0)


def test_t_intervals_of_eight_accuracies_cover() -> None:
    """The claim of the docstring: 8 paired differences of accuracies are near enough to normal."""
    differences = _accuracies(np.random.default_rng(1), 20_000, 8)
    half = reference.t.ppf(0.975, 7) * differences.std(axis=1, ddof=1) / math.sqrt(8)
    assert mean_interval(differences[0]).high == pytest.approx(differences[0].mean() + half[0])
    assert np.mean(np.abs(differences.mean(axis=1)) < half) == pytest.approx(0.95, abs=0.006)


def test_holm_by_hand() -> None:
    # m = 4, sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1 -> 0.02, 0.03, 0.06, and 0.04 is lifted to 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([0.02]).tolist() == [0.02]
    assert holm([]).tolist() == []
    assert holm([0.01, 0.01]).tolist() == [0.02, 0.02]


def test_holm_lies_between_no_adjustment_and_bonferroni() -> None:
    p = np.random.default_rng(0).uniform(0.0, 1.0, 12)
    adjusted = holm(p)
    assert np.all(adjusted >= p)
    assert np.all(adjusted <= np.minimum(12 * p, 1.0))
    assert np.array_equal(np.argsort(p), np.argsort(adjusted, kind="stable")) or np.unique(adjusted).size < 12
    assert np.all(np.diff(adjusted[np.argsort(p)]) >= 0.0)


def test_smallest_difference_known_values() -> None:
    # G*Power 3.1, paired t, two-sided 0.05: n = 34 for dz = 0.5 at power 0.808; n = 15 for 0.8 at 0.821
    assert smallest_difference(1.0, 34, power=0.8077775) == pytest.approx(0.5, abs=1e-4)
    assert smallest_difference(1.0, 15, power=0.8213105) == pytest.approx(0.8, abs=1e-4)
    assert smallest_difference(0.02, 8) == pytest.approx(0.02 * smallest_difference(1.0, 8))
    assert smallest_difference(1.0, 1) == math.inf
    assert smallest_difference(0.0, 8) == 0.0
    sizes = [smallest_difference(1.0, n) for n in (2, 3, 5, 8, 20, 100, 1000)]
    assert sizes == sorted(sizes, reverse=True)
    assert smallest_difference(1.0, 8, alpha=0.05 / 3) > smallest_difference(1.0, 8)


@pytest.mark.parametrize("n", [3, 8])
def test_smallest_difference_is_found_as_often_as_promised(n: int) -> None:
    rng = np.random.default_rng(n)
    differences = rng.normal(smallest_difference(1.0, n), 1.0, (40_000, n))
    assert np.mean(reference.ttest_1samp(differences, 0.0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.008)


def _difference(mean: float, half: float, n: int = 8, p: float = 0.01) -> Difference:
    return Difference(mean=mean, low=mean - half, high=mean + half, sd=1.0, n=n, p_value=p)


def test_verdicts() -> None:
    clear = _difference(1.0, 0.5)
    assert verdict(clear, 0.01) == "better"
    assert verdict(clear, 0.01, "minimize") == "worse"
    assert verdict(_difference(-1.0, 0.5), 0.01) == "worse"
    assert verdict(_difference(-1.0, 0.5), 0.01, "minimize") == "better"
    assert verdict(clear, 0.05) == "not shown"
    assert verdict(clear, math.nan) == "not shown"
    assert verdict(_difference(1.0, 1.5), 0.01) == "not shown"
    assert verdict(_difference(0.0, 0.0), 0.0) == "not shown"


@pytest.mark.parametrize("n", range(1, MIN_REPLICATES))
def test_never_better_below_eight_replicates(n: int) -> None:
    rng = np.random.default_rng(n)
    huge = paired_difference(rng.normal(100.0, 0.01, n), rng.normal(0.0, 0.01, n))
    assert verdict(huge, huge.p_value / 1e6) == "not shown"
    assert verdict(huge, 0.0, "minimize") == "not shown"


def test_eight_is_where_the_sign_test_survives_holm() -> None:
    """The reason given for MIN_REPLICATES."""
    assert reference.binomtest(8, 8).pvalue * 5 < 0.05 < reference.binomtest(7, 7).pvalue * 5


def test_three_equal_finalists_are_seldom_called_better() -> None:
    """The whole way, on functions that are all the same: any "better" or "worse" is wrong, in 5 % at most."""
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(1000):
        panel, *finalists = rng.normal(0.7, 0.01, (4, 8)) + rng.normal(0.0, 0.02, 8)
        differences = [paired_difference(values, panel) for values in finalists]
        adjusted = holm([difference.p_value for difference in differences])
        verdicts = [verdict(*pair) for pair in zip(differences, adjusted, strict=True)]
        wrong += any(text != "not shown" for text in verdicts)
    assert wrong / 1000 < 0.065  # 5 % and three standard errors


def test_pooled_sd() -> None:
    groups = [[1.0, 2.0, 3.0], [10.0, 14.0], [5.0]]
    assert pooled_sd(groups) == pytest.approx(math.sqrt((2.0 + 8.0) / 3))
    assert math.isnan(pooled_sd([[1.0], [2.0]]))
    equal = np.random.default_rng(0).normal(size=(4, 9))
    assert pooled_sd(list(equal)) == pytest.approx(math.sqrt(equal.var(axis=1, ddof=1).mean()))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([]), "at least one finite value"),
        (lambda: mean_interval([1.0, math.nan]), "at least one finite value"),
        (lambda: mean_interval([[1.0]]), "at least one finite value"),
        (lambda: mean_interval([1.0, 2.0], level=95), "between 0 and 1, not 95"),
        (lambda: mean_interval([1.0, 2.0], method="median"), "'t' or 'bootstrap', not 'median'"),
        (lambda: paired_difference([1.0, 2.0], [1.0]), "as many values as reference values"),
        (lambda: holm([0.5, 1.5]), "between 0 and 1"),
        (lambda: holm([math.nan]), "between 0 and 1"),
        (lambda: smallest_difference(-1.0, 8), "sd >= 0"),
        (lambda: smallest_difference(math.nan, 8), "sd >= 0"),
        (lambda: smallest_difference(1.0, 8, power=0.01), "alpha < power"),
        (lambda: verdict(_difference(1.0, 0.5), 0.01, "up"), "'maximize' or 'minimize', not 'up'"),
    ],
)
def test_bad_arguments_are_named(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(StudyError, match=message):
        call()
