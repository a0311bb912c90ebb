from __future__ import annotations

import logging
import os
import socket
import threading
import time
from pathlib import Path

import pytest

from actsearch.errors import ReportError
from actsearch.report.folder import write_results
from actsearch.report.track import Tracker, tracker
from actsearch.study.result import StudyResult

from . import fakes
from .wandb_file import Run


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyResult, Path, Run]:
    """A study that was mirrored offline while it ran, its results folder written before the end."""
    folder = tmp_path_factory.mktemp("tracked")

    class Folder:
        def __call__(self, study: object, trial: object) -> None:
            pass

        def close(self, result: StudyResult) -> None:
            write_results(result, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_DATA_DIR", raising=False)
        track = Tracker(folder)
        result = fakes.run(callbacks=[Folder(), track])
    assert track.warning == ""
    return result, folder, wait_for(folder)


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("actsearch")]


def wait_for(folder: Path, seconds: float = 60.0) -> Run:
    """Return the run when it is whole on disk: wandb's service flushes its file after ``finish`` has returned."""
    deadline = time.monotonic() + seconds
    while not (run := Run(folder)).is_finished and time.monotonic() < deadline:
        time.sleep(0.05)
    return run


def test_an_offline_run_is_whole(tracked: tuple[StudyResult, Path, Run]) -> None:
    _, folder, run = tracked
    assert run.is_finished
    assert run.name == "core"
    assert run.id == (folder / "wandb" / "run-id").read_text()


def test_it_holds_the_settings(tracked: tuple[StudyResult, Path, Run]) -> None:
    assert {key: tracked[2].config[key] for key in fakes.CONFIG} == fakes.CONFIG


def test_it_holds_the_best_so_far_after_every_candidate(tracked: tuple[StudyResult, Path, Run]) -> None:
    result, _, run = tracked
    rows = [row for row in run.history if "trial" in row and "score" in row]
    assert [row["trial"] for row in rows] == list(range(40))
    best = [row["best_score"] for row in rows if "best_score" in row]
    assert best == sorted(best)
    assert best[-1] == result.leaderboard(1)[0].score


def test_it_holds_the_tables(tracked: tuple[StudyResult, Path, Run]) -> None:
    result, _, run = tracked
    trials = run.table("trials")
    assert len(trials["data"]) == 40
    assert {row[trials["columns"].index("outcome")] for row in trials["data"]} >= {"finished", "pruned", "duplicate"}
    board = run.table("leaderboard")
    functions = [row[board["columns"].index("function")] for row in board["data"]]
    assert functions == [row.expr for row in result.leaderboard()]
    assert result.finals is not None
    assert len(run.table("finals")["data"]) == len(result.finals.rows)


def test_it_holds_the_pictures_the_formula_and_the_verdict(tracked: tuple[StudyResult, Path, Run]) -> None:
    result, folder, run = tracked
    images = {path.name.split("_")[0] for path in (run.files / "media" / "images" / "plots").iterdir()}
    assert images == {"curves", "finals", "history", "learning"}
    files = run.artifacts["formula:formula-core"]
    assert sorted(files) == sorted(path.name for path in (folder / "formula").iterdir())
    assert run.summary["best"] == result.best
    assert run.summary["verdict"].startswith("Not shown")


def test_all_of_it_is_in_the_results_folder(tracked: tuple[StudyResult, Path, Run]) -> None:
    _, folder, _ = tracked
    assert (folder / "wandb" / "data").is_dir()
    assert not (Path.cwd() / "wandb").exists()


def test_off_means_nothing_at_all(tmp_path: Path) -> None:
    assert tracker("off", tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_mode_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="did you mean 'offline'"):
        tracker("ofline", tmp_path)


def test_nothing_is_uploaded_unasked(tmp_path: Path) -> None:
    made = tracker("offline", tmp_path)
    assert made is not None
    assert made.mode == "offline"


def test_starting_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The study goes on while wandb starts: here it starts only after every trial was handed over."""
    may_start, events = threading.Event(), []
    track = Tracker(tmp_path)

    def begin(name: str, config: object) -> None:
        assert may_start.wait(30)
        raise RuntimeError("enough")

    monkeypatch.setattr(track, "_begin", begin)

    def last(study: object, trial: object) -> None:
        events.append(trial)

    result = fakes.run(n_trials=5, finals=False)
    track.start(result.study, fakes.CONFIG)
    for trial in result.study.trials:
        track(result.study, trial)
        last(result.study, trial)
    assert len(events) == 5
    may_start.set()
    track.close(None)
    assert "enough" in track.warning


def test_a_failure_is_one_warning_and_the_study_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    track = Tracker(tmp_path / "file" / "results")  # cannot be made
    with caplog.at_level(logging.WARNING):
        result = fakes.run(n_trials=9, callbacks=[track])
    assert len(result.study.trials) == 9
    assert len(ours(caplog)) == 1
    assert "goes on without it" in caplog.text


def test_an_end_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track = Tracker(tmp_path, end_seconds=0.01)
    release = threading.Event()
    monkeypatch.setattr(track, "_begin", lambda name, config: release.wait(30))
    track.start(fakes.run(n_trials=0, finals=False).study, fakes.CONFIG)
    track.close(None)
    assert "did not finish" in track.warning
    release.set()


def test_online_without_a_key_is_one_warning_and_no_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    track = Tracker(tmp_path, "online")
    fakes.run(n_trials=3, finals=False, callbacks=[track])
    assert "no API key" in track.warning
    assert len(ours(caplog)) == 1


def test_pictures_that_cannot_be_written_are_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track = Tracker(tmp_path)
    release = threading.Event()
    monkeypatch.setattr(track, "_begin", lambda name, config: release.wait(30))
    result = fakes.run(n_trials=3, finals=False)
    track.start(result.study, fakes.CONFIG)

    def full(result: StudyResult) -> None:
        release.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(track, "_content", full)
    track.close(result)
    assert "No space left on device" in track.warning


@pytest.mark.slow
def test_online_with_an_unreachable_server_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:  # a port on which nobody listens
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    track = Tracker(tmp_path, "online", start_seconds=5.0, end_seconds=60.0)
    result = fakes.run(n_trials=3, finals=False, callbacks=[track])
    assert len(result.study.trials) == 3
    assert track.warning
    assert len(ours(caplog)) == 1
