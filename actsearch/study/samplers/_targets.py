"""What a model of candidates learns: their values on a scale that neither a divergence nor the search itself bends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from optuna.trial import FrozenTrial, TrialState

Array = npt.NDArray[np.float64]

_DEPTH = 1.5
"""How far below the middle the poorest can be, in deviations of the better half."""


def targets(trials: Sequence[FrozenTrial], maximize: bool, n_first: int) -> Array:
    """Return a target for each finished trial, shape (n,), the larger the better.

    The first results, which were not chosen for being good, give the scale: their median is 0, and the root mean
    square of those above is 1. (Were it made from all, it would narrow about what the search prefers.) What is better
    than the middle keeps its distances, which tell where the best are; what is worse is squeezed into a finite depth:
    how poor a poor function is (at chance, diverged) says little about the good ones. A pruned trial counts with what
    it had reached: more than one that was trained to the end and is worse, less than it would have reached.

    Args:
        trials: complete and pruned ones by number, at least one.
        maximize: whether larger values are better.
        n_first: how many of them give the scale.
    """
    values = np.array([_value(trial, maximize) for trial in trials])
    first = values[:n_first]
    finite = first[np.isfinite(first)]
    if not len(finite):
        finite = values[np.isfinite(values)]
    if not len(finite):
        return np.zeros(len(values))
    middle = max(float(np.median(first)), float(finite.min()))
    above = finite[finite >= middle] - middle
    scale = float(np.sqrt((above**2).mean())) or 1.0
    standard = (values - middle) / scale
    return np.where(standard >= 0, standard, -_DEPTH * np.tanh(-standard / _DEPTH))


def _value(trial: FrozenTrial, maximize: bool) -> float:
    """Return a trial's value or, of a pruned one, its last report; larger is better, and -inf is none."""
    value = trial.value
    if trial.state == TrialState.PRUNED:
        value = None if trial.last_step is None else trial.intermediate_values[trial.last_step]
    if value is None or not np.isfinite(value):
        return -np.inf
    return value if maximize else -value
