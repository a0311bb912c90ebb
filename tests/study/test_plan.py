"""Cells, rungs and reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actsearch.errors import StudyError
from actsearch.study.plan import Plan, median_seconds, plan_cells, state_path, steps_of
from actsearch.tasks.load import load_task


def test_fractions_and_counts_of_steps() -> None:
    assert steps_of((1 / 9, 1 / 3, 1), 90) == (10, 30, 90)
    assert steps_of((1,), 90) == steps_of((1.0,), 90) == (90,)
    assert steps_of((10, 40), 90) == (10, 40)


@pytest.mark.parametrize("rungs", [(), (0.5,), (0.5, 0.2, 1), (0.2, 0.2, 1), (-0.5, 1), (0, 1), (40, 10), (0.1, 40)])
def test_unusable_rungs_are_refused_with_an_example(rungs: tuple[float, ...]) -> None:
    with pytest.raises(StudyError, match=r"rungs=.*as in \(0.1, 0.3, 1.0\)"):
        steps_of(rungs, 60)


def test_counts_of_steps_set_the_length_of_fits() -> None:
    (cell,) = plan_cells([load_task("toy")], (5, 20))
    assert (cell.key, cell.rungs, cell.task.n_steps) == ("toy/mlp", (5, 20), 20)


def test_reports_pass_the_cells_one_after_the_other_the_cheapest_first() -> None:
    toy = load_task("toy")
    both = replace(toy, nets={"a": toy.nets["mlp"], "b": toy.nets["mlp"]})
    plan = Plan(plan_cells([both], (0.5, 1)), 0, True)
    seconds = median_seconds([{"toy/a": 3.0, "toy/b": 1.0}, {"toy/a": 1.0, "toy/b": 1.0}, {"toy/a": 2.0}])
    assert seconds == {"toy/a": 2.0, "toy/b": 1.0}
    reports = plan.cheapest_first(seconds).reports
    assert [(cell.net, rung) for cell, rung in reports] == [("b", 0), ("b", 1), ("a", 0), ("a", 1)]


def test_tasks_must_agree() -> None:
    toy = load_task("toy")
    for tasks, message in (
        ([], "no task"),
        ([toy, toy], "different names"),
        ([toy, replace(toy, name="other", direction="minimize")], "differ in direction"),
    ):
        with pytest.raises(StudyError, match=message):
            plan_cells(tasks, (1,))


def test_states_of_different_functions_cells_and_replicates_are_different_files(tmp_path) -> None:
    (cell,) = plan_cells([load_task("toy")], (1,))
    paths = {state_path(tmp_path, mark, cell, replicate) for mark in "ab" for replicate in (0, 1)}
    assert len(paths) == 4
    assert state_path(None, "a", cell, 0) is None
