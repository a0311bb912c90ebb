"""What runs in a worker: the fits of one trial, plain data in and plain data out."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actsearch.tasks.fit import FitJob, FitResult

# Fits seed torch's one random state, so two of them never share a process, whatever executor was handed in.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Crash:
    """A fit raised: ``reason`` is its last line, ``details`` the whole traceback."""

    reason: str
    details: str


def run_fits(jobs: Sequence[FitJob]) -> tuple[FitResult, ...] | Crash:
    """Return the result of each job, in order, or the crash that ended them.

    Torch computes with one thread, because the bits of a sum depend on the number of threads and a score must not
    depend on where it was computed.
    """
    from actsearch.tasks.fit import fit

    with _ONE_AT_A_TIME:
        try:
            return tuple(fit(job, n_threads=1) for job in jobs)
        except Exception as error:
            return Crash(f"{type(error).__name__}: {error}".strip(), traceback.format_exc())


def warm_up() -> None:
    """Import what a fit needs: seconds that a new worker would otherwise spend at its first fit."""
    import lightning.pytorch  # noqa: F401
