"""The lock: a dead owner's is broken at once, a live one's never, and no two hold it together."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.storages.journal import JournalFileOpenLock, JournalFileSymlinkLock
from storage_helpers import finished, journal_with, study_in, tell_one

from actsearch.errors import StorageError
from actsearch.study import owner as owner_module
from actsearch.study.lock import OwnerLock
from actsearch.study.owner import Owner, this_process
from actsearch.study.storage import open_storage

_HOLD = """
import sys, time
from actsearch.study.lock import OwnerLock
OwnerLock(sys.argv[1]).acquire()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of ``study.journal``."""
    journal_with(tmp_path / "study.journal", 1)
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "study.journal")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_live_owner_is_waited_for_and_named(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    lock = OwnerLock(tmp_path / "study.journal", patience=0.2)
    with pytest.raises(StorageError, match=rf"locked by process {holder.pid} on host .*; stop it or wait"):
        lock.acquire()
    assert holder.poll() is None


def test_dead_owner_is_broken_at_once(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert (tmp_path / "study.journal.lock").exists()
    lock = OwnerLock(tmp_path / "study.journal", patience=0.0)  # no waiting: it must be broken in the first round
    lock.acquire()
    lock.release()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["study.journal"]


def test_killed_but_not_yet_buried_owner_counts_as_dead(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()  # a zombie: its parent, this test, has not waited for it
    deadline = time.monotonic() + 30
    while not Owner(this_process().host, holder.pid, "", this_process().boot, this_process().namespace).is_dead:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    OwnerLock(tmp_path / "study.journal", patience=0.0).acquire()


def _write_lock(tmp_path: Path, owner: Owner) -> OwnerLock:
    path = tmp_path / "study.journal"
    path.touch()
    path.with_name("study.journal.lock").write_text(json.dumps({**owner.to_dict(), "token": "t"}))
    return OwnerLock(path, patience=0.05)


def test_reused_process_id_is_told_by_its_start_time(tmp_path: Path) -> None:
    lock = _write_lock(tmp_path, replace(this_process(), started="1"))
    lock.acquire()
    lock.release()


def test_owner_before_a_restart_of_the_machine_is_dead(tmp_path: Path) -> None:
    _write_lock(tmp_path, replace(this_process(), boot="an-earlier-one")).acquire()


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"namespace": "pid:[1]"}])
def test_owner_that_cannot_be_looked_at_is_left_alone(tmp_path: Path, change: dict[str, str]) -> None:
    lock = _write_lock(tmp_path, replace(this_process(), pid=999_999, **change))
    content = (tmp_path / "study.journal.lock").read_bytes()
    with pytest.raises(StorageError, match=r"locked by process 999999 on host .*delete .*study\.journal\.lock"):
        lock.acquire()
    assert (tmp_path / "study.journal.lock").read_bytes() == content


def test_waiting_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("actsearch.study.lock.MESSAGE_SECONDS", 0.0)
    lock = _write_lock(tmp_path, replace(this_process(), host="elsewhere"))
    with caplog.at_level(logging.WARNING), pytest.raises(StorageError):
        lock.acquire()
    assert "which process" in caplog.text
    assert "on host elsewhere holds" in caplog.text


@pytest.mark.parametrize("foreign", [JournalFileSymlinkLock, JournalFileOpenLock])
def test_plain_optuna_locks_keep_us_out_until_they_are_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, foreign: type[JournalFileOpenLock]
) -> None:
    path = journal_with(tmp_path / "study.journal", 1)
    foreign(str(path)).acquire()
    with pytest.raises(StorageError, match="locked by an unknown program"):
        OwnerLock(path, patience=0.05).acquire()
    monkeypatch.setattr("actsearch.study.lock.FOREIGN_SECONDS", 0.0)
    OwnerLock(path, patience=0.0).acquire()


def test_ours_keeps_plain_optuna_out(tmp_path: Path) -> None:
    path = journal_with(tmp_path / "study.journal", 1)
    with OwnerLock(path), pytest.raises(FileExistsError):
        os.symlink(path, f"{path}.lock")


def test_lock_left_by_an_interrupt_in_this_process_is_ours(tmp_path: Path) -> None:
    lock = OwnerLock(journal_with(tmp_path / "study.journal", 1), patience=0.0)
    lock.acquire()
    assert lock.acquire()
    lock.release()
    with pytest.raises(RuntimeError, match="did not hold"):
        lock.release()


def test_release_never_removes_another_ones_lock(tmp_path: Path) -> None:
    path = journal_with(tmp_path / "study.journal", 1)
    first = OwnerLock(path)
    with first, pytest.raises(RuntimeError, match="did not hold"):
        OwnerLock(path).release()


def test_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / "study.journal"
    tell_one(study_in(open_storage(path)))
    assert finished(open_storage(path)) == {0}
    with OwnerLock(path), pytest.raises(StorageError, match=f"locked by process {os.getpid()}"):
        OwnerLock(path, patience=0.05).acquire()


def test_without_proc_the_start_time_comes_from_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has no /proc: the same answers must come from signal 0 and ps."""
    real_exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path, **_: str(path) != "/proc/self/stat" and real_exists(path))
    started = owner_module._start_time(os.getpid())
    assert started is not None
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert owner_module._start_time(process.pid) is None


_COUNT = """
import random, sys, time
from pathlib import Path
from actsearch.study import lock as lock_module
from actsearch.study.lock import OwnerLock
lock_module.LONGEST_PAUSE_SECONDS = 0.001  # all look all the time
break_at_once = OwnerLock._break
def break_late(lock, content):
    time.sleep(random.uniform(0.0, 0.005))  # meanwhile another may break it and a third take it
    break_at_once(lock, content)
OwnerLock._break = break_late
journal, total = Path(sys.argv[1]), Path(sys.argv[1] + ".total")
print("ready", flush=True)
sys.stdin.readline()
for round in range(int(sys.argv[2])):
    lock = OwnerLock(journal)
    lock.acquire()
    number = int(total.read_text())  # two holders at once would read the same number
    time.sleep(0.002)
    total.write_text(str(number + 1))
    if round % 3 != 2:
        lock.release()
    else:  # die with the lock, as far as others can see: its record says another start time
        record = journal.with_name(journal.name + ".lock")
        draft = record.with_name(record.name + "." + sys.argv[3])
        draft.write_text(record.read_text().replace('"started": "', '"started": "dead'))
        draft.replace(record)
"""


def test_many_breakers_of_dead_locks_never_hold_it_together(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    path.touch()
    Path(f"{path}.total").write_text("0")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _COUNT, str(path), "60", str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        print("go", file=process.stdin, flush=True)
    for process in processes:
        process.communicate(timeout=100)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert Path(f"{path}.total").read_text() == "180"
