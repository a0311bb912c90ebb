"""What a model of candidates learns: their values on a scale that neither a divergence nor a pruned fit can bend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import rankdata

Array = npt.NDArray[np.float64]

_DEPTH = 1.5
"""How far below the middle the poorest is, in deviations of the better half."""


def targets(trials: Sequence[FrozenTrial], maximize: bool) -> Array:
    """Return a target for each finished trial, shape (n,), the larger the better.

    The better half keep their distances, which tell where the best are; of the others only the order counts: how poor
    a poor function is (at chance, diverged) says little about the good ones. The median is 0 and the root mean square
    of the better half is 1. A pruned trial counts with what it had reached: more than one that was trained to the end
    and is worse, less than it would have reached.

    Args:
        trials: complete and pruned ones, at least one.
        maximize: whether larger values are better.
    """
    values = np.array([_value(trial, maximize) for trial in trials])
    ranks = rankdata(values)
    middle = float(np.median(values))
    better = np.isfinite(values) & (values >= middle)
    if not better.any():
        return np.asarray((ranks - ranks.mean()) / len(ranks))
    middle = middle if np.isfinite(middle) else float(values[better].min())
    above = np.where(better, values, middle) - middle
    scale = float(np.sqrt((above[better] ** 2).mean())) or 1.0
    n_poor = max(1, int((~better).sum()))
    return np.where(better, above / scale, -_DEPTH * (1 - (ranks - 0.5) / n_poor))


def _value(trial: FrozenTrial, maximize: bool) -> float:
    """Return a trial's value or, of a pruned one, its last report; larger is better, and -inf is none."""
    value = trial.value
    if trial.state == TrialState.PRUNED:
        value = None if trial.last_step is None else trial.intermediate_values[trial.last_step]
    if value is None or not np.isfinite(value):
        return -np.inf
    return value if maximize else -value
