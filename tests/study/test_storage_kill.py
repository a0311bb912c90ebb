"""kill -9 at random moments: no trial that was told as finished is ever lost, and what ran is tried again."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from storage_helpers import finished, study_in

from actsearch.study.reclaim import reclaim
from actsearch.study.session import holders, session
from actsearch.study.storage import open_storage


def _kill_repeatedly(url: str, folder: Path, n_rounds: int, seed: int) -> int:
    """Kill a writer ``n_rounds`` times, looking for all its trials each time; return how many it told."""
    moments = random.Random(seed)
    notes = folder / "acknowledged"
    command = [sys.executable, str(Path(__file__).with_name("killed_writer.py")), url, str(notes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forker:
        assert forker.stdin is not None
        assert forker.stdout is not None
        for round_ in range(n_rounds):
            print(moments.uniform(0.0, 0.03), file=forker.stdin, flush=True)
            assert forker.stdout.readline() == "killed\n"
            told = {int(line) for line in notes.read_text().split()}
            _check(url, told, f"round {round_}")
        forker.stdin.close()
    return len(told)


def _check(url: str, told: set[int], when: str) -> None:
    storage = open_storage(url)
    assert told <= finished(storage), when
    study = study_in(storage)
    assert holders(study) == [], when
    running = {trial.number: trial.params for trial in study.get_trials(states=(TrialState.RUNNING,))}
    assert len(running) <= 1, when
    with session(study):
        assert reclaim(study) == list(running), when
        assert reclaim(study) == [], when
    waiting = study.get_trials(states=(TrialState.WAITING,))
    assert {trial.user_attrs["retry_of"] for trial in waiting} >= {n for n, params in running.items() if params}, when


def test_journal(tmp_path: Path) -> None:
    assert _kill_repeatedly(str(tmp_path / "study.journal"), tmp_path, n_rounds=25, seed=1) >= 25


def test_sqlite(tmp_path: Path) -> None:
    assert _kill_repeatedly(f"sqlite:///{tmp_path}/study.db", tmp_path, n_rounds=6, seed=2) >= 6


@pytest.mark.slow
def test_journal_many_times(tmp_path: Path) -> None:
    url = str(tmp_path / "study.journal")
    _kill_repeatedly(url, tmp_path, n_rounds=120, seed=3)
    # the kills must have torn lines, or nothing has been shown
    assert len((tmp_path / "study.journal.cut").read_bytes().splitlines()) > 20  # 120 kills tear about 70
    numbers = [trial.number for trial in optuna.load_study(study_name="first", storage=open_storage(url)).trials]
    assert numbers == list(range(len(numbers)))


@pytest.mark.slow
def test_postgresql(postgresql_url: str, tmp_path: Path) -> None:
    assert _kill_repeatedly(postgresql_url, tmp_path, n_rounds=10, seed=4) >= 10
