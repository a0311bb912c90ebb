"""Exhaustive search: every candidate of the space once, in the space's own order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from actsearch.errors import StudyError
from actsearch.space import RandomChooser, ReplayChooser, Space
from actsearch.study.samplers._planned import Planned, all_trials, choices_of, fixed_choices

_ATTEMPTS = 50  # to complete an enqueued trial with some of its choices fixed into a candidate not tried yet


def make_sampler(space: Space, seed: int = 0) -> BaseSampler:
    """Return a sampler that takes the first candidate that no trial of the study has taken; it serves every space.

    Different choices that make the same function are different candidates; the search finds that out before training.

    Args:
        space: any space; a large one is enumerated only as far as trials go.
        seed: without influence: the order is the space's.
    """
    return Exhaustive(space, seed)


class Exhaustive(Planned):
    """See :func:`make_sampler`; ``study.optimize`` stops by itself when all candidates have been tried."""

    def __init__(self, space: Space, seed: int = 0) -> None:
        super().__init__(seed)
        self._space = space
        self._ahead = space.enumerate_choices()
        self._next: dict[str, str] | None = None

    def is_exhausted(self, study: Study) -> bool:
        """Return whether every candidate has been taken by a trial."""
        return self._peek(study, all_trials(study)) is None

    def plan(self, study: Study, trial: FrozenTrial) -> dict[str, str]:
        """Return the choices of the next candidate.

        Raises:
            StudyError: there is none left; the trial is failed.
        """
        fixed = fixed_choices(trial)
        others = [other for other in all_trials(study) if other.number != trial.number]
        choices = self._completion(fixed, others) if fixed else self._peek(study, others)
        if choices is None:
            study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
            raise StudyError(f"all {self._space.size()} candidates of space {self._space.name!r} have been tried")
        return choices

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the planned option.

        Raises:
            StudyError: the trial asks for a choice that its candidate does not have.
        """
        if param_name not in self._plans.get(trial.number, {}):
            raise StudyError(f"{param_name!r} is no choice of this candidate of space {self._space.name!r}")
        return super().sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Stop ``study.optimize`` when this was the last candidate."""
        super().after_trial(study, trial, state, values)
        if study._thread_local.in_optimize_loop and self.is_exhausted(study):
            study.stop()

    def _peek(self, study: Study, trials: list[FrozenTrial]) -> dict[str, str] | None:
        """Return the next candidate that neither a trial nor a plan has taken.

        The enumeration never goes back: what it has passed was taken, and a trial, once made, stays in the study.
        """
        taken = {choices_of(trial) for trial in trials}
        taken.update(frozenset(plan.items()) for plan in self._plans.values())
        while self._next is None or frozenset(self._next.items()) in taken:
            self._next = next(self._ahead, None)
            if self._next is None:
                return None
        return self._next

    def _completion(self, fixed: dict[str, str], trials: list[FrozenTrial]) -> dict[str, str]:
        """Return a candidate with the fixed choices of an enqueued trial: an untaken one, if a few tries find any."""
        taken = {choices_of(trial) for trial in trials}
        completions = (
            self._space.choose(ReplayChooser(fixed, otherwise=RandomChooser(attempt))) for attempt in range(_ATTEMPTS)
        )
        return next(
            (choices for choices in completions if frozenset(choices.items()) not in taken),
            self._space.choose(ReplayChooser(fixed, otherwise=RandomChooser(0))),
        )
