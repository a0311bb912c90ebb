"""Tree-structured Parzen estimator: model the choices of good and of poor trials, propose where they differ most."""

from __future__ import annotations

from optuna.samplers import BaseSampler, TPESampler

from actsearch.space import Space
from actsearch.study.samplers._fixed import has_conditional_choices
from actsearch.study.samplers._reseeded import Reseeded


def make_sampler(
    space: Space,
    seed: int = 0,
    *,
    n_startup_trials: int = 20,
    n_ei_candidates: int = 24,
    multivariate: bool = True,
    constant_liar: bool = True,
) -> BaseSampler:
    """Return Optuna's TPE; it serves every space.

    Args:
        space: where some choices depend on others, they are modelled in groups that occur together.
        seed: non-negative.
        n_startup_trials: random trials before the model is used. Twice Optuna's own 10, as a choice here has up to
            27 options, of which ten trials see few.
        n_ei_candidates: proposals drawn from the good trials' model, of which the best is taken (Optuna's default).
        multivariate: model choices together instead of each alone: what a unary does depends on its neighbours.
        constant_liar: count trials still running as poor ones, so that workers do not all try the same.

    Reference:
        Bergstra, Bardenet, Bengio, Kegl 2011, "Algorithms for hyper-parameter optimization", NeurIPS.
    """
    group = multivariate and has_conditional_choices(space)

    def make(trial_seed: int) -> BaseSampler:
        return TPESampler(
            seed=trial_seed,
            n_startup_trials=n_startup_trials,
            n_ei_candidates=n_ei_candidates,
            multivariate=multivariate,
            group=group,
            constant_liar=constant_liar,
        )

    return Reseeded(make, seed)
