"""A sampler that decides all choices of a trial when it begins."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

_FIXED = "fixed_params"  # where Optuna keeps the choices that an enqueued trial must make


class Planned(BaseSampler):
    """Base of the samplers that know whole candidates: a trial replays the plan made for it.

    Choices that the plan leaves open are drawn uniformly, from (seed, trial number).

    Args:
        seed: non-negative.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._plans: dict[int, dict[str, str]] = {}
        self._random: dict[int, RandomSampler] = {}

    @abstractmethod
    def plan(self, study: Study, trial: FrozenTrial) -> dict[str, str]:
        """Return the choices of a trial that begins: name -> option."""

    def seed_of(self, trial: FrozenTrial) -> int:
        """Return the seed for all that is random about a trial."""
        return int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0])

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Plan the trial."""
        if study._is_multi_objective():
            return  # refused by Optuna's own error as soon as something is sampled
        self._plans[trial.number] = self.plan(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return an empty space: which choices a candidate makes shows only when it is made."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return nothing; see :meth:`sample_independent`.

        Raises:
            ValueError: the study has several objectives.
        """
        self._raise_error_if_multi_objective(study)
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return the planned option, or a random one where nothing is planned.

        Raises:
            ValueError: the study has several objectives.
        """
        self._raise_error_if_multi_objective(study)
        option = self._plans.get(trial.number, {}).get(param_name)
        if option is not None and option in getattr(param_distribution, "choices", ()):
            return option
        if trial.number not in self._random:
            self._random[trial.number] = RandomSampler(seed=self.seed_of(trial))
        return self._random[trial.number].sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Forget the plan."""
        self._plans.pop(trial.number, None)
        self._random.pop(trial.number, None)


def all_trials(study: Study) -> list[FrozenTrial]:
    """Return all trials of a study; ``study.get_trials`` shows only its own bracket's under a Hyperband pruner."""
    return study._storage.get_all_trials(study._study_id, deepcopy=False)


def fixed_choices(trial: FrozenTrial) -> dict[str, Any]:
    """Return the choices that an enqueued trial must make."""
    return dict(trial.system_attrs.get(_FIXED, {}))


def choices_of(trial: FrozenTrial) -> frozenset[tuple[str, Any]]:
    """Return the choices that a trial has made or, if it was enqueued, will make."""
    return frozenset({**fixed_choices(trial), **trial.params}.items())
