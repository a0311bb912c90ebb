"""NSGA-II: a genetic algorithm in generations; with one objective, an elitist one."""

from __future__ import annotations

from optuna.samplers import BaseSampler, NSGAIISampler

from actsearch.space import Space
from actsearch.study.samplers._fixed import check_all_choices_everywhere
from actsearch.study.samplers._reseeded import Reseeded


def make_sampler(
    space: Space,
    seed: int = 0,
    *,
    population_size: int = 20,
    mutation_prob: float | None = None,
    crossover_prob: float = 0.9,
    swapping_prob: float = 0.5,
) -> BaseSampler:
    """Return Optuna's NSGA-II for a space all of whose candidates make the same choices.

    Args:
        space: one without choices that depend on others.
        seed: non-negative.
        population_size: trials a generation. Optuna's own 50 leaves a study of 100 trials one step of evolution.
        mutation_prob: chance that a choice is drawn anew; None for one over the number of choices.
        crossover_prob: chance that a child has two parents.
        swapping_prob: chance that a choice comes from the second parent.

    Raises:
        StudyError: the space has choices that some candidates do not make: Optuna would draw those at random.

    Reference:
        Deb, Pratap, Agarwal, Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II".
    """
    check_all_choices_everywhere("nsgaii", space)

    def make(trial_seed: int) -> BaseSampler:
        return NSGAIISampler(
            seed=trial_seed,
            population_size=population_size,
            mutation_prob=mutation_prob,
            crossover_prob=crossover_prob,
            swapping_prob=swapping_prob,
        )

    return Reseeded(make, seed)
