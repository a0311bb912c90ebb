"""Samplers: each file here is one, by its name; start at :func:`load_sampler`.

A sampler file exposes ``make_sampler(space, seed, **settings) -> optuna.samplers.BaseSampler`` and refuses a space that
it cannot serve with a StudyError. All draw their randomness from the seed and the trial's number, and everything else
from the trials in the study: a study that goes on after a kill goes on as if nothing had happened.
"""

from actsearch.study.samplers._load import load_sampler as load_sampler
from actsearch.study.samplers._load import sampler_names as sampler_names
