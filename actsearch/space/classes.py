"""Which rows of a large table of values are one function: equal within a tolerance, without edges of rounding cells.

Rows are hashed by coarse cells under several offsets, so that equal rows meet under at least one of them; rows that
meet are confirmed by comparing their values; what is connected is one class.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

RELATIVE = 1e-8
"""Relative difference up to which two values are one: rounding in some ten operations with mild cancellation."""
ABSOLUTE = 1e-12
"""Absolute difference, for values that cancel to 0."""
_CELL = 1e-5  # relative width of a cell; a thousand tolerances
_SMALL = 1e-4  # below it cells have an absolute width, of _SMALL * _CELL
_OFFSETS = (0.0, 0.37, 0.71)
_HIGH = 1e280  # beyond it a value counts as not finite, as in a fingerprint
_NOT_FINITE = np.uint64(0x9E3779B97F4A7C15)


def classes(values: Array) -> Labels:
    """Return a label for each row, equal for equal rows; labels count up in the order of first rows.

    Args:
        values: shape (n, n_points); changed in place: whatever is not finite becomes NaN.

    Example:
        >>> classes(np.array([[1.0, 2.0], [3.0, np.nan], [1.0, 2.0 + 1e-13], [3.0, np.inf]])).tolist()
        [0, 1, 0, 1]
    """
    n = len(values)
    with np.errstate(invalid="ignore"):
        values[~(np.abs(values) < _HIGH)] = np.nan
    keys = _keys(values)
    rows, partners = [np.arange(n)], [np.arange(n)]
    for key in keys:
        pairs = _confirmed(key, values)
        rows.append(pairs[0])
        partners.append(pairs[1])
    row, partner = np.concatenate(rows), np.concatenate(partners)
    graph = coo_matrix((np.ones(len(row), dtype=bool), (row, partner)), shape=(n, n))
    labels = connected_components(graph, directed=False)[1]
    return _by_first_row(labels)


def first_rows(labels: Labels) -> Labels:
    """Return the index of the first row of each class, in the order of labels."""
    return np.unique(labels, return_index=True)[1].astype(np.int64)


def _keys(values: Array) -> list[npt.NDArray[np.uint64]]:
    """Return a 64-bit key for each row and offset."""
    random = np.random.default_rng(7)  # fixed odd multipliers: a hash, not a sample
    multipliers = [int(m) * 2 + 1 for m in random.integers(1, 2**62, size=(values.shape[1],))]
    keys = [np.zeros(len(values), dtype=np.uint64) for _ in _OFFSETS]
    with np.errstate(over="ignore", invalid="ignore"):
        for index, multiplier in enumerate(multipliers):
            column = values[:, index]
            place = np.arcsinh(column / _SMALL) / _CELL
            lost = ~np.isfinite(column)
            for key, offset in zip(keys, _OFFSETS, strict=True):
                cell = np.floor(np.where(lost, 0.0, place) + offset).astype(np.int64).view(np.uint64)
                mixed = np.where(lost, _NOT_FINITE, cell) * np.uint64(multiplier)
                key += mixed ^ (mixed >> np.uint64(29))
    return keys


def _confirmed(key: npt.NDArray[np.uint64], values: Array) -> tuple[Labels, Labels]:
    """Return pairs of rows with one key whose values agree: each row with the first that it agrees with."""
    rows: list[Labels] = []
    partners: list[Labels] = []
    left = np.arange(len(key))
    while len(left):
        _, first, inverse = np.unique(key[left], return_index=True, return_inverse=True)
        partner = left[first[inverse]]
        others = partner != left
        mine, theirs = left[others], partner[others]
        same = _agree(values, mine, theirs)
        rows.append(mine[same])
        partners.append(theirs[same])
        left = mine[~same]  # they share a cell with the first, and are another function: once more among themselves
    return np.concatenate([*rows, left]), np.concatenate([*partners, left])


def _agree(values: Array, rows: Labels, others: Labels, chunk: int = 100_000) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(rows), dtype=bool)
    with np.errstate(invalid="ignore"):
        for start in range(0, len(rows), chunk):
            a, b = values[rows[start : start + chunk]], values[others[start : start + chunk]]
            close = np.abs(a - b) <= RELATIVE * np.maximum(np.abs(a), np.abs(b)) + ABSOLUTE
            found[start : start + chunk] = (close | (np.isnan(a) & np.isnan(b))).all(axis=1)
    return found


def _by_first_row(labels: npt.NDArray[np.int32]) -> Labels:
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
