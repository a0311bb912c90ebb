"""Bayesian optimisation with a Gaussian process over the choices: few trials, dear ones."""

from __future__ import annotations

from optuna.samplers import BaseSampler, GPSampler

from actsearch.space import Space
from actsearch.study.samplers._fixed import check_all_choices_everywhere
from actsearch.study.samplers._reseeded import Reseeded


def make_sampler(space: Space, seed: int = 0, *, n_startup_trials: int = 20) -> BaseSampler:
    """Return Optuna's GP sampler for a space all of whose candidates make the same choices.

    Asking takes longer with every trial (the fit of the process grows with the cube of their number).

    Args:
        space: one without choices that depend on others.
        seed: non-negative.
        n_startup_trials: random trials before the model is used; see :mod:`actsearch.study.samplers.tpe`.

    Raises:
        StudyError: the space has choices that some candidates do not make: Optuna would draw those at random.

    Reference:
        Snoek, Larochelle, Adams 2012, "Practical Bayesian optimization of machine learning algorithms", NeurIPS.
    """
    check_all_choices_everywhere("gp", space)

    def make(trial_seed: int) -> BaseSampler:
        return GPSampler(seed=trial_seed, n_startup_trials=n_startup_trials, warn_independent_sampling=False)

    return Reseeded(make, seed)
