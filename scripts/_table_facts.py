"""What a table of recorded fits says, as numbers with intervals: the statistics behind ``report_table.py``.

All intervals are at 95 %. "Accuracy" is on validation, at the end of a fit, in percentage points, unless test is said.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from actsearch.errors import TaskError
from actsearch.space import Space
from actsearch.study.stats import Interval
from actsearch.tasks.tables import Recorded, Table

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
N_RESAMPLES = 2000
NAMED = ("identity", "relu", "leaky_relu", "elu", "selu", "silu", "gelu", "mish", "softplus", "softsign", "tanh",
         "sigmoid", "erf")  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """A value and its interval."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 where the interval is on one side of 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)

    def text(self, spec: str = ".1f") -> str:
        """Return ``"1.2 [0.3, 2.1]"``."""
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def of_interval(interval: Interval) -> Estimate:
    """Return a mean with its interval."""
    return Estimate(interval.mean, interval.low, interval.high)


def bootstrap(statistic: Callable[[Ints], Array], n: int, seed: int = 0) -> list[Estimate]:
    """Return estimates of a statistic, with percentile intervals over resampled rows.

    Args:
        statistic: how often each of n rows counts, shape (resamples, n) -> values, shape (resamples, k).
        n: number of rows.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    drawn = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(N_RESAMPLES)])
    values = statistic(np.ones((1, n), dtype=np.int64))[0]
    low, high = np.nanpercentile(statistic(drawn), [2.5, 97.5], axis=0)
    return [Estimate(*map(float, row)) for row in zip(values, low, high, strict=True)]


def ratio(sums: Array, counts: Array) -> list[Estimate]:
    """Return the mean of each column over what clusters hold: shapes (clusters, k), resampled by cluster."""

    def mean(times: Ints) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((times @ sums) / (times @ counts))

    return bootstrap(mean, len(sums))


def spearman(a: Array, b: Array) -> Estimate:
    """Return the rank correlation of two columns, resampled by row."""
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(a), (N_RESAMPLES // 4, len(a)))
    low, high = np.percentile([stats.spearmanr(a[rows], b[rows]).statistic for rows in draws], [2.5, 97.5])
    return Estimate(float(stats.spearmanr(a, b).statistic), float(low), float(high))


@dataclass(frozen=True)
class Side:
    """The fits of one net, normalised or not, of the classes that have all the seeds that most have.

    Attributes:
        net: its name.
        rows: the rows of ``recorded`` that are kept, shape (classes,).
        recorded: where they are from.
        seeds: the recorded seeds.
        curve: accuracy at the rungs, shape (classes, seeds, rungs).
        test: test accuracy at the end, shape (classes, seeds).
        diverged: shape (classes, seeds).
        n_members: candidates of the space in each class.
    """

    net: str
    rows: Ints
    recorded: Recorded
    seeds: Ints
    curve: Array
    test: Array
    diverged: NDArray[np.bool_]
    n_members: Ints

    @property
    def functions(self) -> Ints:
        """The function that was trained of each class, its number in the table."""
        return self.recorded.functions[self.rows]

    @property
    def end(self) -> Array:
        """Accuracy at the end, shape (classes, seeds)."""
        return self.curve[:, :, -1]

    @property
    def mean(self) -> Array:
        """Mean accuracy over the seeds, shape (classes,)."""
        return np.asarray(self.end.mean(axis=1))

    def place(self, row: int) -> int:
        """Return where a row of ``recorded`` is kept, -1 if it is not."""
        found = np.flatnonzero(self.rows == row)
        return int(found[0]) if len(found) else -1


def side(table: Table, net: str, normalise: bool) -> Side:
    """Return one side of the table."""
    recorded = table.recorded(net, normalise)
    there = np.isfinite(recorded.test)
    seeds = np.flatnonzero(there.sum(axis=0) > there.sum(axis=0).max() / 2)
    rows = np.flatnonzero(there[:, seeds].all(axis=1))
    members = np.bincount(recorded.candidates[recorded.candidates >= 0], minlength=len(there))
    return Side(
        net=net,
        rows=rows,
        recorded=recorded,
        seeds=seeds,
        curve=100 * recorded.metric[rows][:, seeds].astype(np.float64),
        test=100 * recorded.test[rows][:, seeds].astype(np.float64),
        diverged=recorded.diverged[rows][:, seeds],
        n_members=members[rows],
    )


def share_diverged(one: Side) -> Estimate:
    """Return the share of functions that diverged with the first seed, in percent; Wilson's interval."""
    found = stats.binomtest(int(one.diverged[:, 0].sum()), len(one.rows))
    interval = found.proportion_ci(method="wilson")
    return Estimate(100 * found.statistic, 100 * interval.low, 100 * interval.high)


