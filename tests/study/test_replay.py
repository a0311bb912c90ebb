"""Random searches on recorded fits: what they meet, and how they are judged."""

from __future__ import annotations

import numpy as np
import pytest

from actsearch.errors import StudyError
from actsearch.study.replay import Recording, n_to_best, random_orders, recording, regret
from tests.tasks.small_table import N_SEEDS, small_table

END = np.array([[0.1, 0.3, 0.2], [0.9, 0.4, 0.5], [0.5, 0.8, 0.9]])
SMALL = Recording(("a", "b", "c"), np.array([0, 0, -1, 1, 2]), END[:, :, None])


def test_a_recording_is_what_the_table_holds() -> None:
    table = small_table()
    found = recording(table, "residual")
    assert found.n_seeds == N_SEEDS
    assert found.metric.shape == (len(found.functions), N_SEEDS, len(table.rungs))
    view = table.recorded("residual", True)
    candidate = int(np.flatnonzero(found.classes >= 0)[3])
    row = table.class_of(table.functions[table.candidates[candidate]], "residual", True)
    np.testing.assert_array_equal(found.metric[found.classes[candidate]], view.metric[row].astype(float))
    assert found.functions[found.classes[candidate]] == table.functions[view.functions[row]]


def test_functions_that_lack_a_seed_are_left_out() -> None:
    table = small_table()
    whole = recording(table, "deep")
    gone = (table.rows["net"] == 0) & (table.rows["function"] == table.rows["function"][0]) & (table.rows["seed"] == 1)
    rows = {name: column[~gone] for name, column in table.rows.items()}
    part = recording(
        type(table)(table.functions, table.reasons, table.classes, table.candidates, rows, table.meta), "deep"
    )
    assert len(part.functions) == len(whole.functions) - 1
    assert (part.classes >= 0).sum() < (whole.classes >= 0).sum()


def test_some_functions_only() -> None:
    part = SMALL.only(np.array([True, False, True]))
    assert part.functions == ("a", "c")
    assert part.classes.tolist() == [0, 0, -1, -1, 1]
    np.testing.assert_array_equal(part.end, END[[0, 2]])


def test_truth_is_what_a_search_does_not_see() -> None:
    np.testing.assert_allclose(SMALL.truth(0), [0.25, 0.45, 0.85])
    assert SMALL.standard_error == pytest.approx(np.sqrt(END.var(axis=1, ddof=1).mean() / 2))
    assert SMALL.is_best(0).tolist() == [False, False, True]
    with pytest.raises(StudyError, match="one seed only"):
        Recording(("a",), np.array([0]), np.ones((1, 1, 1))).truth(0)


def test_orders_are_those_of_random_candidates_without_repetition() -> None:
    orders = random_orders(SMALL.classes, 400)
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    # function 0 has two of the four candidates
    assert np.mean([order[0] == 0 for order in orders]) == pytest.approx(0.5, abs=0.1)
    assert [o.tolist() for o in orders[:5]] == [o.tolist() for o in random_orders(SMALL.classes, 5)]


def test_regret_is_that_of_the_function_that_looks_best() -> None:
    seen, truth = END[:, 0], SMALL.truth(0)
    np.testing.assert_allclose(regret(np.array([0, 1, 2]), seen, truth, (1, 2, 3, 9)), [0.6, 0.4, 0.4, 0.4])
    np.testing.assert_allclose(regret(np.array([2]), seen, truth, (1,)), [0.0])
    with pytest.raises(StudyError, match="trained nothing"):
        regret(np.array([], dtype=int), seen, truth, (1,))
    assert n_to_best(np.array([0, 1, 2]), SMALL.is_best(0)) == 3
    assert n_to_best(np.array([0, 1]), SMALL.is_best(0)) == np.inf
