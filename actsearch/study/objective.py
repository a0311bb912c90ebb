"""One candidate on its way through the reports of a plan: the next job, the value to report, the end."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from actsearch.study.fits import Attributes, attributes_of, has_diverged, last_metric, make_job
from actsearch.study.function import Function
from actsearch.study.jobs import Size, Sizes
from actsearch.study.plan import Cell, Plan, state_path
from actsearch.study.scale import Scale

if TYPE_CHECKING:
    from actsearch.tasks.fit import FitJob, FitResult


@dataclass(eq=False)
class Candidate:
    """A function being fitted: its trial, how many reports it made, and its results so far.

    ``n_reports_before`` is how many reports an interrupted trial of the same function made: its states reach that far.
    """

    function: Function
    trial: optuna.Trial
    n_reports_before: int = 0
    n_reports: int = 0
    results: dict[str, tuple[FitResult, ...]] = field(default_factory=dict)
    duplicates: list[optuna.Trial] = field(default_factory=list)


@dataclass(frozen=True)
class Objective:
    """How candidates are fitted and judged.

    ``is_pruned``: whether a candidate may end at a rung; else fits run through to the end of their cell.
    """

    plan: Plan
    scale: Scale
    replicates: Sequence[int]
    reduction_factor: int
    state_folder: Path | None
    sizes: Sizes = field(default_factory=dict)
    is_pruned: bool = True

    def size(self, candidate: Candidate) -> Size:
        """Return how many candidates are fitted at once in the cell where a candidate is."""
        cell, _ = self.plan.reports[candidate.n_reports]
        return self.size_of(cell.key)

    def size_of(self, cell: str) -> Size:
        """Return how many candidates are fitted at once in a cell."""
        return self.sizes.get(cell, Size())

    def jobs(self, candidate: Candidate) -> tuple[FitJob, ...]:
        """Return the jobs, one a replicate, that take a candidate to its next report, or to where it was before."""
        cell, rung = self.plan.reports[candidate.n_reports]
        rung = rung if self.is_pruned else len(cell.rungs) - 1
        for at, before in self.plan.reports[candidate.n_reports : candidate.n_reports_before]:
            rung = before if at.key == cell.key else rung
        return tuple(
            make_job(
                self.plan,
                cell,
                candidate.function.spec,
                replicate,
                cell.rungs[rung],
                state_path=self._state(candidate, cell, replicate),
            )
            for replicate in self.replicates
        )

    def take(self, candidate: Candidate, results: tuple[FitResult, ...]) -> str:
        """Add results and report what they hold; return "diverged", "pruned", "finished" or "running".

        A fit that was resumed may be further than it was asked to go: all its rungs are reported, one by one.
        """
        cell, _ = self.plan.reports[candidate.n_reports]
        candidate.results[cell.key] = results
        if any(has_diverged(result) for result in results):
            return "diverged"
        n_reached = min(len(result.metric) for result in results)
        while candidate.n_reports < len(self.plan.reports):
            at, rung = self.plan.reports[candidate.n_reports]
            if at.key != cell.key or rung >= n_reached:
                return "running"
            candidate.trial.report(self._value(candidate, rung), self.reduction_factor**candidate.n_reports)
            candidate.n_reports += 1
            if candidate.n_reports < len(self.plan.reports) and candidate.trial.should_prune():
                return "pruned"
        return "finished"

    def value(self, candidate: Candidate) -> float:
        """Return the score of a finished candidate."""
        return self.scale.score({cell: (self._metric(candidate, cell, -1), -1) for cell in candidate.results})

    def attributes(self, candidate: Candidate) -> Attributes:
        """Return what is stored of a candidate's fits."""
        return attributes_of(candidate.results)

    def forget_states(self, candidate: Candidate) -> None:
        """Remove the training states of a candidate that ended."""
        for cell in self.plan.cells:
            for replicate in self.replicates:
                path = self._state(candidate, cell, replicate)
                if path is not None:
                    Path(path).unlink(missing_ok=True)

    def _value(self, candidate: Candidate, rung: int) -> float:
        """Return the mean score over the cells seen so far: earlier cells at their last rung, this one at ``rung``."""
        *earlier, current = candidate.results
        metrics = {cell: (self._metric(candidate, cell, -1), -1) for cell in earlier}
        return self.scale.score(metrics | {current: (self._metric(candidate, current, rung), rung)})

    def _metric(self, candidate: Candidate, cell: str, rung: int) -> float:
        if rung == -1:
            metric = last_metric(candidate.results[cell])
            assert metric is not None
            return metric
        return statistics.fmean(result.metric[rung] for result in candidate.results[cell])

    def _state(self, candidate: Candidate, cell: Cell, replicate: int) -> str | None:
        return state_path(self.state_folder, candidate.function.fingerprint, cell, replicate)
