"""Fits that run to their end: the panel, the null control and the finals. Stored one by one, never fitted twice."""

from __future__ import annotations

import logging
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import actsearch
from actsearch.study.executor import Lost, Pool
from actsearch.study.function import Function
from actsearch.study.jobs import NO_SIZES, Crash, Size, Sizes
from actsearch.study.plan import Cell, Plan
from actsearch.study.together import Company

if TYPE_CHECKING:
    from actsearch.tasks.fit import FitJob, FitResult

_log = logging.getLogger(__name__)

Attributes = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """One function with one replicate and one learning rate, to be fitted in every cell.

    ``stage`` is "panel", "tuning" or "final"; only final fits open the test split (``test``).
    """

    function: Function
    role: str
    stage: str
    replicate: int
    learning_rate_factor: float = 1.0
    fresh_data: bool = False
    test: bool = False

    @property
    def key(self) -> tuple[str, str, str, int, float]:
        """What makes two fits the same; also read from a stored trial by :func:`stored_key`."""
        return self.role, self.stage, self.function.fingerprint, self.replicate, self.learning_rate_factor


def stored_key(attributes: Mapping[str, Any]) -> tuple[str, str, str, int, float]:
    """Return the key of a stored fit."""
    return (
        attributes["role"],
        attributes["stage"],
        attributes["fingerprint"],
        attributes["replicate"],
        attributes["learning_rate_factor"],
    )


def run_fits(
    wanted: Iterable[Wanted],
    known: Iterable[tuple[str, str, str, int, float]],
    plan: Plan,
    pool: Pool[Any],
    keep: Callable[[Attributes], None],
    sizes: Sizes = NO_SIZES,
) -> None:
    """Fit what is wanted and not known; hand the attributes of each to ``keep`` as soon as they are there.

    ``sizes`` says how many are fitted at once in a cell.
    """
    done = set(known)
    groups: dict[Hashable, list[Wanted]] = defaultdict(list)
    for fits in wanted:
        if fits.key not in done:
            done.add(fits.key)
            groups[_company(fits, plan, len(done))].append(fits)
    chosen = [sizes.get(cell.key, Size()) for cell in plan.cells]
    largest = max(size.n for size in chosen)
    company = Company[Wanted](pool)
    for group in groups.values():
        alone = len(group) == 1  # such as luck's controls, which share their seeds with nobody
        for start in range(0, len(group), largest):
            part = group[start : start + largest]
            company.submit(part, [jobs_of(fits, plan) for fits in part], [Size()] * len(chosen) if alone else chosen)
    while pool.n_waiting:
        for fits, answer in company.wait():
            keep(identity(fits) | outcome_of(plan.cells, answer))


def _company(fits: Wanted, plan: Plan, number: int) -> Hashable:
    """Return what fits must have in common to be fitted together; what has a logger of its own is fitted alone."""
    if plan.final_logger is not None and fits.stage == "final":
        return number
    return fits.stage, fits.replicate, fits.learning_rate_factor, fits.fresh_data, fits.test


def jobs_of(fits: Wanted, plan: Plan) -> tuple[FitJob, ...]:
    """Return one job a cell, each to its last rung."""
    return tuple(
        make_job(
            plan,
            cell,
            fits.function.spec,
            fits.replicate,
            cell.rungs[-1],
            learning_rate_factor=fits.learning_rate_factor,
            test=fits.test,
            fresh_data=fits.fresh_data,
            logger=_logger(fits, cell, plan),
        )
        for cell in plan.cells
    )


def _logger(fits: Wanted, cell: Cell, plan: Plan) -> Callable[[], Any] | None:
    if plan.final_logger is None or fits.stage != "final":
        return None
    return partial(plan.final_logger, f"{fits.function.spec} {cell.key} {fits.replicate}")


