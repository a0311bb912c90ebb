"""Storages by path and URL, one search at a time, and trials of dead processes."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState
from storage_helpers import OPTIONS, finished, journal_with, study_in, tell_one

from actsearch.errors import ActsearchError, MissingExtraError, StorageError
from actsearch.study.owner import Owner, this_process
from actsearch.study.reclaim import reclaim, sign
from actsearch.study.session import holders, session
from actsearch.study.storage import open_storage, storage_errors


@pytest.fixture(params=["journal", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "study.journal") if request.param == "journal" else f"sqlite:///{tmp_path}/study.db"


def _dead() -> Owner:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        owner = replace(this_process(), pid=process.pid)
    return owner


def _sign_as(trial: optuna.Trial, owner: Owner | None) -> None:
    if owner is not None:
        trial.storage.set_trial_system_attr(trial._trial_id, "actsearch:owner", owner.to_dict())


def test_what_was_told_is_there_again(url: str) -> None:
    study = study_in(open_storage(url))
    for _ in range(3):
        tell_one(study)
    assert finished(open_storage(url)) == {0, 1, 2}
    assert finished(open_storage(url, read_only=True)) == {0, 1, 2}


def test_a_storage_is_taken_as_it_is() -> None:
    storage = optuna.storages.InMemoryStorage()
    assert open_storage(storage) is storage


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "empty name"),
        ("{0}", "is a folder; name a file in it"),
        ("sqlite:///{0}", "is a folder; name a file in it"),
        ("sqlite:///{0}/none/study.db", "there is no folder"),
        ("sqlite:///{0}/notes", r"storage sqlite:///.*notes failed: file is not a database"),
        ("{0}/notes/study.journal", "there is a file of that name"),
        ("postgresql://me:secret@127.0.0.1:1/db", "storage postgresql://127.0.0.1:1/db failed: "),
        ("nonsense://host/db", "'nonsense://host/db' is no storage URL"),
        ("mysql://host:port/x", "'mysql://host:port/x' is no storage URL"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_sentence(tmp_path: Path, url: str, message: str) -> None:
    (tmp_path / "notes").write_text("not a database, " * 100)
    with pytest.raises(StorageError, match=message) as caught:
        open_storage(url.format(tmp_path))
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize(
    ("url", "package", "error", "message"),
    [
        ("postgresql://localhost/db", "psycopg2", MissingExtraError, r"actsearch\[postgresql\]"),
        ("mysql://me:secret@localhost/db", "MySQLdb", StorageError, "mysql://localhost/db needs a driver"),
        ("redis://localhost", "redis", StorageError, "pip install redis"),
    ],
)
def test_missing_drivers_are_named(
    monkeypatch: pytest.MonkeyPatch, url: str, package: str, error: type[ActsearchError], message: str
) -> None:
    real_import = builtins.__import__

    def without(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if level == 0 and name.partition(".")[0] == package:  # SQLAlchemy has modules of its own of these names
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real_import(name, globals, locals, fromlist, level)

    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(error, match=message):
        open_storage(url)


def test_sqlite_of_another_version_is_refused_and_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    tell_one(study_in(open_storage(url)))
    with sqlalchemy.create_engine(url).begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = 'v99.0.0'"))
    before = (tmp_path / "study.db").read_bytes()
    with pytest.raises(StorageError, match="is of another version"):
        open_storage(url)
    assert (tmp_path / "study.db").read_bytes() == before


def test_damaged_sqlite_is_told_when_it_is_read(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    tell_one(study_in(open_storage(url)))
    content = bytearray((tmp_path / "study.db").read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    (tmp_path / "study.db").write_bytes(bytes(content))
    with pytest.raises(StorageError, match=r"study\.db failed: .*malformed"), storage_errors("study.db"):
        finished(open_storage(url))


def test_missing_sqlite_is_not_made_for_reading(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no storage"):
        open_storage(f"sqlite:///{tmp_path}/study.db", read_only=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["{0}/study.journal", "sqlite:///{0}/study.db"])
def test_without_permission_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    tell_one(study_in(open_storage(name.format(tmp_path))))
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, whom no mode bits stop
    with pytest.raises(StorageError, match=r"cannot write .* permission denied"):
        open_storage(name.format(tmp_path))


def test_second_search_is_told_who_holds_the_study(url: str) -> None:
    study = study_in(open_storage(url))
    with session(study):
        again = study_in(open_storage(url))
        assert [owner.pid for owner in holders(again)] == [os.getpid()]
        expected = rf"'first' is being searched by process {os.getpid()} on host .*wait for it or stop it"
        with pytest.raises(StorageError, match=expected), session(again):
            pytest.fail("two searches on one study")
        with session(study_in(open_storage(url), "second")):
            pass
    with session(again):
        pass


def test_of_two_searches_that_start_together_at_most_one_goes_on(url: str) -> None:
    study_in(open_storage(url))
    both_have_looked = threading.Barrier(2)
    inside, together, refused = [0], [0], [0]

    def search() -> None:
        study = study_in(open_storage(url))
        write = study._storage.set_study_system_attr

        def write_late(study_id: int, key: str, value: Any) -> None:
            if value is not None:
                both_have_looked.wait(timeout=30)  # and neither has seen a claim
            write(study_id, key, value)

        study._storage.set_study_system_attr = write_late  # type: ignore[method-assign]
        try:
            with session(study):
                inside[0] += 1
                together[0] = max(together[0], inside[0])
                time.sleep(0.3)
                inside[0] -= 1
        except StorageError:
            refused[0] += 1

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together[0] <= 1
    assert refused[0] >= 1
    assert holders(study_in(open_storage(url))) == []


def test_claims_of_the_dead_and_of_other_hosts(url: str) -> None:
    study = study_in(open_storage(url))
    study._storage.set_study_system_attr(study._study_id, "actsearch:session:a", _dead().to_dict())
    with session(study):
        pass
    elsewhere = replace(this_process(), host="elsewhere")
    study._storage.set_study_system_attr(study._study_id, "actsearch:session:b", elsewhere.to_dict())
    with pytest.raises(StorageError, match="on host elsewhere; if that no longer runs, take the study over"):  # noqa: SIM117
        with session(study):
            pytest.fail("another host holds it")
    with session(study, take_over=True) as owner:
        assert owner == this_process()


def test_full_disk_at_the_end_of_a_session_hides_no_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_in(open_storage(url))

    def full(*_: Any) -> None:
        raise StorageError("no space")

    with pytest.raises(KeyboardInterrupt), session(study):  # noqa: PT012 - the disk fills inside
        monkeypatch.setattr(study._storage, "set_study_system_attr", full)
        raise KeyboardInterrupt
    monkeypatch.undo()
    assert holders(study) == []
    with session(study):
        pass


@pytest.mark.parametrize("owner", ["dead", "nobody"])
def test_lost_trials_are_failed_and_tried_again(url: str, owner: str) -> None:
    study = study_in(open_storage(url))
    tell_one(study)
    trial = study.ask()
    _sign_as(trial, _dead() if owner == "dead" else None)
    choices = {"0:unary": trial.suggest_categorical("0:unary", OPTIONS)}
    again = study_in(open_storage(url))
    assert reclaim(again) == [1]
    assert reclaim(again) == []
    lost, retry = again.trials[1:]
    assert lost.state == TrialState.FAIL
    assert lost.user_attrs["outcome"] == "failed"
    assert "ended before the trial did" in lost.user_attrs["reason"]
    assert retry.state == TrialState.WAITING
    assert retry.user_attrs == {"retry_of": 1, "n_retries": 1}
    repeated = again.ask()
    assert (repeated.number, repeated.suggest_categorical("0:unary", OPTIONS)) == (2, choices["0:unary"])


@pytest.mark.parametrize("host", [None, "elsewhere"])
def test_trials_of_live_and_unknown_owners_stay(url: str, host: str | None) -> None:
    study = study_in(open_storage(url))
    trial = study.ask()
    if host is None:
        sign(trial)
    else:
        _sign_as(trial, replace(this_process(), host=host))
    trial.suggest_categorical("0:unary", OPTIONS)
    assert reclaim(study) == []
    assert study.trials[0].state == TrialState.RUNNING
    assert reclaim(study, take_over=True) == ([] if host is None else [0])


def test_trial_killed_before_it_made_its_enqueued_choices_keeps_them(url: str) -> None:
    study = study_in(open_storage(url))
    study.enqueue_trial({"0:unary": "a * b"})
    _sign_as(study.ask(), _dead())
    assert reclaim(study) == [0]
    assert study.ask().suggest_categorical("0:unary", OPTIONS) == "a * b"


def test_kill_between_enqueueing_and_failing_loses_and_doubles_nothing(url: str) -> None:
    study = study_in(open_storage(url))
    trial = study.ask()
    _sign_as(trial, _dead())
    trial.suggest_categorical("0:unary", OPTIONS)
    study.enqueue_trial(trial.params, user_attrs={"retry_of": 0, "n_retries": 1})
    assert reclaim(study) == [0]
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def test_candidate_that_always_dies_is_given_up(url: str) -> None:
    study = study_in(open_storage(url))
    for _ in range(10):
        trial = study.ask()
        _sign_as(trial, _dead())
        if trial.suggest_categorical("0:unary", OPTIONS) and not reclaim(study):
            pytest.fail("the trial of a dead owner was not reclaimed")
        if not study.get_trials(states=(TrialState.WAITING,)):
            break
    assert [trial.user_attrs.get("n_retries", 0) for trial in study.trials] == [0, 1, 2, 3]


def test_trials_without_choices_are_failed_only(url: str) -> None:
    study = study_in(open_storage(url))
    _sign_as(study.ask(), _dead())
    trial = study.ask()
    _sign_as(trial, _dead())
    trial.suggest_categorical("0:unary", OPTIONS)
    assert reclaim(study, enqueue=False) == [0, 1]
    assert len(study.trials) == 2


@pytest.mark.parametrize("data", [None, 3, "text", {}, {"pid": "1", "host": "h"}, {"pid": 1}])
def test_what_is_no_owner_is_none(data: object) -> None:
    assert Owner.from_dict(data) is None


def test_journal_is_readable_by_plain_optuna(tmp_path: Path) -> None:
    path = journal_with(tmp_path / "study.journal", 2)
    plain = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    assert finished(plain) == {0, 1}
    tell_one(study_in(plain))
    assert finished(open_storage(path)) == {0, 1, 2}


@pytest.mark.slow
def test_postgresql(postgresql_url: str) -> None:
    storage = open_storage(postgresql_url)
    study = study_in(storage, "second")
    try:
        tell_one(study)
        _sign_as(study.ask(), _dead())
        with session(study_in(open_storage(postgresql_url), "second")) as owner:
            assert holders(study) == [owner]
            assert reclaim(study) == [1]
        assert finished(open_storage(postgresql_url), "second") == {0}
    finally:
        optuna.delete_study(study_name="second", storage=storage)
