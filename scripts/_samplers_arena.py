"""One net of the table as simulated searches meet it: what a search sees, and by what it is judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actsearch.tasks.tables import Table

Array = NDArray[np.float64]
BEST_SHARE = 0.01


@dataclass(frozen=True)
class Arena:
    """One net: what functions give with each recorded seed.

    Attributes:
        classes: the function of each candidate; -1: rejected, or not in the table yet.
        values: validation accuracy at the end, shape (functions, seeds).
        chance: the value of what is rejected.
    """

    classes: NDArray[np.int64]
    values: Array
    chance: float

    @property
    def n_seeds(self) -> int:
        """Number of recorded seeds."""
        return self.values.shape[1]

    def truth(self, seed: int) -> Array:
        """Return each function's mean over the seeds that a search with ``seed`` never sees."""
        return np.delete(self.values, seed, axis=1).mean(axis=1)

    @property
    def standard_error(self) -> float:
        """Standard error of such a mean, from the pooled deviation between seeds."""
        return float(np.sqrt(self.values.var(axis=1, ddof=1).mean() / (self.n_seeds - 1)))

    def is_best(self, seed: int) -> NDArray[np.bool_]:
        """Return which functions are among the best 1 %, or within one standard error of the last of them."""
        truth = self.truth(seed)
        n_best = max(1, round(BEST_SHARE * len(truth)))
        return np.asarray(truth >= np.sort(truth)[-n_best] - self.standard_error)


def arena_of(table: Table, net: str) -> Arena:
    """Return the normalised fits of one net, of the functions that have all the seeds that most have."""
    recorded = table.recorded(net, True)
    there = np.isfinite(recorded.test)
    seeds = np.flatnonzero(there.sum(axis=0) > there.sum(axis=0).max() / 2)
    if len(seeds) < 2:
        raise SystemExit("the table has one seed only; a search has to be judged by seeds that it does not see")
    whole = np.flatnonzero(there[:, seeds].all(axis=1))
    number = np.full(len(there) + 1, -1)  # its last element is what -1 leads to
    number[whole] = np.arange(len(whole))
    values = recorded.metric[whole][:, seeds, -1].astype(np.float64)
    return Arena(number[recorded.candidates], values, table.meta["chance"])
