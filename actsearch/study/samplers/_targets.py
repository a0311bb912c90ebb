"""What a model of candidates learns: their values on a scale that neither a divergence nor a pruned fit can bend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import rankdata

from actsearch.study.samplers._planned import fitness

Array = npt.NDArray[np.float64]

_DEPTH = 1.5
"""How far below the middle the poorest is, in deviations of the better half."""


def targets(trials: Sequence[FrozenTrial], maximize: bool) -> Array:
    """Return a target for each finished trial, shape (n,), the larger the better.

    The better half keep their distances, which tell where the best are; of the others only the order counts: how poor
    a poor function is (at chance, diverged, stopped at an early rung) says little about the good ones. The median is 0
    and the root mean square of the better half is 1.

    Args:
        trials: complete and pruned ones, at least one.
        maximize: whether larger values are better.
    """
    order = sorted({fitness(trial, maximize) for trial in trials})
    place = {found: number for number, found in enumerate(order)}
    ranks = rankdata([place[fitness(trial, maximize)] for trial in trials])
    values = np.array([_value(trial, maximize) for trial in trials])
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return np.asarray((ranks - ranks.mean()) / len(ranks))
    middle = max(float(np.median(np.where(np.isfinite(values), values, -np.inf))), float(finite.min()))
    better = values >= middle
    above = np.where(better, values - middle, 0.0)
    scale = float(np.sqrt((above[better] ** 2).mean())) or 1.0
    n_poor = max(1, int((~better).sum()))
    below = -_DEPTH * (1 - (ranks - 0.5) / n_poor)
    return np.where(better, above / scale, below)


def _value(trial: FrozenTrial, maximize: bool) -> float:
    """Return a trial's value, larger is better; -inf for one that was pruned or whose value is infinite."""
    if trial.state != TrialState.COMPLETE or trial.value is None or not np.isfinite(trial.value):
        return -np.inf
    return trial.value if maximize else -trial.value
