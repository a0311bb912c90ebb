"""Random search: every choice uniform among its options. The yardstick for all others."""

from __future__ import annotations

from optuna.samplers import BaseSampler, RandomSampler

from actsearch.space import Space
from actsearch.study.samplers._reseeded import Reseeded


def make_sampler(space: Space, seed: int = 0) -> BaseSampler:
    """Return a sampler that draws each choice uniformly; it serves every space.

    Args:
        space: any space.
        seed: non-negative.
    """
    return Reseeded(lambda trial_seed: RandomSampler(seed=trial_seed), seed)
