"""A lock file that says who holds it, so that a dead holder's lock is broken at once and a live one's never."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import time
import uuid
from pathlib import Path

from optuna.storages.journal._file import BaseJournalFileLock

from actsearch.errors import StorageError
from actsearch.study.owner import Owner, this_process

_logger = logging.getLogger(__name__)

# An append takes milliseconds. Optuna's own lock waits 30 s before it breaks one; twice that is no hurry either.
PATIENCE_SECONDS = 60.0
FOREIGN_SECONDS = 30.0
MESSAGE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 0.2


class OwnerLock(BaseJournalFileLock):
    """Optuna's journal lock with an owner: ``<journal>.lock`` holds host, pid and start time as JSON.

    The file has the name that Optuna's own locks use, so that processes with a plain Optuna storage on the same
    journal are kept out as well. It appears with its content in one step (a hard link), on network folders too.

    Args:
        path: the journal file that the lock guards.
        patience: seconds to wait for a live holder, or one on another host, before giving up.
    """

    def __init__(self, path: str | os.PathLike[str], patience: float = PATIENCE_SECONDS) -> None:
        self._journal = Path(path)
        self._lock = self._journal.with_name(self._journal.name + ".lock")
        self._patience = patience
        self._token = uuid.uuid4().hex

    def acquire(self) -> bool:
        """Take the lock, waiting for it; a dead owner's is broken.

        Raises:
            StorageError: the lock cannot be written, or somebody else kept it for longer than ``patience``.
        """
        start = time.monotonic()
        next_message = start + MESSAGE_SECONDS
        pause = 0.001
        while not self._create():
            content = self._read()
            if content is None:
                continue  # released between the two looks
            holder, token = _parse(content)
            if token == self._token and holder == this_process():
                return True  # ours: an interrupt fell between taking the lock and using it
            if (holder is not None and holder.is_dead) or (holder is None and self._age() > FOREIGN_SECONDS):
                self._break(content)
                continue
            now = time.monotonic()
            if now - start > self._patience:
                raise StorageError(self._complaint(holder))
            if now > next_message:
                next_message = now + MESSAGE_SECONDS
                _logger.warning("waiting for %s, which %s holds", self._lock, holder or "a program unknown")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        return True

    def release(self) -> None:
        """Give the lock back.

        Raises:
            RuntimeError: the lock is not this one's, as Optuna's own locks do.
        """
        content = self._read()
        if content is None or _parse(content)[1] != self._token:
            raise RuntimeError(f"did not hold {self._lock}")
        self._lock.unlink()

    def __enter__(self) -> OwnerLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _create(self) -> bool:
        record = json.dumps({**this_process().to_dict(), "token": self._token})
        draft = self._lock.with_name(f"{self._lock.name}.{self._token}")
        try:
            draft.write_text(record)
            return self._link(draft, record)
        except OSError as error:
            raise StorageError(f"cannot write the lock {self._lock}: {error.strerror or error}") from error
        finally:
            draft.unlink(missing_ok=True)

    def _link(self, draft: Path, record: str) -> bool:
        try:
            os.link(draft, self._lock)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            return self._open_exclusively(record)  # a file system without hard links
        return True

    def _open_exclusively(self, record: str) -> bool:
        try:
            descriptor = os.open(self._lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w") as file:
            file.write(record)
        return True

    def _read(self) -> bytes | None:
        try:
            if self._lock.is_symlink():  # Optuna's symbolic-link lock: its target is the journal, not a record
                return b"link " + os.fsencode(os.readlink(self._lock))
            return self._lock.read_bytes()
        except FileNotFoundError:
            return None

    def _age(self) -> float:
        try:
            return time.time() - self._lock.lstat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _break(self, content: bytes) -> None:
        """Remove the lock if it still is the one looked at.

        The flock lets one process at a time do so: else two could see the same dead lock and the slower one remove
        the lock that a third has taken meanwhile. Only processes of this host can judge a holder of this host, so
        a flock reaches all of them.
        """
        with self._journal.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if self._read() == content:
                _logger.warning("breaking %s: its holder is gone", self._lock)
                self._lock.unlink(missing_ok=True)

    def _complaint(self, holder: Owner | None) -> str:
        if holder is None or holder.is_elsewhere:
            advice = f"if that no longer runs, delete {self._lock}"
        else:
            advice = "stop it or wait until it ends"
        waited = f"{self._patience:g} s"
        return f"{self._journal} has been locked by {holder or 'an unknown program'} for {waited}; {advice}"


def _parse(content: bytes) -> tuple[Owner | None, str]:
    try:
        data = json.loads(content)
    except ValueError:
        return None, ""
    return Owner.from_dict(data), str(data.get("token", "")) if isinstance(data, dict) else ""
