"""Random searches replayed on recorded fits, many at once: in which order functions come, what is found, when.

For samplers that learn see :mod:`actsearch.study.simulate`. Everything here is arrays, so that hundreds of searches,
with and without a change, are paired and take a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actsearch.errors import StudyError
from actsearch.tasks.tables import Table

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

BEST_SHARE = 0.01


@dataclass(frozen=True, eq=False)
class Recording:
    """The normalised or other fits of one net that are there with all seeds.

    Attributes:
        functions: their texts.
        classes: the function of each candidate of the space, -1: rejected or not recorded.
        metric: validation metric, higher being better, shape (functions, seeds, rungs).
    """

    functions: tuple[str, ...]
    classes: Ints
    metric: Array

    @property
    def n_seeds(self) -> int:
        """Number of recorded seeds."""
        return self.metric.shape[1]

    @property
    def end(self) -> Array:
        """The metric at the end, shape (functions, seeds)."""
        return self.metric[:, :, -1]

    def truth(self, seed: int) -> Array:
        """Return each function's mean at the end over the seeds that a search with ``seed`` never sees.

        Raises:
            StudyError: there is one seed only.
        """
        if self.n_seeds < 2:
            raise StudyError("a search is judged by seeds that it does not see, and the table has one seed only")
        return np.asarray(np.delete(self.end, seed, axis=1).mean(axis=1))

    @property
    def standard_error(self) -> float:
        """Standard error of such a mean, from the pooled deviation between seeds."""
        return float(np.sqrt(self.end.var(axis=1, ddof=1).mean() / (self.n_seeds - 1)))

    def is_best(self, seed: int) -> NDArray[np.bool_]:
        """Return which functions are among the best 1 %, or within one standard error of the last of them."""
        truth = self.truth(seed)
        n_best = max(1, round(BEST_SHARE * len(truth)))
        return np.asarray(truth >= np.sort(truth)[-n_best] - self.standard_error)

    def only(self, chosen: NDArray[np.bool_]) -> Recording:
        """Return the recording of some functions, shape (functions,); candidates of the others count as rejected."""
        number = np.full(len(chosen) + 1, -1)  # its last element is what -1 leads to
        number[:-1][chosen] = np.arange(chosen.sum())
        functions = tuple(text for text, is_chosen in zip(self.functions, chosen, strict=True) if is_chosen)
        return Recording(functions, number[self.classes], self.metric[chosen])


def recording(table: Table, net: str, normalise: bool = True) -> Recording:
    """Return what a table holds of one net: the functions that have all the seeds that most of them have.

    Raises:
        TaskError: the table has no such net.
    """
    recorded = table.recorded(net, normalise)
    there = np.isfinite(recorded.test)
    seeds = np.flatnonzero(there.sum(axis=0) > there.sum(axis=0).max() / 2)
    all_seeds = Recording(
        tuple(table.functions[i] for i in recorded.functions),
        recorded.candidates,
        recorded.metric[:, seeds].astype(np.float64),
    )
    return all_seeds.only(np.asarray(there[:, seeds].all(axis=1)))


def random_orders(classes: Ints, n_repeats: int, seed: int = 0) -> list[Ints]:
    """Return, for each repeat, all functions in the order in which a random search meets them, each once.

    Args:
        classes: the function of each candidate, -1: rejected.
        n_repeats: how many searches.
        seed: of the random order of candidates.
    """
    rng = np.random.default_rng(seed)
    orders = []
    for _ in range(n_repeats):
        met = classes[rng.permutation(len(classes))]
        met = met[met >= 0]
        orders.append(met[np.sort(np.unique(met, return_index=True)[1])])
    return orders


def regret(found: Ints, seen: Array, truth: Array, budgets: Sequence[int]) -> Array:
    """Return the simple regret after so many evaluations, shape (budgets,).

    The incumbent is what a search would hand over: of the functions trained the best by what it saw.

    Args:
        found: the functions trained, in order; where they are fewer than a budget, all count.
        seen: what training them gives, shape (functions,).
        truth: what they are judged by, shape (functions,).
        budgets: numbers of evaluations, from 1.

    Raises:
        StudyError: nothing was trained.
    """
    if len(found) == 0:
        raise StudyError("a search that trained nothing has no regret")
    leaders = [found[int(seen[found[:budget]].argmax())] for budget in budgets]
    return np.asarray(truth.max() - truth[leaders])


def n_to_best(found: Ints, is_best: NDArray[np.bool_]) -> float:
    """Return after how many evaluations one of the best was trained; infinite where none was."""
    hits = np.flatnonzero(is_best[found])
    return float(hits[0] + 1) if len(hits) else float("inf")
