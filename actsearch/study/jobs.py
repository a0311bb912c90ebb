"""What runs in a worker: the fits of one trial or of many at once, plain data in and plain data out."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actsearch.tasks.fit import FitJob, FitResult

# Fits seed torch's one random state, so two of them never share a process, whatever executor was handed in.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Crash:
    """A fit raised: ``reason`` is its last line, ``details`` the whole traceback."""

    reason: str
    details: str


@dataclass(frozen=True)
class Size:
    """How many candidates are fitted at once in a cell.

    Attributes:
        n: at most so many; 1: one by one.
        width: at least so many slices, where the bits of a score depend on it; None: as few as hold the members.
        reason: why they are fitted one by one, for people.
    """

    n: int = 1
    width: int | None = None
    reason: str = ""


#: Size by the cell's key; a cell that is missing has its candidates fitted one by one.
Sizes = Mapping[str, Size]
NO_SIZES: Sizes = MappingProxyType({})


@dataclass(frozen=True)
class Together:
    """The jobs of several trials, to be fitted together where their cell's size says so.

    Attributes:
        members: each trial's jobs; the i-th jobs of all are of one cell and replicate.
        sizes: one for each of a trial's jobs.
    """

    members: tuple[tuple[FitJob, ...], ...]
    sizes: tuple[Size, ...]


def run_work(work: Sequence[FitJob] | Together | Callable[[], Any]) -> Any:
    """Return the answer to one work: of one trial, a list of answers of many trials, or what a call returns."""
    if isinstance(work, Together):
        return run_together(work)
    return work() if callable(work) else run_fits(work)


def run_fits(jobs: Sequence[FitJob]) -> tuple[FitResult, ...] | Crash:
    """Return the result of each job, in order, or the crash that ended them.

    Torch computes with one thread, because the bits of a sum depend on the number of threads and a score must not
    depend on where it was computed.
    """
    from actsearch.tasks.fit import fit

    with _ONE_AT_A_TIME:
        return _caught(lambda: tuple(fit(job, n_threads=1) for job in jobs))


def run_together(work: Together) -> list[tuple[FitResult, ...] | Crash]:
    """Return the answer to each trial's jobs, in order."""
    answers: list[tuple[FitResult, ...] | Crash] = [() for _ in work.members]
    for index, size in enumerate(work.sizes):
        going = [number for number, answer in enumerate(answers) if isinstance(answer, tuple)]
        found = _fit([work.members[number][index] for number in going], size)
        for number, one in zip(going, found, strict=True):
            answer = answers[number]
            assert isinstance(answer, tuple)
            answers[number] = answer + one if isinstance(one, tuple) else one
    return answers


def _fit(jobs: Sequence[FitJob], size: Size) -> list[tuple[FitResult, ...] | Crash]:
    if size.n == 1:
        return [run_fits([job]) for job in jobs]
    with _ONE_AT_A_TIME:
        together = _caught(lambda: _population(jobs, size))
        if isinstance(together, tuple):
            return [(result,) for result in together]
        # one that cannot be built must not take the others with it; alone, they score the same to the bit
        return [together] if len(jobs) == 1 else [_caught(partial(_one, job, size)) for job in jobs]


def _population(jobs: Sequence[FitJob], size: Size) -> tuple[FitResult, ...]:
    from actsearch.tasks.population import fit_population

    return fit_population(jobs, n_threads=1, width=size.width)


def _one(job: FitJob, size: Size) -> tuple[FitResult, ...]:
    return _population([job], size)


def _caught(call: Callable[[], tuple[FitResult, ...]]) -> tuple[FitResult, ...] | Crash:
    try:
        return call()
    except Exception as error:
        return Crash(f"{type(error).__name__}: {error}".strip(), traceback.format_exc())


def warm_up() -> None:
    """Import what a fit needs: seconds that a new worker would otherwise spend at its first fit."""
    import lightning.pytorch  # noqa: F401
