"""The best functions of a table, ranked by some seeds and judged by one that had no part in the ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from _table_facts import Array, Estimate, Side, held
from scipy import stats

from actsearch.tasks.tables import Table

N_BEST = 30


@dataclass(frozen=True)
class Row:
    """One of the best: its accuracy by net and in the mean of the nets with the seeds that ranked it, then unseen."""

    text: str
    name: str
    by_net: tuple[float, ...]
    seen: float
    unseen: Estimate
    test: float


@dataclass(frozen=True)
class Best:
    """The best functions.

    Attributes:
        rows: best first.
        n_functions: how many were ranked.
        n_seen: number of seeds that ranked them; one more judged.
        deviation: between seeds, of the mean over the nets, pooled over the best tenth.
        optimism: by how much more the best lose from seen seeds to the unseen one than those ranked next do.
        n_kept: how many of them are as far in front by the unseen seed too.
        n_tied: how many functions are within two standard errors of a difference of the first, by the unseen seed.
    """

    rows: tuple[Row, ...]
    n_functions: int
    n_seen: int
    deviation: float
    optimism: Estimate
    n_kept: int
    n_tied: int


def best(table: Table, sides: Sequence[Side]) -> Best | None:
    """Rank by all seeds but the last; None where there is one only, or too few functions."""
    functions = reduce(np.intersect1d, [one.functions for one in sides])
    places = [np.searchsorted(one.functions, functions) for one in sides]
    n_seeds = min(len(one.seeds) for one in sides)
    if n_seeds < 2 or len(functions) < 10 * N_BEST:
        return None
    ends = np.stack([one.end[place][:, :n_seeds] for one, place in zip(sides, places, strict=True)])
    tests = np.stack([one.test[place][:, n_seeds - 1] for one, place in zip(sides, places, strict=True)]).mean(axis=0)
    values = ends.mean(axis=0)
    seen, unseen = values[:, :-1].mean(axis=1), values[:, -1]
    order = np.argsort(-seen, kind="stable")
    deviation = float(np.sqrt(values[order[: len(order) // 10]].var(axis=1, ddof=1).mean()))
    margin = 1.96 * deviation
    names = names_of(table, sides[0])
    rows = tuple(
        Row(
            text=table.functions[functions[i]],
            name=names.get(int(functions[i]), ""),
            by_net=tuple(float(end[i, :-1].mean()) for end in ends),
            seen=float(seen[i]),
            unseen=Estimate(float(unseen[i]), float(unseen[i] - margin), float(unseen[i] + margin)),
            test=float(tests[i]),
        )
        for i in order[:N_BEST].tolist()
    )
    lost = seen - unseen
    front = set(np.argsort(-unseen, kind="stable")[:N_BEST].tolist())
    return Best(
        rows=rows,
        n_functions=len(functions),
        n_seen=n_seeds - 1,
        deviation=deviation,
        optimism=_welch(lost[order[:N_BEST]], lost[order[N_BEST : 10 * N_BEST]]),
        n_kept=len(front & set(order[:N_BEST].tolist())),
        n_tied=int(np.sum(unseen >= unseen[order[0]] - np.sqrt(2) * margin)),
    )


def names_of(table: Table, one: Side) -> dict[int, str]:
    """Return the names of trained functions that stand for a named one."""
    return {int(one.recorded.functions[row]): name for name, row in held(table, one, True).items()}


def _welch(a: Array, b: Array) -> Estimate:
    """Return the difference of two means, with Welch's interval."""
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
    return Estimate(float(a.mean() - b.mean()), float(interval.low), float(interval.high))
