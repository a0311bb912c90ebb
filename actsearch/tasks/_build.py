"""Build the module and the data of a job."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn

from actsearch.errors import ActivationError, TaskError
from actsearch.expr import moments
from actsearch.nn import init
from actsearch.nn.activation import Activation
from actsearch.nn.make import make
from actsearch.tasks import _rng
from actsearch.tasks.seeds import Purpose, derive_seed

if TYPE_CHECKING:
    from actsearch.tasks.fit import FitJob


def seed(job: FitJob, purpose: Purpose) -> int:
    """Return the job's seed for one purpose."""
    return derive_seed(job.study_seed, job.task.name, job.net, job.replicate, purpose)


def build_module(job: FitJob) -> LightningModule:
    """Return the net with the candidate in it, its weights drawn from the job's seed."""
    factory = _Factory(job)
    _rng.seed_all(seed(job, "init"))
    settings = {"gain": 1.0 if job.normalise else _gain(factory.first)} if job.task.takes_gain else {}
    module = job.task.net(job.net)(activation=factory, **settings)
    if not isinstance(module, LightningModule):
        hint = "; it comes from 'pytorch_lightning', import lightning.pytorch instead" if _is_sibling(module) else ""
        raise TaskError(f"{job.where}: the net is a {type(module).__name__}, not a LightningModule{hint}")
    if factory.n_made == 0:
        raise TaskError(f"{job.where}: the module never called its activation argument, so there is nothing to fit")
    return module


def build_data(job: FitJob) -> LightningDataModule:
    """Return the job's data."""
    data = job.task.data(seed=seed(job, "data") if job.fresh_data else None)
    if not isinstance(data, LightningDataModule):
        raise TaskError(f"{job.where}: the data are a {type(data).__name__}, not a LightningDataModule")
    return data


def activations_of(module: nn.Module) -> list[Activation]:
    """Return the activations of a net, in its order."""
    return [part for part in module.modules() if isinstance(part, Activation)]


def learned(job: FitJob, activations: Sequence[Activation]) -> str | None:
    """Return activations with their learned values, a line each; None when nothing in them learns.

    Only of a whole fit: it takes longer than the steps to an early rung.
    """
    if job.stop_step < job.rungs[-1] or not any(True for part in activations for _ in part.parameters()):
        return None
    return "\n".join(part.learned for part in activations)


class _Factory:
    """Gives a fresh activation of the candidate at each call (one for all, if it is shared), and counts the calls."""

    def __init__(self, job: FitJob) -> None:
        self.first = _copy(_template(job.spec, job.normalise, job.task.channel_dim, torch.get_default_dtype()))
        self.n_made = 0

    def __call__(self) -> nn.Module:
        self.n_made += 1
        if getattr(self.first, "is_shared", False):
            return self.first
        return _copy(self.first)


@lru_cache(maxsize=256)
def _template(spec: str, normalise: bool, channel_dim: int, dtype: torch.dtype) -> nn.Module:
    """Return the activation that others are copies of; a candidate is fitted several times in one process."""
    return make(spec, normalise=normalise, channel_dim=channel_dim)


def _copy(activation: nn.Module) -> nn.Module:
    """Return a copy, at a hundredth of the cost of making it anew: it shares the expressions, which never change."""
    parts = [vars(part) for part in activations_of(activation)]
    shared = [part[name] for part in parts for name in ("expr", "slots", "formula") if name in part]
    return copy.deepcopy(activation, {id(one): one for one in shared})


def _gain(activation: nn.Module) -> float:
    """Return the scale of weights behind an activation, 1/sqrt(E f(z)^2), z ~ N(0, 1): 1 for a normalised one."""
    if isinstance(activation, Activation):
        value = moments.gain(activation.expr)
        return value if math.isfinite(value) and value > 0 else 1.0
    try:
        return init.gain(activation)
    except ActivationError:  # not elementwise, or its mean square is zero or infinite: there is no right scale
        return 1.0


def _is_sibling(module: object) -> bool:
    return any(base.__module__.startswith("pytorch_lightning") for base in type(module).__mro__)
