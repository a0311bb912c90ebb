"""Regularised evolution over expressions: vary the better of a few recent candidates; age, not rank, removes them."""

from __future__ import annotations

import random
from typing import Any

from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from actsearch.errors import SpaceError, StudyError
from actsearch.space import ReplayChooser, Space
from actsearch.space.vary import crossover, mutate, regenerate
from actsearch.study.samplers._planned import Planned, all_trials, choices_of, fixed_choices

# Where the neighbourhood of the parents is used up, varying on would go round in circles: after so many known children
# the candidate is drawn at random instead.
_ATTEMPTS = 50


def make_sampler(
    space: Space, seed: int = 0, *, population_size: int = 20, tournament_size: int = 5, crossover: float = 0.0
) -> BaseSampler:
    """Return a sampler that evolves candidates by changing one choice at a time; it serves every space.

    Args:
        space: any space, with choices that depend on others or without.
        seed: non-negative.
        population_size: the parents are the latest so many finished candidates; until then candidates are random.
            100 in the paper, for 20,000 trials; studies here have a few hundred.
        tournament_size: of so many drawn at random the best is the parent; 25 of 100 in the paper.
        crossover: probability that a child gets choices of two parents before one choice is changed; the paper has
            none.

    Raises:
        StudyError: a setting out of range.

    Reference:
        Real, Aggarwal, Huang, Le 2019, "Regularized evolution for image classifier architecture search", AAAI.
    """
    if population_size < 2 or not 1 <= tournament_size <= population_size or not 0.0 <= crossover <= 1.0:
        raise StudyError(
            "evolution needs population_size >= 2, 1 <= tournament_size <= population_size and 0 <= crossover <= 1, not"
            f" {population_size}, {tournament_size} and {crossover}"
        )
    return Evolution(space, seed, population_size, tournament_size, crossover)


class Evolution(Planned):
    """See :func:`make_sampler`. It keeps nothing: parents are read from the study each time."""

    def __init__(
        self, space: Space, seed: int, population_size: int, tournament_size: int, crossover_probability: float
    ) -> None:
        super().__init__(seed)
        self._space = space
        self._population_size = population_size
        self._tournament_size = tournament_size
        self._crossover = crossover_probability

    def plan(self, study: Study, trial: FrozenTrial) -> dict[str, str]:
        """Return the choices of a child, or of a random candidate while there are too few parents."""
        if fixed_choices(trial):
            return {}
        others = [other for other in all_trials(study) if other.number != trial.number]
        taken = {choices_of(other) for other in others}
        taken.update(frozenset(plan.items()) for plan in self._plans.values())
        rng = random.Random(self.seed_of(trial))
        parents = self._parents(others)
        if len(parents) == self._population_size:
            maximize = study.direction == StudyDirection.MAXIMIZE
            for _ in range(_ATTEMPTS):
                child = self._child(parents, maximize, rng)
                if frozenset(child.items()) not in taken:
                    return child
        return self._newcomer(taken, rng)

    def _parents(self, trials: list[FrozenTrial]) -> list[tuple[FrozenTrial, dict[str, str]]]:
        """Return the latest finished candidates, at most a population of them, with their choices."""
        parents = []
        for trial in reversed(trials):
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                choices = self._candidate(trial)
                if choices is not None:
                    parents.append((trial, choices))
            if len(parents) == self._population_size:
                break
        return parents

    def _candidate(self, trial: FrozenTrial) -> dict[str, str] | None:
        """Return a trial's choices; None when they are no candidate of the space, as a stranger's trial may be."""
        try:
            return self._space.choose(ReplayChooser(trial.params))
        except SpaceError:
            return None

    def _child(
        self, parents: list[tuple[FrozenTrial, dict[str, str]]], maximize: bool, rng: random.Random
    ) -> dict[str, str]:
        def select() -> dict[str, str]:
            drawn = rng.sample(parents, self._tournament_size)
            return max(drawn, key=lambda parent: _fitness(parent[0], maximize))[1]

        choices = select()
        if rng.random() < self._crossover:
            choices = crossover(choices, select(), self._space, rng)
        return mutate(choices, self._space, rng)

    def _newcomer(self, taken: set[frozenset[tuple[str, Any]]], rng: random.Random) -> dict[str, str]:
        """Return a random candidate, an untaken one if a few draws find any."""
        for _ in range(_ATTEMPTS):
            choices = regenerate(self._space, rng)
            if frozenset(choices.items()) not in taken:
                break
        return choices


def _fitness(trial: FrozenTrial, maximize: bool) -> tuple[bool, int, float]:
    """Order finished trials: a pruned one is poorer than every complete one, and the poorer the earlier it ended.

    The poorest are those that could not be trained: they are complete, at chance level.
    """
    sign = 1.0 if maximize else -1.0
    if trial.user_attrs.get("outcome") in ("diverged", "rejected"):
        return False, -2, 0.0
    if trial.state == TrialState.COMPLETE:
        value = trial.value
        assert value is not None
        return True, 0, sign * value
    step = trial.last_step
    return (False, -1, 0.0) if step is None else (False, step, sign * trial.intermediate_values[step])
