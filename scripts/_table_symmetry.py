"""What symmetry saves in a table of recorded fits, and whether mirror images really train alike there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from _table_facts import Array, Estimate, Ints, bootstrap, of_interval

from actsearch.expr.resolve import to_expr
from actsearch.study.function import function_of
from actsearch.study.stats import mean_interval
from actsearch.tasks.tables import Table


@dataclass(frozen=True)
class Saved:
    """How many functions there are, how many differ as they are fitted, and how many classes these fall into."""

    n_functions: int
    n_fitted: int
    n_classes: int


def saved(table: Table, normalise: bool) -> Saved:
    """Count what the screen accepts of the space."""
    accepted = [i for i, reason in enumerate(table.reasons) if not reason]
    fitted = {_fitted(table.functions[i], normalise) for i in accepted}
    return Saved(len(accepted), len(fitted), len(set(table.classes[normalise][accepted].tolist())))


def _fitted(text: str, normalise: bool) -> str:
    return function_of(to_expr(text), normalise).fingerprint


@dataclass(frozen=True)
class Mirrors:
    """Members of classes against the one that was trained for all; those that are fitted alike count once.

    Attributes:
        n_classes: number of classes.
        n_members: number of members compared.
        difference: accuracy of a member less that of the one that stands for it, same seed, mean over classes; t.
        spread: the deviation of these differences over that of two seeds of one function: 1 if a mirror image is one
            more seed; classes are resampled.
    """

    n_classes: int
    n_members: int
    difference: Estimate
    spread: Estimate


def mirrors(table: Table, net: str) -> Mirrors | None:
    """Compare what was trained to check the symmetry; None where too little was."""
    rows, names = table.rows, table.classes[True]
    chosen = np.flatnonzero((rows["net"] == table.nets.index(net)) & rows["normalise"])
    end: dict[int, dict[int, float]] = {}
    for i in chosen.tolist():
        end.setdefault(int(rows["function"][i]), {})[int(rows["seed"][i])] = 100 * float(rows["metric"][i, -1])
    stands = {str(names[function]): int(function) for function in table.recorded(net, True).functions}
    members: dict[int, dict[str, int]] = {}  # the one that stands for a class -> the others, by what is fitted
    for function in end:
        first = stands[str(names[function])]
        if function != first:
            members.setdefault(first, {}).setdefault(_fitted(table.functions[function], True), function)
    differences, noise, n_members = [], [], 0
    for first, others in members.items():
        others.pop(_fitted(table.functions[first], True), None)
        shared = [
            end[function][seed] - value for function in others.values() for seed, value in end[first].items()
            if seed in end[function]
        ]  # fmt: skip
        if shared:
            differences.append(np.array(shared))
            noise.append(2 * np.var(list(end[first].values()), ddof=1) if len(end[first]) > 1 else np.nan)
            n_members += len(others)
    if len(differences) < 2:
        return None
    return Mirrors(len(differences), n_members, *_compared(differences, np.array(noise)))


def _compared(differences: list[Array], noise: Array) -> tuple[Estimate, Estimate]:
    """Return the mean difference, and the spread of differences over what seeds alone give, variances ``noise``."""
    counts = np.array([len(d) for d in differences], dtype=np.float64)
    squares = np.array([(d**2).sum() for d in differences])
    known = np.isfinite(noise)
    expected = np.where(known, noise, 0.0) * counts

    def spread(times: Ints) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.sqrt((times @ (squares * known)) / (times @ expected)))[:, None]

    difference = of_interval(mean_interval([d.mean() for d in differences]))
    return difference, bootstrap(spread, len(counts))[0]
