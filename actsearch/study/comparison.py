"""What the finals showed, read from their stored trials."""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from actsearch.errors import StudyError
from actsearch.study import stats

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComparisonRow:
    """One function in the finals; metrics are the test split's, means over the cells.

    Attributes:
        spec: the function.
        role: "finalist" or "panel".
        mean: mean over replicates, with its 95 % interval ``low`` to ``high``.
        difference: mean paired difference to the reference, with its 95 % interval; None for the reference itself.
        p_value: two-sided, of no difference; ``p_holm``: adjusted over the rows of the same role.
        verdict: "better", "not shown", "worse", or "reference".
        search_score: the score that made it a finalist, in panel seed standard deviations; None for baselines.
        fresh_score: the mean validation score in the finals, in the same unit: what the search score was without luck.
        learning_rate_factor: chosen on validation.
        per_replicate: test metric of each replicate, by replicate number ascending.
        validation: mean validation metric over the same fits.
        cells: mean test metric by cell.
        n_diverged: how many of its final fits diverged (they count with the chance level).
    """

    spec: str
    role: str
    mean: float
    low: float
    high: float
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p_value: float | None
    p_holm: float | None
    verdict: str
    search_score: float | None
    fresh_score: float | None
    learning_rate_factor: float
    per_replicate: tuple[float, ...]
    validation: float
    cells: Mapping[str, float]
    n_diverged: int


@dataclass(frozen=True)
class Comparison:
    """The finals: one row a function, finalists first, each group by its mean.

    Attributes:
        rows: the functions.
        reference: the baseline that all are compared with, chosen on validation.
        n_replicates: replicates that every row has.
        n_tried: distinct functions trained to find the finalists.
        smallest_difference: the true difference that this n would show with a power of 80 %, after Holm.
        metric: name of the test metric.
        direction: "maximize" or "minimize".
    """

    rows: tuple[ComparisonRow, ...]
    reference: str
    n_replicates: int
    n_tried: int
    smallest_difference: float | None
    metric: str
    direction: stats.Direction

    def __str__(self) -> str:
        """One line a function: mean of the test metric, difference to the reference with its interval, verdict."""
        return "\n".join(f"{row.mean:.4f}  {_against_reference(row):36}  {row.spec}" for row in self.rows)

    def row(self, spec: str) -> ComparisonRow:
        """Return the row of a function.

        Raises:
            StudyError: it is not among the rows.
        """
        for row in self.rows:
            if row.spec == spec:
                return row
        raise StudyError(f"{spec!r} is not in the finals (there: {', '.join(row.spec for row in self.rows)})")

    @property
    def best(self) -> ComparisonRow | None:
        """The finalist that is best on validation over the fresh seeds (never chosen on the test split)."""
        sign = 1 if self.direction == "maximize" else -1
        finalists = [row for row in self.rows if row.role == "finalist"]
        return max(finalists, key=lambda row: sign * row.validation, default=None)


def _against_reference(row: ComparisonRow) -> str:
    if row.difference is None:
        return row.verdict
    return f"{row.difference:+.3f} [{row.difference_low:+.3f}, {row.difference_high:+.3f}] {row.verdict}"


@dataclass(frozen=True)
class _Fits:
    """The final fits of one function, by replicate."""

    spec: str
    role: str
    test: Mapping[int, float]
    cells: Mapping[str, float]
    validation: float
    score: float
    learning_rate_factor: float
    n_diverged: int


def summarise(study: optuna.Study, n_tried: int, search_scores: Mapping[str, float]) -> Comparison | None:
    """Return what the finals of a study show so far, None before the reference has two final fits.

    Args:
        study: the finals' study.
        n_tried: distinct functions trained.
        search_scores: spec -> score in the search.
    """
    settings = study.user_attrs
    direction: stats.Direction = settings["direction"]
    functions = _functions(study)
    reference = settings.get("reference") or _best_on_validation(functions, direction)
    if reference not in functions or len(functions[reference].test) < 2:
        return None
    theirs = functions[reference]
    differences = {
        spec: _difference(fits, theirs)
        for spec, fits in functions.items()
        if spec != reference and len(fits.test.keys() & theirs.test.keys()) >= 2
    }
    adjusted = _holm_by_role(functions, differences)
    rows = [
        _row(fits, differences.get(spec), adjusted.get(spec), direction, search_scores.get(spec), settings["scored"])
        for spec, fits in functions.items()
        if spec in differences or spec == reference
    ]
    sign = 1 if direction == "maximize" else -1
    rows.sort(key=lambda row: (row.role != "finalist", -sign * row.mean))
    finalists = [differences[spec] for spec in differences if functions[spec].role == "finalist"]
    return Comparison(
        rows=tuple(rows),
        reference=reference,
        n_replicates=min(len(row.per_replicate) for row in rows),
        n_tried=n_tried,
        smallest_difference=_smallest(finalists or list(differences.values())),
        metric=settings["metric"],
        direction=direction,
    )


