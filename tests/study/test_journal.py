"""The journal file: repaired where a kill tore it, refused and left alone where it is anything else."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from storage_helpers import finished, journal_with, study_in, tell_one

from actsearch.errors import StorageError
from actsearch.study.storage import open_storage


def test_cut_at_every_byte_of_the_last_record(tmp_path: Path) -> None:
    whole = journal_with(tmp_path / "whole.journal", 2).read_bytes()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    assert json.loads(whole[start:])["op_code"] == 6  # the record that tells trial 1 as finished
    path = tmp_path / "cut.journal"
    for end in range(start, len(whole) + 1):
        path.write_bytes(whole[:end])
        # a whole record that lacks its line end alone is kept
        expected = {0, 1} if end >= len(whole) - 1 else {0}
        storage = open_storage(path)
        assert finished(storage) == expected, f"cut at byte {end}"
        tell_one(study_in(storage))
        assert finished(open_storage(path)) == expected | {2}, f"cut at byte {end}"
    assert path.with_name("cut.journal.cut").read_bytes().splitlines()[-1] == whole[start : len(whole) - 2]


def test_cut_inside_the_very_first_record(tmp_path: Path) -> None:
    whole = journal_with(tmp_path / "whole.journal", 0).read_bytes()
    path = tmp_path / "cut.journal"
    for end in range(0, len(whole), 3):
        path.write_bytes(whole[:end])
        tell_one(study_in(open_storage(path)))
        assert finished(open_storage(path)) == {0}


def test_plain_optuna_never_reads_a_half_line_with_two_appends_again(tmp_path: Path) -> None:
    """The fault that the repair is for; if this fails, Optuna repairs it itself and ours can go."""
    path = journal_with(tmp_path / "study.journal", 1)
    path.write_bytes(path.read_bytes()[:-10])
    backend = JournalFileBackend(str(path))
    for _ in range(2):
        backend.append_logs([{"op_code": 2, "worker_id": "w", "study_id": 0, "user_attr": {"a": 1}}])
    with pytest.raises(ValueError, match=r"delimiter|Invalid|Expecting|Extra"):
        JournalStorage(JournalFileBackend(str(path)))


@pytest.mark.parametrize("tail", [b'{"op_code":4,"wor\n', b"\0" * 300, b"\0" * 300 + b"\n", b"\xff\xfe{", b"}\n"])
def test_torn_tail_is_cut_and_kept(tmp_path: Path, tail: bytes) -> None:
    path = journal_with(tmp_path / "study.journal", 2)
    good = path.read_bytes()
    path.write_bytes(good + tail)
    assert finished(open_storage(path)) == {0, 1}
    assert path.read_bytes() == good
    assert path.with_name("study.journal.cut").read_bytes() == tail.rstrip(b"\n") + b"\n"


def test_line_torn_by_another_process_while_this_one_runs(tmp_path: Path) -> None:
    path = journal_with(tmp_path / "study.journal", 1)
    study = study_in(open_storage(path))
    with path.open("ab") as file:
        file.write(b'{"op_code":4,"study_id":0,"da')
    tell_one(study)
    tell_one(study)
    assert finished(open_storage(path)) == {0, 1, 2}


@pytest.mark.parametrize("line", [b"\n", b"not json\n", b'{"op_code":6,"tri{"op_code":4}\n', b"[1]\n", b'{"a":1}\n'])
@pytest.mark.parametrize("torn", [b"", b'{"op_code":'])
def test_damage_before_the_last_line_is_refused_and_left(tmp_path: Path, line: bytes, torn: bytes) -> None:
    path = journal_with(tmp_path / "study.journal", 2)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = b"".join([*lines[:3], line, *lines[3:]]) + torn
    path.write_bytes(damaged)
    with pytest.raises(StorageError, match=r"line 4 of .*study\.journal is damaged.*left as it is"):
        open_storage(path)
    assert path.read_bytes() == damaged
    assert not path.with_name("study.journal.lock").exists()


@pytest.mark.parametrize(
    "content",
    [b"# notes\n", b"\n", b"\0\0\0", b"\x80\x04pickle", b"[]\n", b'{"a": 1}\n', b"x" * 100_000],
)
def test_what_is_no_journal_is_refused_and_left(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(StorageError, match="is not a journal of a study; it is left as it is"):
        open_storage(path)
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes"]


def test_sqlite_file_given_as_a_journal_gets_its_url(tmp_path: Path) -> None:
    open_storage(f"sqlite:///{tmp_path}/study.db")
    with pytest.raises(StorageError, match=r"SQLite database: say sqlite:///.*study\.db"):
        open_storage(tmp_path / "study.db")


def test_records_of_a_newer_version_are_refused_and_left(tmp_path: Path) -> None:
    path = journal_with(tmp_path / "study.journal", 1)
    newer = path.read_bytes() + b'{"op_code":77,"worker_id":"w","study_id":0}\n'
    path.write_bytes(newer)
    with pytest.raises(StorageError, match=r"operation 77, which the installed Optuna does not know.*update Optuna"):
        open_storage(path)
    assert path.read_bytes() == newer


@pytest.mark.parametrize(
    "record",
    [
        {"op_code": 4, "worker_id": "w"},
        {"op_code": 0, "worker_id": "w", "study_name": "n", "directions": [9]},
        {"op_code": 5, "worker_id": "w", "trial_id": 0, "param_name": "p", "distribution": "{}"},
    ],
)
def test_records_without_their_fields_are_refused(tmp_path: Path, record: dict[str, object]) -> None:
    path = journal_with(tmp_path / "study.journal", 0)
    study_in(open_storage(path)).ask()
    with path.open("a") as file:
        file.write(json.dumps(record, separators=(",", ":")) + "\n")
    with pytest.raises(StorageError, match=r"cannot be replayed|is damaged"):
        open_storage(path)


def test_full_disk_takes_the_half_line_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = journal_with(tmp_path / "study.journal", 1)
    study = study_in(open_storage(path))
    before = path.read_bytes()
    real_write = os.write

    def write(descriptor: int, data: bytes) -> int:
        if len(data) > 20:
            return real_write(descriptor, data[:20])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(StorageError, match=r"cannot write .*study\.journal: No space left on device.*is safe"):
            study.ask()
    assert path.read_bytes() == before
    tell_one(study)
    assert finished(open_storage(path)) == {0, 1}


_UNDER_A_LIMIT = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from storage_helpers import study_in, tell_one
from actsearch.errors import StorageError
from actsearch.study.storage import open_storage
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
study = study_in(open_storage(sys.argv[1]))
try:
    while True:
        print(tell_one(study), flush=True)
except StorageError as error:
    print(error)
"""


