"""The candidates of a space by their behaviour: all of a small space, or those that one asks about."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from actsearch.errors import SpaceError
from actsearch.expr.checks import fault_codes
from actsearch.expr.points import CHECK_POINTS
from actsearch.space import ReplayChooser, Space
from actsearch.space.families import PLACE
from actsearch.space.vary import regenerate
from actsearch.study.samplers._behaviour import GRID, canonical, features
from actsearch.study.samplers._values import Values

Array = npt.NDArray[np.float64]
Key = frozenset[tuple[str, str]]
"""The choices of a candidate."""

MAX_WHOLE = 20_000
"""Candidates of a space that is looked at whole, times three where there are parameters: some 100 MB, a second."""
_N_REFERENCE = 400  # random candidates that tell how features vary in a larger space
_MAX_KEPT = 50_000
_FAR = 4.0  # deviations: features beyond count as that far
_DIGITS = 6  # features that agree to so many digits after the point are those of one function


class Behaviour(NamedTuple):
    """What a candidate does.

    Attributes:
        name: equal for candidates that are one function.
        features: shape (d,).
    """

    name: bytes
    features: Array


@dataclass(frozen=True)
class Functions:
    """Distinct functions among candidates.

    Attributes:
        keys: the first candidate of each.
        names: see :class:`Behaviour`.
        features: shape (n, d).
        n_forms: how many of the candidates are this function, shape (n,).
    """

    keys: list[Key]
    names: list[bytes]
    features: Array
    n_forms: npt.NDArray[np.int64]


class Candidates:
    """What candidates do, found once for each; those that cannot be trained do nothing.

    Args:
        space: where they are from.
        normalise: whether activations are normalised: then a f(x) + b is f(x).
        symmetric: whether f(-x), -f(x) and -f(-x) are f(x) to the nets.
        groups: which features; see :func:`actsearch.study.samplers._behaviour.features`.
    """

    def __init__(self, space: Space, normalise: bool, symmetric: bool, groups: tuple[str, ...]) -> None:
        self.space = space
        self._normalise, self._symmetric = normalise, symmetric
        self._groups = groups if normalise else (*groups, "scale")
        self._values = Values(space, np.concatenate([CHECK_POINTS, GRID]))
        self._known: dict[Key, Behaviour | None] = {}
        self.is_small = space.size() * len(self._values.draws) <= MAX_WHOLE

    @cached_property
    def whole(self) -> Functions:
        """The functions of a small space that can be trained."""
        return self.functions(self._reference[0])

    def functions(self, keys: Sequence[Key]) -> Functions:
        """Return the functions of candidates that can be trained."""
        found: dict[bytes, tuple[Key, Array]] = {}
        counts: Counter[bytes] = Counter()
        for key, behaviour in zip(keys, self.behaviours(keys), strict=True):
            if behaviour is not None:
                found.setdefault(behaviour.name, (key, behaviour.features))
                counts[behaviour.name] += 1
        features = np.array([features for _, features in found.values()]).reshape(len(found), self.width)
        n_forms = np.array([counts[name] for name in found], dtype=np.int64)
        return Functions([key for key, _ in found.values()], list(found), features, n_forms)

    @cached_property
    def width(self) -> int:
        """Number of features."""
        return sum(len(mean) for mean, _ in self._scales)

    @cached_property
    def views(self) -> list[tuple[npt.NDArray[np.int64], float]]:
        """What may matter of the features: all alike, or one group alone; their columns and the factor of these."""
        widths = [len(mean) for mean, _ in self._scales]
        block = np.repeat(np.arange(len(widths)), widths)
        n_groups = len(self._groups)
        of_group = np.where(block < n_groups * len(self._values.draws), block % n_groups, n_groups)
        found = [(np.arange(self.width), 1.0)]
        if of_group.max() > 0:
            for group in range(of_group.max() + 1):
                columns = np.flatnonzero(of_group == group)
                found.append((columns, math.sqrt(len(widths) / len(set(block[columns])))))
        return found

    def behaviours(self, keys: Sequence[Key]) -> list[Behaviour | None]:
        """Return what candidates do, None for one that cannot be trained or is none of the space."""
        if not self._known and self.is_small:
            self._learn(*self._reference)
        missing = [key for key in dict.fromkeys(keys) if key not in self._known]
        if len(self._known) + len(missing) > _MAX_KEPT:
            self._known.clear()
            missing = list(dict.fromkeys(keys))
        self._known |= dict.fromkeys(missing)
        if there := [key for key in missing if self._is_candidate(key)]:
            self._learn(there, self._raw(there, self._values.of([dict(key) for key in there])))
        return [self._known[key] for key in keys]

    def _learn(self, keys: Sequence[Key], raw: Sequence[Array]) -> None:
        for key, vector in zip(keys, _scaled(raw, self._scales), strict=True):
            name = (np.round(vector, _DIGITS) + 0.0).tobytes()
            self._known[key] = Behaviour(name, vector) if np.isfinite(vector).all() else None

    def _is_candidate(self, key: Key) -> bool:
        try:
            return frozenset(self.space.choose(ReplayChooser(dict(key))).items()) == key
        except SpaceError:
            return False  # a stranger's trial, or one that has not made all its choices yet

    @cached_property
    def _reference(self) -> tuple[list[Key], list[Array]]:
        """The candidates that tell how features vary, and their features: all, or random ones of a larger space."""
        if self.is_small:
            keys = [frozenset(choices.items()) for choices in self.space.enumerate_choices()]
            return keys, self._raw(keys, self._values.of_all())
        rng = random.Random(0)  # what is usual in the space does not depend on the study
        drawn = [regenerate(self.space, rng) for _ in range(_N_REFERENCE)]
        keys = [frozenset(choices.items()) for choices in drawn]
        return keys, self._raw(keys, self._values.of(drawn))

    @cached_property
    def _scales(self) -> list[tuple[Array, Array]]:
        return _spread(self._reference[1])

    def _raw(self, keys: Sequence[Key], values: Array) -> list[Array]:
        """Return a block for each group of features, and for each way to move parameters; NaN for what is hopeless."""
        n = len(CHECK_POINTS)
        hopeless = fault_codes(values[:, 0, :n]) >= 0
        found = []
        for draw in range(values.shape[1]):
            seen = canonical(values[:, draw, n:], normalise=self._normalise, symmetric=self._symmetric)
            hopeless |= (draw == 0) & ~np.isfinite(seen).all(axis=1)
            # a function that breaks when its parameters move is like no other
            found += [np.nan_to_num(block, nan=1e9) for block in features(seen, self._groups)]
        if self.space.families:
            found.append(self._kinds(keys))
        for block in found:
            block[hopeless] = np.nan
        return found

    def _kinds(self, keys: Sequence[Key]) -> Array:
        """Return which family candidates are of and its settings, a column for each option."""
        settings = [
            (f"{name}.{setting}", option)
            for name, rule in self.space.families.items()
            for setting, options in rule.settings.items()
            for option in options
        ]
        columns = [*((PLACE, option) for option in self.space.places()[PLACE]), *settings]
        return np.array([[float(column in key) for column in columns] for key in keys])


@lru_cache(maxsize=4)
def candidates_of(space: Space, normalise: bool, symmetric: bool, groups: tuple[str, ...]) -> Candidates:
    """Return the candidates of a space, the same for all samplers."""
    return Candidates(space, normalise, symmetric, groups)


def _spread(blocks: Sequence[Array]) -> list[tuple[Array, Array]]:
    """Return mean and deviation of each feature among the candidates that can be trained."""
    found = []
    for block in blocks:
        there = np.clip(block[np.isfinite(block).all(axis=1)], -50.0, 50.0)
        if len(there) == 0:
            there = np.zeros((1, block.shape[1]))
        deviation = there.std(axis=0)
        found.append((there.mean(axis=0), np.where(deviation > 1e-9, deviation, 1.0)))
    return found


def _scaled(blocks: Sequence[Array], spread: Sequence[tuple[Array, Array]]) -> Array:
    """Return features as they are compared: standardised, and every group as important as any other."""
    found = []
    for block, (mean, deviation) in zip(blocks, spread, strict=True):
        with np.errstate(invalid="ignore"):
            standard = np.clip((block - mean) / deviation, -_FAR, _FAR)
        found.append(standard / np.sqrt(block.shape[1] * len(blocks)))
    return np.concatenate(found, axis=1)
