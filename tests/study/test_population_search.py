"""Searches that fit many candidates at once: scores of the company, resumption, a mode chosen once."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from search_helpers import WHOLE, facts, fitted, small_search

from actsearch.errors import StudyError
from actsearch.study.executor import Pool
from actsearch.study.jobs import Crash, Size, Together, run_work
from actsearch.study.mode import choose_sizes
from actsearch.study.plan import Plan, plan_cells
from actsearch.study.result import load_result
from actsearch.tasks.fit import FitJob
from actsearch.tasks.load import load_task
from actsearch.tasks.table import table_task
from tests.tasks.jobs import own_task
from tests.tasks.own_model import Data, ManualNet

POPULATION: dict[str, Any] = {"mode": "population", "population_size": 4, "n_trials": 7}


def test_a_search_ends_with_all_its_trials_and_forgets_its_states(tmp_path: Path) -> None:
    result = small_search(tmp_path, **WHOLE | POPULATION | {"learning_rate_factors": (1.0,), "n_null_control": 1})
    assert result.n_trained == 7
    assert result.finals is not None
    assert result.study.user_attrs["populations"]["toy/mlp"] == {"n": 4, "width": None, "reason": ""}
    assert [path.name for path in tmp_path.iterdir()] == ["study.journal"]


@pytest.mark.slow
def test_scores_do_not_depend_on_the_size_of_the_population(tmp_path: Path) -> None:
    curves = []
    for n in (2, 5):
        result = small_search(tmp_path, name=f"of{n}", pruner="none", **POPULATION | {"population_size": n})
        curves.append(dict(fitted(result.study.get_trials())))
    shared = curves[0].keys() & curves[1].keys()
    assert len(shared) >= 5
    assert {expr: curves[0][expr] for expr in shared} == {expr: curves[1][expr] for expr in shared}


@pytest.mark.slow
def test_a_finished_search_continues_in_its_mode(tmp_path: Path) -> None:
    first = small_search(tmp_path, **POPULATION | {"n_trials": 3})
    stored = first.study.user_attrs["populations"]
    later = small_search(tmp_path, **POPULATION | {"n_trials": 6})
    n = len(first.study.get_trials())
    assert facts(later.study.get_trials())[:n] == facts(first.study.get_trials())
    assert later.n_trained == 6
    assert later.study.user_attrs["populations"] == stored


@pytest.mark.slow
def test_auto_measures_and_stores_what_it_chose(tmp_path: Path) -> None:
    result = small_search(tmp_path, mode="auto", n_trials=2)
    assert result.study.user_attrs["populations"]["toy/mlp"]["n"] in (1, 16, 32)


@pytest.mark.parametrize(("rungs", "expected"), [((1.0,), 50), ((20, 300), 50), ((10, 30), 30)])
def test_what_is_measured_is_short(rungs: tuple[float, ...], expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(jobs: tuple[FitJob, ...], *settings: Any) -> Size:
        assert {(job.stop_step, job.rungs[0]) for job in jobs} == {(expected, expected)}
        return Size(5)

    monkeypatch.setattr("actsearch.study.mode.measure", measured)
    plan = Plan(plan_cells([load_task("toy", n_steps=300)], rungs), 0, False)
    with Pool[Any](run_work, n_workers=0) as pool:
        assert choose_sizes(optuna.create_study(), plan, pool, "auto", None)["toy/mlp"] == Size(5)


def test_recorded_fits_are_not_measured(caplog: pytest.LogCaptureFixture) -> None:
    plan = Plan(plan_cells([table_task()], (1.0,)), 0, True)
    with Pool[Any](run_work, n_workers=0) as pool:
        assert choose_sizes(optuna.create_study(), plan, pool, "auto", None) == {}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_net_that_cannot_be_stacked_is_told_once_a_study(caplog: pytest.LogCaptureFixture) -> None:
    task = own_task(ManualNet, Data)
    plan = Plan(plan_cells([task], (1.0,)), 0, False)
    study = optuna.create_study()
    with Pool[Any](run_work, n_workers=0) as pool:
        for _ in range(2):
            assert choose_sizes(study, plan, pool, "auto", None)["Data/ManualNet"].n == 1
    told = "Data/ManualNet: candidates are fitted one by one, as the net optimises by hand"
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [told]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "populaton"}, "unknown mode 'populaton'.*population"),
        ({"mode": "auto", "population_size": 0}, "population_size is 0; it must be a whole number from 2"),
        ({"mode": "single", "population_size": 8}, "mode 'single' fits one candidate at a time"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=message):
        small_search(tmp_path, **settings)


def test_a_member_that_cannot_be_built_takes_nobody_with_it() -> None:
    from actsearch.tasks.fit import FitJob
    from actsearch.tasks.load import load_task

    task = load_task("toy")
    jobs = [FitJob(task, "mlp", spec, False, 0, 0, 1.0, (3,), 3) for spec in ("relu", "no such thing(", "tanh")]
    relu, crash, tanh = run_work(Together(tuple((job,) for job in jobs), (Size(4),)))
    assert isinstance(crash, Crash)
    together = run_work(Together(((jobs[0],), (jobs[2],)), (Size(4),)))
    assert [relu[0].metric, tanh[0].metric] == [one[0].metric for one in together]


@pytest.mark.slow
@pytest.mark.parametrize(("study", "n"), [("small/panel", 1), ("small", 1), ("small", 5)])
def test_a_search_that_was_killed_loses_no_finished_trial(study: str, n: int, tmp_path: Path) -> None:
    settings = POPULATION | {"n_workers": 2, "n_trials": 10}
    arguments = [f"{key}={value}" for key, value in settings.items()]
    command = [sys.executable, str(Path(__file__).parent / "killed_search.py"), str(tmp_path), study, str(n)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    assert subprocess.run([*command, *arguments], env=environment, check=False).returncode == -signal.SIGKILL
    kept = [t for t in load_result(tmp_path / "study.journal").study.get_trials() if t.state.is_finished()]
    result = small_search(tmp_path, **settings)
    trials = result.study.get_trials()
    assert result.n_trained == 10
    assert facts([trials[trial.number] for trial in kept]) == facts(kept)
    assert [path.name for path in tmp_path.iterdir()] == ["study.journal"]