def seed_correlations(one: Side) -> tuple[Estimate, Estimate | None]:
    """Return the rank correlation of the first two seeds: over all functions, and over the best tenth by the third."""
    everything = spearman(one.end[:, 0], one.end[:, 1])
    if len(one.seeds) < 3:
        return everything, None
    best = np.argsort(-one.end[:, 2], kind="stable")[: max(10, len(one.rows) // 10)]
    return everything, spearman(one.end[best, 0], one.end[best, 1])


def in_both(a: Side, b: Side) -> tuple[Ints, Ints]:
    """Return the places of the classes that both nets have."""
    _, first, second = np.intersect1d(a.functions, b.functions, return_indices=True)
    return first, second


def primitive_effects(space: Space, one: Side) -> dict[str, dict[str, tuple[int, Estimate]]]:
    """Return for each rule and alternative how many accepted candidates hold it, and their mean less that of all.

    A candidate with the alternative in two places counts once. Classes are resampled, each with all its candidates.
    """
    place = np.full(len(one.recorded.functions) + 1, -1)
    place[one.rows] = np.arange(len(one.rows))
    classes = place[one.recorded.candidates]
    found: dict[str, dict[str, tuple[int, Estimate]]] = {}
    held: dict[tuple[str, str], Array] = {}
    for number in np.flatnonzero(classes >= 0).tolist():
        choices = space.choices_at(number).items()
        for rule, text in dict.fromkeys((name.partition(":")[2], text) for name, text in choices):
            held.setdefault((rule, text), np.zeros(len(one.rows)))[classes[number]] += 1
    weights = np.stack(list(held.values()), axis=1)
    everyone = np.bincount(classes[classes >= 0], minlength=len(one.rows)).astype(np.float64)

    def effect(times: Ints) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            theirs = (times @ (weights * one.mean[:, None])) / (times @ weights)
        return np.asarray(theirs - (times @ (everyone * one.mean) / (times @ everyone))[:, None])

    for (rule, text), estimate in zip(held, bootstrap(effect, len(one.rows)), strict=True):
        found.setdefault(rule, {})[text] = int(held[rule, text].sum()), estimate
    return found


@dataclass(frozen=True)
class Pairs:
    """Each function normalised and not, with the same seed.

    Attributes:
        plain: accuracy un-normalised, shape (functions,).
        normalised: accuracy normalised.
        difference: normalised less un-normalised, in the mean.
        helped: percent of functions that are better normalised by more than twice the deviation between seeds.
        hurt: percent that are worse by as much.
    """

    plain: Array
    normalised: Array
    difference: Estimate
    helped: Estimate
    hurt: Estimate


def normalising(table: Table, plain: Side, normalised: Side) -> Pairs:
    """Compare every un-normalised function with what it is normalised; classes of the latter are resampled."""
    names = table.classes[True]
    place = {str(names[function]): row for row, function in enumerate(normalised.functions.tolist())}
    pairs = [(i, place[name]) for i, name in enumerate(names[plain.functions].tolist()) if name in place]
    ours, theirs = np.array(pairs).T
    shared = np.intersect1d(plain.seeds, normalised.seeds)
    a = plain.end[ours][:, np.searchsorted(plain.seeds, shared)].mean(axis=1)
    b = normalised.end[theirs][:, np.searchsorted(normalised.seeds, shared)].mean(axis=1)
    noise = 2 * seed_deviation(normalised)
    columns = np.stack([b - a, 100.0 * (b - a > noise), 100.0 * (a - b > noise)], axis=1)
    sums = np.stack([np.bincount(theirs, weights=column, minlength=len(normalised.rows)) for column in columns.T], 1)
    counts = np.bincount(theirs, minlength=len(normalised.rows)).astype(np.float64)
    return Pairs(a, b, *ratio(sums, np.repeat(counts[:, None], 3, axis=1)))


def seed_deviation(one: Side, rows: Ints | None = None) -> float:
    """Return the pooled standard deviation between seeds; NaN with one seed."""
    end = one.end if rows is None else one.end[rows]
    return float(np.sqrt(end.var(axis=1, ddof=1).mean())) if end.shape[1] > 1 else float("nan")


def held(table: Table, one: Side, normalise: bool) -> dict[str, int]:
    """Return the named functions that the table holds, with the row of ``recorded`` that stands for each."""
    found = {}
    for name in NAMED:
        with suppress(TaskError):
            found[name] = table.class_of(name, one.net, normalise)
    return found


def percentiles(table: Table, one: Side, normalise: bool) -> dict[str, Estimate]:
    """Return the percent of classes with a higher mean accuracy than a named function.

    Intervals: 1.96 standard errors of its mean, from the deviation between seeds pooled over the hundred functions that
    are nearest in accuracy; everything with one seed.
    """
    found = {}
    for name, number in held(table, one, normalise).items():
        row = one.place(number)
        if row < 0:
            continue
        mean = one.mean[row]
        near = np.argsort(np.abs(one.mean - mean), kind="stable")[:100]
        margin = np.nan_to_num(1.96 * seed_deviation(one, near) / np.sqrt(len(one.seeds)), nan=np.inf)
        value, low, high = (100 * float(np.mean(one.mean > mean + shift)) for shift in (0.0, margin, -margin))
        found[name] = Estimate(value, low, high)
    return found
