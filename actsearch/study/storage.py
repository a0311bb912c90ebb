"""Open the storage of a study: a journal file by default, or any storage URL that Optuna knows.

The journal is locked, repaired and checked when it is opened (:mod:`actsearch.study.journal`). Whatever is wrong with a
storage is told in one sentence (StorageError), and a storage that is refused is left as it was found.
"""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalRedisBackend
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from actsearch.errors import MissingExtraError, StorageError
from actsearch.study.journal import OwnedJournal, repair
from actsearch.study.lock import OwnerLock

# SQLite's own default of 5 s makes parallel writers fail with "database is locked" (optuna/optuna#820)
_SQLITE_TIMEOUT_SECONDS = 60


def open_storage(url_or_path: str | os.PathLike[str] | BaseStorage, *, read_only: bool = False) -> BaseStorage:
    """Return the Optuna storage that a path or URL names; a journal file is repaired first.

    Args:
        url_or_path: a file (a journal, made when missing), a URL (``sqlite:///study.db``, ``postgresql://...``,
            ``mysql://...``, ``redis://...``), or an Optuna storage, which is returned as it is.
        read_only: the storage must exist and nothing of it is changed: no repair, no lock. A search that is
            running can be looked at so.

    Raises:
        StorageError: it cannot be opened, is damaged, locked, of another version, or no storage at all.
        MissingExtraError: the database's driver is not installed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     storage = open_storage(f"{folder}/study.journal")
        ...     study = optuna.create_study(storage=storage, study_name="first")
        ...     [study.study_name for study in open_storage(f"{folder}/study.journal").get_all_studies()]
        ['first']
    """
    if isinstance(url_or_path, BaseStorage):
        return get_storage(url_or_path)
    text = os.fspath(url_or_path)
    if not text:
        raise StorageError("the storage has an empty name; give a file such as study.journal, or a URL")
    if "://" not in text:
        return _open_journal(Path(text), read_only)
    with storage_errors(_without_password(text)):
        return _open_redis(text) if text.startswith(("redis://", "rediss://")) else _open_database(text, read_only)


@contextmanager
def storage_errors(name: str) -> Iterator[None]:
    """Turn whatever Optuna and SQLAlchemy raise on a failing storage into a StorageError of one sentence.

    Args:
        name: how the message calls the storage.
    """
    try:
        yield
    except (NoSuchModuleError, ArgumentError) as error:
        raise StorageError(f"{name!r} is no storage URL: {_first_line(error)}") from error
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        raise StorageError(f"the storage {name} failed: {_first_line(error.__cause__ or error)}") from error


def _open_journal(path: Path, read_only: bool) -> BaseStorage:
    path = path.expanduser().resolve()
    try:
        _prepare_journal(path, read_only)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot open {path}: {error.strerror or error}") from error
    try:
        return JournalStorage(OwnedJournal(path, read_only))
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(
            f"{path} cannot be replayed ({type(error).__name__}: {error}): it is damaged or another version of Optuna"
            " wrote it; it is left as it is"
        ) from error


def _prepare_journal(path: Path, read_only: bool) -> None:
    if path.is_dir():
        raise StorageError(f"{path} is a folder; name a file in it, such as {path / 'study.journal'}")
    if read_only:
        if not path.exists():
            raise StorageError(f"there is no storage {path}")
        return
    if not path.exists():
        _make_folder(path.parent)
    elif not os.access(path, os.W_OK):
        raise StorageError(f"cannot write {path}: permission denied; everything in it can still be shown")
    with path.open("ab"):
        pass  # made when missing, and shown to be writable, before the lock is taken beside it
    with OwnerLock(path):
        repair(path)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise StorageError(f"cannot make the folder {folder}: there is a file of that name") from error


def _open_redis(url: str) -> BaseStorage:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return JournalStorage(JournalRedisBackend(url))
    except ImportError as error:
        raise StorageError("a redis:// storage needs the package redis: pip install redis") from error
    except Exception as error:  # the driver's own classes are unknown without it
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"cannot open {_without_password(url)}: {_first_line(error)}") from error


def _open_database(url: str, read_only: bool) -> BaseStorage:
    engine: dict[str, Any] = {"pool_pre_ping": True}  # a connection that the server closed meanwhile is made anew
    if url.startswith("sqlite"):
        _check_sqlite_file(url, read_only)
        engine = {"connect_args": {"timeout": _SQLITE_TIMEOUT_SECONDS}}
    try:
        url = _with_driver(url)
        make_url(url)
    except ValueError as error:  # such as a port that is no number
        raise StorageError(f"{_without_password(url)!r} is no storage URL: {_first_line(error)}") from error
    try:
        return get_storage(RDBStorage(url, engine_kwargs=engine, skip_table_creation=read_only))
    except ImportError as error:
        if url.startswith("postgres"):
            raise MissingExtraError("psycopg2", "postgresql") from error
        raise StorageError(f"{_without_password(url)} needs a driver: {_first_line(error)}") from error
    except RuntimeError as error:  # Optuna's own check of the schema's version
        raise StorageError(f"{_without_password(url)} is of another version: {_first_line(error)}") from error


def _with_driver(url: str) -> str:
    """Name the driver that is installed: without one, SQLAlchemy 2.1 takes psycopg and older ones psycopg2."""
    scheme, _, rest = url.partition("://")
    if scheme in ("postgres", "postgresql"):
        driver = "psycopg" if importlib.util.find_spec("psycopg") else "psycopg2"
        return f"postgresql+{driver}://{rest}"
    return url


def _check_sqlite_file(url: str, read_only: bool) -> None:
    file = url.partition(":///")[2].partition("?")[0]
    if not file or file == ":memory:":
        return
    path = Path(file)
    if path.is_dir():
        raise StorageError(f"{path} is a folder; name a file in it, such as sqlite:///{path / 'study.db'}")
    if not path.exists():
        if read_only:
            raise StorageError(f"there is no storage {path}")
        if not path.parent.is_dir():
            raise StorageError(f"cannot make {path}: there is no folder {path.parent}")
    elif not read_only and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise StorageError(f"cannot write {path} and its folder: permission denied")


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _first_line(error: BaseException) -> str:
    return " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())