def test_limited_file_size_loses_nothing(tmp_path: Path) -> None:
    """A real refusal by the system in the middle of a line, at whatever byte it falls."""
    path = journal_with(tmp_path / "study.journal", 1)
    limit = path.stat().st_size + 3001
    command = [sys.executable, "-c", _UNDER_A_LIMIT, str(path), str(Path(__file__).parent)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    *told, message = done.stdout.splitlines()
    assert message.startswith("cannot write")
    assert "File too large" in message
    assert path.read_bytes().endswith(b"\n")
    assert finished(open_storage(path)) == {0, *map(int, told)}


def test_read_only_changes_nothing(tmp_path: Path) -> None:
    path = journal_with(tmp_path / "study.journal", 2)
    torn = path.read_bytes() + b'{"op_code":4,"wor'
    path.write_bytes(torn)
    storage = open_storage(path, read_only=True)
    assert finished(storage) == {0, 1}
    with pytest.raises(StorageError, match="opened to be read only"):
        optuna.create_study(storage=storage, study_name="second")
    assert path.read_bytes() == torn
    assert [entry.name for entry in tmp_path.iterdir()] == ["study.journal"]


def test_read_only_must_exist(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no storage"):
        open_storage(tmp_path / "study.journal", read_only=True)
    assert not list(tmp_path.iterdir())


def test_new_journal_makes_its_folder(tmp_path: Path) -> None:
    tell_one(study_in(open_storage(tmp_path / "runs" / "today" / "study.journal")))
    assert finished(open_storage(str(tmp_path / "runs/today/study.journal"))) == {0}


def test_journal_stays_the_same_file_when_the_folder_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = study_in(open_storage("study.journal"))
    monkeypatch.chdir("/")
    tell_one(study)
    assert finished(open_storage(tmp_path / "study.journal")) == {0}