def make_job(plan: Plan, cell: Cell, spec: str, replicate: int, stop_step: int, **settings: Any) -> FitJob:
    """Return the job of one fit of a plan."""
    from actsearch.tasks.fit import FitJob

    return FitJob(
        task=cell.task,
        net=cell.net,
        spec=spec,
        normalise=plan.normalise,
        study_seed=plan.study_seed,
        replicate=replicate,
        rungs=cell.rungs,
        stop_step=stop_step,
        **({"learning_rate_factor": 1.0} | settings),
    )


def identity(fits: Wanted) -> Attributes:
    """Return the attributes that say what a stored fit is."""
    return {
        "expr": fits.function.spec,
        "fingerprint": fits.function.fingerprint,
        "role": fits.role,
        "stage": fits.stage,
        "replicate": fits.replicate,
        "learning_rate_factor": fits.learning_rate_factor,
        **symmetry_of(fits.function),
    }


def symmetry_of(function: Function) -> Attributes:
    """Return the attribute that says which mirror images a function stands for, where there are any."""
    return {"symmetry": function.symmetry} if function.symmetry else {}


def outcome_of(cells: Sequence[Cell], answer: tuple[FitResult, ...] | Crash | Lost | Exception) -> Attributes:
    """Return the attributes that say what became of the fits of one trial, one result a cell."""
    if not isinstance(answer, tuple):
        return failure(answer)
    return attributes_of({cell.key: [result] for cell, result in zip(cells, answer, strict=True)})


def failure(answer: Any) -> Attributes:
    """Return the attributes of fits that gave no result."""
    reason = answer.reason if isinstance(answer, (Crash, Lost)) else f"{type(answer).__name__}: {answer}"
    if isinstance(answer, Crash):
        _log.debug("%s", answer.details)
    return {"outcome": "failed", "reason": reason, "version": actsearch.__version__}


def attributes_of(results: Mapping[str, Sequence[FitResult]]) -> Attributes:
    """Return the attributes of fits: {cell: the results of its replicates}, curves being means over replicates."""
    fits = [result for replicates in results.values() for result in replicates]
    diverged = [f"{cell}: {fit.reason}" for cell, group in results.items() for fit in group if has_diverged(fit)]
    attributes: Attributes = {
        "outcome": "diverged" if diverged else "finished",
        "curves": {cell: mean_curve(group) for cell, group in results.items()},
        "scores": {cell: metric for cell, group in results.items() if (metric := last_metric(group)) is not None},
        "seconds": sum(fit.seconds for fit in fits),
        "seconds_by_cell": {cell: sum(fit.seconds for fit in group) for cell, group in results.items()},
        "n_parameters": max(fit.n_parameters for fit in fits),
        "version": actsearch.__version__,
    }
    if diverged:
        attributes["reason"] = "; ".join(diverged)
    if learned := {cell: group[0].learned for cell, group in results.items() if group[0].learned}:
        attributes["learned"] = learned
    if any(fit.test_metric is not None for fit in fits):
        attributes["test"] = {cell: _finite(group[0].test_metric) for cell, group in results.items()}
    return attributes


def has_diverged(fit: FitResult) -> bool:
    """Return whether a fit ended in NaN or infinity, by its own word or by its metric."""
    return fit.status == "diverged" or any(not math.isfinite(metric) for metric in fit.metric)


def mean_curve(group: Sequence[FitResult]) -> dict[str, list[Any]]:
    """Return the curve of a cell: means over replicates at the rungs that all of them reached; None: not finite."""
    n_rungs = min(len(fit.metric) for fit in group)
    columns = {
        name: [_finite(statistics.fmean(getattr(fit, name)[rung] for fit in group)) for rung in range(n_rungs)]
        for name in ("metric", "val_loss", "train_loss")
        if all(len(getattr(fit, name)) >= n_rungs for fit in group)
    }
    return {"steps": list(group[0].steps[:n_rungs]), **columns}


def last_metric(group: Sequence[FitResult]) -> float | None:
    """Return the mean over replicates of the metric at the last rung, None where there is none."""
    metrics = mean_curve(group)["metric"]
    return metrics[-1] if metrics else None


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
