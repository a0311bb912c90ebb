"""Successive halving replayed: who goes on, what it costs, and the page it makes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from actsearch.study.replay import Recording
from actsearch.tasks.tables import save_table
from tests.tasks.small_table import small_table

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare_rungs.py"
STEPS = (30, 75, 300)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_rungs", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["compare_rungs"] = module
    spec.loader.exec_module(module)
    return module


def test_a_scheme_costs_what_it_trains(script: ModuleType) -> None:
    third = script.Scheme((0, 1, 2), 1 / 3)
    assert third.counts(10) == [10, 4, 2]
    assert third.cost(10, STEPS) == 10 * 30 + 4 * 45 + 2 * 225
    n = third.n_begun(100 * 300, STEPS)
    assert third.cost(n, STEPS) <= 100 * 300 < third.cost(n + 1, STEPS)
    assert script.Scheme((2,)).n_begun(100 * 300, STEPS) == 100
    assert third.told(STEPS) == "the best 1/3 after 30, 75"


def test_the_best_at_each_rung_go_on(script: ModuleType) -> None:
    metric = np.array([[0.1, 0.9, 0.9], [0.2, 0.2, 0.9], [0.3, 0.3, 0.3], [0.4, 0.1, 0.1]])
    order = np.array([3, 2, 1, 0])
    half = script.Scheme((0, 1, 2), 1 / 2)
    # two whole fits of 300 steps pay for 4 functions to 30 steps, 2 to 75 and 1 to the end
    assert half.n_begun(600, STEPS) == 4
    assert script.finished(half, order, metric, 2, STEPS).tolist() == [2]
    assert script.finished(script.Scheme((2,)), order, metric, 2, STEPS).tolist() == [3, 2]


def test_a_rung_that_knows_the_end_saves_and_one_that_does_not_costs_nothing(script: ModuleType) -> None:
    rng = np.random.default_rng(0)
    end = rng.random(300)
    orders = [rng.permutation(300) for _ in range(60)]
    for knows in (True, False):
        early = end if knows else rng.random(300)
        metric = np.repeat(np.stack([early, early, end], axis=1)[:, None], 2, axis=1)
        recorded = Recording(("",) * 300, np.arange(300), metric)
        none = script.regrets(recorded, script.Scheme((2,)), orders, STEPS).mean(axis=0)
        third = script.regrets(recorded, script.Scheme((0, 2), 1 / 3), orders, STEPS).mean(axis=0)
        assert (third[:2] < 0.6 * none[:2]).all() == knows
        # at the end of a random choice of the same size: more functions were begun, as many were judged
        assert third[0] < 2 * none[0]


def test_the_page(script: ModuleType, tmp_path: Path) -> None:
    save_table(small_table(), tmp_path / "small.npz")
    script.main(["--table", str(tmp_path / "small.npz"), "--n-repeats", "8", "--out", str(tmp_path)])
    page = (tmp_path / "multi_fidelity.md").read_text()
    assert page.count("(chosen in the other net)") == 2
    assert "### deep" in page
    # made-up curves are in proportion to their end
    assert "| 40 | 100% |" in page
    assert (tmp_path / "multi_fidelity.png").stat().st_size > 10_000