def _functions(study: optuna.Study) -> dict[str, _Fits]:
    trials = [trial for trial in study.get_trials(deepcopy=False) if _counts(trial)]
    worst = _worst_tests(trials, study.user_attrs["direction"])
    groups: dict[str, list[FrozenTrial]] = {}
    for trial in trials:
        groups.setdefault(trial.user_attrs["expr"], []).append(trial)
    return {spec: _fits(spec, group, worst) for spec, group in groups.items()}


def _counts(trial: FrozenTrial) -> bool:
    return trial.user_attrs.get("stage") == "final" and trial.user_attrs["outcome"] in ("finished", "diverged")


def _fits(spec: str, trials: Sequence[FrozenTrial], worst: Mapping[str, float]) -> _Fits:
    tests = {trial.user_attrs["replicate"]: _tests(trial, worst) for trial in trials}
    cells = {cell: statistics.fmean(test[cell] for test in tests.values()) for cell in worst}
    levels = [_validation(trial) for trial in trials]
    return _Fits(
        spec=spec,
        role=trials[0].user_attrs["role"],
        test={replicate: statistics.fmean(tests[replicate].values()) for replicate in sorted(tests)},
        cells=cells,
        validation=statistics.fmean(level for level in levels if level is not None) if any(levels) else math.nan,
        score=statistics.fmean(trial.value for trial in trials if trial.value is not None),
        learning_rate_factor=trials[0].user_attrs["learning_rate_factor"],
        n_diverged=sum(trial.user_attrs["outcome"] == "diverged" for trial in trials),
    )


def _tests(trial: FrozenTrial, worst: Mapping[str, float]) -> dict[str, float]:
    """Return the test metric by cell; a diverged fit of a task without chance level counts as the worst fit there."""
    tests = trial.user_attrs["test"]
    return {cell: level if tests.get(cell) is None else tests[cell] for cell, level in worst.items()}


def _worst_tests(trials: Sequence[FrozenTrial], direction: str) -> dict[str, float]:
    worst = min if direction == "maximize" else max
    tests: dict[str, list[float]] = {}
    for trial in trials:
        for cell, test in trial.user_attrs["test"].items():
            if test is not None:
                tests.setdefault(cell, []).append(test)
    return {cell: worst(values) for cell, values in tests.items()}


def _validation(trial: FrozenTrial) -> float | None:
    metrics = trial.user_attrs["scores"].values()
    return statistics.fmean(metrics) if metrics else None


def _best_on_validation(functions: Mapping[str, _Fits], direction: str) -> str:
    sign = 1 if direction == "maximize" else -1
    panel = {spec: sign * fits.validation for spec, fits in functions.items() if fits.role == "panel"}
    levels = panel or {spec: sign * fits.validation for spec, fits in functions.items()}
    return max(levels, key=lambda spec: -math.inf if math.isnan(levels[spec]) else levels[spec], default="")


def _difference(fits: _Fits, reference: _Fits) -> stats.Difference:
    common = sorted(fits.test.keys() & reference.test.keys())
    return stats.paired_difference([fits.test[r] for r in common], [reference.test[r] for r in common])


def _holm_by_role(functions: Mapping[str, _Fits], differences: Mapping[str, stats.Difference]) -> dict[str, float]:
    """Adjust over the finalists; the baselines' own differences are a family of their own."""
    adjusted: dict[str, float] = {}
    for role in {fits.role for fits in functions.values()}:
        specs = [spec for spec in differences if functions[spec].role == role]
        p_values = stats.holm([differences[spec].p_value for spec in specs])
        adjusted |= {spec: float(p) for spec, p in zip(specs, p_values, strict=True)}
    return adjusted


def _smallest(differences: Sequence[stats.Difference]) -> float | None:
    if not differences:
        return None
    sd = math.sqrt(statistics.fmean(difference.sd**2 for difference in differences))
    n = min(difference.n for difference in differences)
    return stats.smallest_difference(sd, n, alpha=0.05 / len(differences))


def _row(
    fits: _Fits,
    difference: stats.Difference | None,
    p_holm: float | None,
    direction: stats.Direction,
    search_score: float | None,
    scored: bool,
) -> ComparisonRow:
    tests = tuple(fits.test.values())
    interval = stats.mean_interval(tests)
    known: dict[str, Any] = dict.fromkeys(("difference", "difference_low", "difference_high", "p_value", "p_holm"))
    known["verdict"] = "reference"
    if difference is not None and p_holm is not None:
        known = {
            "difference": difference.mean,
            "difference_low": difference.low,
            "difference_high": difference.high,
            "p_value": difference.p_value,
            "p_holm": p_holm,
            "verdict": stats.verdict(difference, p_holm, direction),
        }
    return ComparisonRow(
        spec=fits.spec,
        role=fits.role,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        search_score=search_score,
        fresh_score=fits.score if scored else None,
        learning_rate_factor=fits.learning_rate_factor,
        per_replicate=tests,
        validation=fits.validation,
        cells=fits.cells,
        n_diverged=fits.n_diverged,
        **known,
    )
