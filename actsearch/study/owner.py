"""Who is doing this: a process named by host, process id and start time, so that a dead one is told from a live one.

A process id alone is reused by the system; with the start time it is not. What cannot be looked at from here (a
process of another host or of another container) is neither alive nor dead but unknown, and unknown is left alone.
"""

from __future__ import annotations

import functools
import os
import socket
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Owner:
    """One process of one host.

    Attributes:
        host: network name of the machine.
        pid: process id.
        started: when the process started, in the system's own spelling; empty where the system does not tell.
        boot: which start of the machine this was; empty where the system does not tell.
        namespace: in which set of process ids ``pid`` counts (containers have their own); empty where unknown.
    """

    host: str
    pid: int
    started: str = ""
    boot: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on host {self.host}"

    @property
    def is_dead(self) -> bool:
        """Whether the process is known to have ended."""
        return _is_alive(self) is False

    @property
    def is_elsewhere(self) -> bool:
        """Whether the process cannot be looked at from here, so that nobody can say if it still runs."""
        return _is_alive(self) is None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Owner | None:
        """Return the owner that :meth:`to_dict` wrote, or None for anything else."""
        if not isinstance(data, dict) or not isinstance(data.get("pid"), int) or not isinstance(data.get("host"), str):
            return None
        texts = {key: str(data.get(key, "")) for key in ("started", "boot", "namespace")}
        return cls(host=data["host"], pid=data["pid"], **texts)


def this_process() -> Owner:
    """Return the owner that stands for the calling process.

    Example:
        >>> owner = this_process()
        >>> owner.is_dead, Owner.from_dict(owner.to_dict()) == owner
        (False, True)
    """
    return _describe(os.getpid())


@functools.lru_cache(maxsize=4)
def _describe(pid: int) -> Owner:
    # cached by process id, so that a fork describes itself anew
    return Owner(socket.gethostname(), pid, _start_time(pid) or "", _boot(), _namespace())


def _is_alive(owner: Owner) -> bool | None:
    here = this_process()
    if owner.host != here.host:
        return None
    if owner.boot != here.boot:
        return False  # the machine was started anew since
    if owner.namespace != here.namespace:
        return None
    started = _start_time(owner.pid)
    return started is not None and (not owner.started or not started or started == owner.started)


def _start_time(pid: int) -> str | None:
    """Return when a process started, None when there is no such process (or only its corpse), "" when unknown."""
    if Path("/proc/self/stat").exists():
        try:
            # the second field is the program's name in brackets, which may hold blanks and brackets itself
            fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else fields[19]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it exists and is another user's
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


@functools.cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
