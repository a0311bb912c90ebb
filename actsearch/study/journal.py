"""The journal file: appended to whole lines at a time, repaired after a kill, refused when it is something else.

Every record is written in one go and synced to the disk before the call returns (as Optuna does): what a study was
told survives a kill and a power cut. A write that fails half-way is taken back, so a full disk costs nothing either.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._storage import JournalOperation

from actsearch.errors import StorageError
from actsearch.study.lock import OwnerLock

_logger = logging.getLogger(__name__)

_FIRST_BYTES = b'{"op_code":'  # how every journal that Optuna or we wrote begins
_KNOWN_OPERATIONS = frozenset(int(operation) for operation in JournalOperation)


class OwnedJournal(JournalFileBackend):
    """Optuna's journal file with a lock that knows its owner, whole-line appends and errors of one sentence.

    Args:
        path: the journal file; made when missing, unless ``read_only``.
        read_only: only read: no lock, no repair, no writing.
    """

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._owner_lock = OwnerLock(path)
        super().__init__(str(path), lock_obj=self._owner_lock)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the records from a number on.

        Raises:
            StorageError: the file cannot be read, a line in its middle is damaged, or a record is unknown.
        """
        try:
            for number, record in enumerate(super().read_logs(log_number_from), start=log_number_from + 1):
                check_record(record, self._path, number)
                yield record
        except ValueError as error:
            raise StorageError(_damaged(self._path, _first_bad_line(self._path))) from error
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"cannot read {self._path}: {error.strerror or error}") from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append records and sync them to the disk; all of them or none.

        Raises:
            StorageError: no space, no permission, a lock that never came free, or a storage opened to be read only.
        """
        if self._read_only:
            raise StorageError(f"{self._path} was opened to be read only")
        lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in logs).encode()
        with self._owner_lock:
            try:
                # another process may have died in the middle of its line while this one was running
                repair(self._path)
                _append(self._path, lines)
            except OSError as error:
                if isinstance(error, StorageError):
                    raise
                raise StorageError(
                    f"cannot write {self._path}: {error.strerror or error}; everything told before is safe"
                ) from error


def repair(path: Path) -> int:
    """Cut a torn last line off a journal and return how many bytes were cut; call it with the lock held.

    What is cut is kept in ``<journal>.cut``. A last record that only lacks its line end is whole and gets one.

    Raises:
        StorageError: the file is no journal, or damaged before its last line; it is left as it is.
    """
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return 0
        file.seek(0)
        if not _could_begin_a_journal(file.read(len(_FIRST_BYTES))):
            raise StorageError(f"{path} is not a journal of a study; it is left as it is{_hint(path)}")
        start = _last_line_start(file, size)
        file.seek(start)
        last = file.read()
        if _is_record(last):
            if not last.endswith(b"\n"):
                file.write(b"\n")
                os.fsync(file.fileno())
            return 0
        file.seek(0)
        for number, line in enumerate(file.read(start).splitlines(), start=1):
            if not _is_record(line):
                raise StorageError(_damaged(path, number))
        _keep(path, last)
        file.truncate(start)
        os.fsync(file.fileno())
    _logger.warning("cut %d bytes of a torn last record off %s; they are kept in %s.cut", len(last), path, path.name)
    return len(last)


def check_record(record: Any, path: Path, number: int) -> None:
    """Raise a StorageError unless a decoded journal line is a record that the installed Optuna knows."""
    if not _has_operation(record):
        raise StorageError(_damaged(path, number))
    if record["op_code"] not in _KNOWN_OPERATIONS:
        raise StorageError(
            f"line {number} of {path} holds operation {record['op_code']}, which the installed Optuna does not know:"
            " a newer version wrote this storage; update Optuna (pip install -U optuna)"
        )


def _append(path: Path, lines: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(lines):
                written += os.write(file.fileno(), lines[written:])
            os.fsync(file.fileno())
        except BaseException:
            # an interrupt counts too: half a line followed by another append would spoil the journal for ever
            os.ftruncate(file.fileno(), size)
            raise


def _keep(path: Path, piece: bytes) -> None:
    with path.with_name(path.name + ".cut").open("ab") as file:
        file.write(piece.rstrip(b"\n") + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _last_line_start(file: Any, size: int, block: int = 1 << 16) -> int:
    """Return where the last line begins, whether or not it has its line end."""
    end = size - 1  # a line end in the last place ends the last line and begins no other
    while end > 0:
        begin = max(0, end - block)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _is_record(line: bytes) -> bool:
    # no beginning of a record's line is itself valid JSON, so what decodes is whole
    try:
        return _has_operation(json.loads(line))
    except ValueError:
        return False


def _has_operation(record: Any) -> bool:
    return isinstance(record, dict) and isinstance(record.get("op_code"), int)


def _could_begin_a_journal(first: bytes) -> bool:
    return first == _FIRST_BYTES[: len(first)]


def _first_bad_line(path: Path) -> int:
    number = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):  # noqa: B007 - the last number is the answer if all are good
            if not _is_record(line):
                break
    return number


def _damaged(path: Path, number: int) -> str:
    return f"line {number} of {path} is damaged and others follow it; the file is left as it is: restore a copy of it"


def _hint(path: Path) -> str:
    with path.open("rb") as file:
        if file.read(15) == b"SQLite format 3":
            return f" (it is an SQLite database: say sqlite:///{path})"
    return ""
