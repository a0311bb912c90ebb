"""The same call again continues: after kill -9, a worker's death, with more trials; never with other settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from search_helpers import facts, fitted, small_search

from actsearch.errors import StudyError
from actsearch.study.result import load_result

_HERE = Path(__file__).parent


def _killed(folder: Path, study: str, n: int, *settings: str) -> int:
    """Run a search that kills itself; return its exit status."""
    command = [sys.executable, str(_HERE / "killed_search.py"), str(folder), study, str(n), *settings]
    return subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False).returncode


def test_a_search_that_was_killed_goes_on_and_ends_with_the_same_scores(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    assert _killed(folder, "small", 3) == -signal.SIGKILL
    before = load_result(folder / "study.journal")
    kept = [trial for trial in before.study.get_trials() if trial.state.is_finished()]
    assert len(kept) == 3
    result = small_search(folder)
    trials = result.study.get_trials()
    assert facts([trials[trial.number] for trial in kept]) == facts(kept)
    assert result.n_trained == 4
    assert not [trial for trial in trials if trial.state == TrialState.RUNNING]
    whole = small_search(tmp_path / "whole", n_trials=8, pruner="none")
    curves = dict(fitted(whole.study.get_trials()))
    pairs = [(t, curves[t.user_attrs["expr"]]) for t in trials if t.user_attrs.get("outcome") == "finished"]
    assert pairs
    assert all(str(trial.user_attrs["curves"]) == curve for trial, curve in pairs)
    assert [path.name for path in folder.iterdir()] == ["study.journal"]


def test_a_finished_search_called_again_fits_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = small_search(tmp_path)

    def never(job: Any, **settings: Any) -> Any:
        raise AssertionError("nothing is left to fit")

    monkeypatch.setattr("actsearch.tasks.fit.fit", never)
    again = small_search(tmp_path)
    assert facts(again.study.get_trials()) == facts(first.study.get_trials())


def test_more_trials_continue_with_other_candidates(tmp_path: Path) -> None:
    first = small_search(tmp_path, n_trials=2)
    later = small_search(tmp_path, n_trials=4)
    n = len(first.study.get_trials())
    assert facts(later.study.get_trials())[:n] == facts(first.study.get_trials())
    assert later.n_trained == 4


def test_an_interrupted_candidate_continues_from_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import actsearch.tasks.fit as module

    fit = module.fit

    def interrupted_at_the_last_rung(job: Any, **settings: Any) -> Any:
        if job.state_path is not None and job.stop_step == 10:
            raise KeyboardInterrupt
        return fit(job, **settings)

    monkeypatch.setattr(module, "fit", interrupted_at_the_last_rung)
    settings: dict[str, Any] = {"n_trials": 1, "pruner": "median"}
    stopped = small_search(tmp_path, **settings)
    assert stopped.interrupted
    assert stopped.n_trained == 0
    (state,) = (tmp_path / "study.journal.states" / "small").iterdir()
    begun = state.read_bytes()
    asked: list[tuple[int, bool]] = []

    def watching(job: Any, **settings: Any) -> Any:
        asked.append((job.stop_step, Path(job.state_path).read_bytes() == begun))
        return fit(job, **settings)

    monkeypatch.setattr(module, "fit", watching)
    result = small_search(tmp_path, **settings)
    assert asked == [(5, True), (10, False)] or asked == [(5, True), (10, True)]
    monkeypatch.setattr(module, "fit", fit)
    whole = small_search(tmp_path, name="whole", **settings)
    assert result.leaderboard()[0].scores == whole.leaderboard()[0].scores


def test_without_a_pruner_a_fit_runs_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import actsearch.tasks.fit as module

    fit, asked = module.fit, list[int]()
    monkeypatch.setattr(module, "fit", lambda job, **settings: (asked.append(job.stop_step), fit(job, **settings))[1])
    result = small_search(tmp_path, n_trials=2, pruner="none")
    assert asked[-2:] == [10, 10]
    whole = [trial for trial in result.study.trials if trial.user_attrs["outcome"] == "finished"]
    assert [sorted(trial.intermediate_values) for trial in whole] == [[1, 3]] * len(whole) != []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": 1}, "seed is 0 there and 1 here"),
        ({"rungs": (3, 9)}, r"cells is .*\[5, 10\].* there and .*\[3, 9\].* here; rungs is"),
        (
            {"normalise": False, "n_search_replicates": 2},
            "n_search_replicates is 1 there and 2 here; normalise is True",
        ),
        ({"space": "core_unit"}, "space is 'tiny' there and 'core_unit' here; space_digest"),
    ],
)
def test_other_settings_are_refused_by_name(settings: dict[str, Any], message: str, begun: Path) -> None:
    content = (begun / "study.journal").read_bytes()
    with pytest.raises(StudyError, match=message) as raised:
        small_search(begun, **settings)
    assert "another name=" in str(raised.value)
    load_result(begun / "study.journal", "small")
    assert content in (begun / "study.journal").read_bytes()


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun")
    small_search(folder, n_trials=0)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("study", "n"), [("small/panel", 2), ("small", 1), ("small", 6), ("small/finals", 2)])
def test_a_search_with_workers_is_killed_in_every_phase(study: str, n: int, tmp_path: Path) -> None:
    settings = {"n_workers": 2, "finalists": 1, "n_replicates": 2, "n_trials": 6}
    arguments = [f"{key}={value}" for key, value in settings.items()]
    assert _killed(tmp_path, study, n, *arguments) == -signal.SIGKILL
    kept = [t for t in load_result(tmp_path / "study.journal").study.get_trials() if t.state.is_finished()]
    assert _killed(tmp_path, study, n, *arguments) in (0, -signal.SIGKILL)
    result = small_search(tmp_path, **settings)
    assert result.n_trained == 6
    assert result.finals is not None
    trials = result.study.get_trials()
    assert facts([trials[trial.number] for trial in kept]) == facts(kept)


@pytest.mark.slow
def test_workers_end_when_their_search_is_killed(tmp_path: Path) -> None:
    before = set(_workers())
    assert _killed(tmp_path, "small", 1, "n_workers=2") == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while set(_workers()) - before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not set(_workers()) - before


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_no_candidate(tmp_path: Path) -> None:
    before = set(_workers())
    killed: list[int] = []

    def kill_a_worker(study: Any, trial: Any) -> None:
        if study.study_name == "small" and not killed:
            killed.append(next(pid for pid in _workers() if pid not in before))
            os.kill(killed[0], signal.SIGKILL)

    result = small_search(tmp_path, n_workers=2, callbacks=[kill_a_worker])
    assert killed
    assert (result.n_trained, result.n_failed) == (4, 0)


@pytest.mark.slow
def test_ctrl_c_at_a_terminal_ends_search_and_workers(tmp_path: Path) -> None:
    command = [sys.executable, str(_HERE / "killed_search.py"), str(tmp_path), "none", "-1", "n_workers=2"]
    with subprocess.Popen([*command, "n_trials=16"], start_new_session=True, stderr=subprocess.PIPE) as process:
        journal = tmp_path / "study.journal"
        while not journal.exists() or b'"outcome":"pruned"' not in journal.read_bytes():
            assert process.poll() is None
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    assert (process.returncode, b"Traceback" in errors) == (0, False)
    result = load_result(journal)
    assert result.interrupted
    assert not result.study.get_trials(states=[TrialState.RUNNING])


def _workers() -> Iterator[int]:
    """Yield the ids of loky's worker processes."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"loky" in command and b"popen_loky" in command:
            yield int(folder.name)
