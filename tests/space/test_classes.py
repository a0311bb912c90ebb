"""Classes of equal rows: no edges of cells, no merging of what is merely close."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actsearch.space.classes import classes, first_rows


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 60), scale=st.floats(1e-6, 1e6))
def test_rounding_never_splits_and_difference_never_merges(seed: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(scale=scale, size=(n, 24))
    copies = np.concatenate([rows, rows * (1 + rng.uniform(-1e-9, 1e-9, rows.shape)), rows * (1 + 1e-6)])
    labels = classes(copies)
    assert labels[:n].tolist() == list(range(n))
    assert (labels[n : 2 * n] == labels[:n]).all()
    assert len(set(labels.tolist())) == 2 * n


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 0.5, 1e-5, 1e-12, 3e-4, 1e6, 2.5e17])
def test_values_at_an_edge_of_cells(value: float) -> None:
    around = value * (1 + np.array([-3e-10, -1e-16, 0, 1e-16, 3e-10])) + np.array([-3e-13, 0, 0, 0, 3e-13])
    assert len(set(classes(np.repeat(around[:, None], 24, axis=1)).tolist())) == 1


def test_whatever_is_not_finite_is_one_value() -> None:
    rows = np.array([[1.0, np.nan], [1.0, np.inf], [1.0, -np.inf], [1.0, 1e300], [np.nan, 1.0]])
    assert classes(rows).tolist() == [0, 0, 0, 0, 1]


def test_rows_that_share_a_cell_are_told_apart() -> None:
    rows = np.repeat(np.array([[1.0], [1.0 + 2e-7], [1.0 + 4e-7], [1.0]]), 24, axis=1)
    assert classes(rows).tolist() == [0, 1, 2, 0]


def test_labels_count_up_by_first_row() -> None:
    labels = classes(np.array([[5.0], [3.0], [5.0], [1.0]]))
    assert labels.tolist() == [0, 1, 0, 2]
    assert first_rows(labels).tolist() == [0, 1, 3]
