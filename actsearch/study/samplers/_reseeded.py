"""A sampler that is made anew for each trial, so that its randomness follows from the seed and the trial's number."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

# where Optuna's samplers keep the choices that all trials have made
_MEMORIES = ("_search_space", "_intersection_search_space", "_group_decomposed_search_space")


class Reseeded(BaseSampler):
    """One of Optuna's samplers, resumable and reproducible.

    Optuna's samplers hold a random state in memory that starts over with the process: a study that goes on would ask
    for its first random trials again. Here every trial gets a sampler of its own, seeded by (seed, trial number);
    all else these samplers know they read from the study.

    Args:
        make: returns the sampler for a seed in [0, 2**32).
        seed: non-negative.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make = make
        self._seed = seed
        self._samplers: dict[int, BaseSampler] = {}
        self._study: Study | None = None
        self._search_spaces: dict[str, Any] = {}
        self._name = str(self._of(0))
        self._samplers.clear()

    def __str__(self) -> str:
        return self._name

    def _of(self, number: int) -> BaseSampler:
        if number not in self._samplers:
            seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
            with warnings.catch_warnings():
                # the settings used are chosen and tested here; Optuna marks several as experimental for years
                warnings.simplefilter("ignore", ExperimentalWarning)
                self._samplers[number] = self._make(seed)
            self._share_search_spaces(self._samplers[number])
        return self._samplers[number]

    def _share_search_spaces(self, sampler: BaseSampler) -> None:
        """Give all samplers of a study one memory of what its trials have in common.

        It depends on the trials alone, and Optuna looks only at those that are new; each sampler starting from nothing
        would make asking slower with every trial.
        """
        for name in _MEMORIES:
            if hasattr(sampler, name):
                setattr(sampler, name, self._search_spaces.setdefault(name, getattr(sampler, name)))

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Hand on to the trial's sampler."""
        if study is not self._study:
            self._study = study
            self._search_spaces.clear()
        self._of(trial.number).before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what the trial's sampler infers."""
        return self._of(trial.number).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return what the trial's sampler samples."""
        return self._of(trial.number).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return what the trial's sampler samples."""
        return self._of(trial.number).sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Hand on to the trial's sampler, which is not needed any more."""
        self._of(trial.number).after_trial(study, trial, state, values)
        del self._samplers[trial.number]
