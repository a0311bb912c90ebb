"""Workers: a pool around any ``concurrent.futures.Executor`` that outlives the death of its workers.

A worker that dies (killed, out of memory) breaks a process pool and fails every future in it. The pool here starts new
workers and submits the lost work again, at most three times. Work that was in flight twice when a worker died is run
alone from then on, so that only work that kills its own worker is ever given up.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import sleep
from types import TracebackType
from typing import Any, Generic, TypeVar

from actsearch.errors import StudyError

_log = logging.getLogger(__name__)

#: Environment of a worker: one thread of every library.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
MAX_RESUBMISSIONS = 3
_ALONE_FROM = 2  # attempts that ended with a dead worker, after which work runs with nothing beside it

Key = TypeVar("Key", bound=Hashable)


class SerialExecutor(Executor):
    """Runs each call at once, in this process and thread: for debugging, and where processes are not allowed."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a future that is already done."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass(frozen=True)
class Lost:
    """The answer to work whose worker died each time: ``reason`` is a sentence."""

    reason: str


@dataclass
class _Ticket(Generic[Key]):
    key: Key
    work: Any
    n_deaths: int = 0


class Pool(Generic[Key]):
    """Runs ``call(work)`` for each submitted work and hands the answers back in the order they come.

    Args:
        call: a function at module level; called in the worker.
        executor: any Executor; None starts loky processes of its own. An executor that was handed in is never shut
            down, and cannot be started again when its workers die.
        n_workers: how many calls run at once; None means the executor's own number, or the CPUs of this process;
            0 means in this process.
        interruptible: makes the context in which the pool waits, the only place where Ctrl-C may take effect.
    """

    def __init__(
        self,
        call: Callable[[Any], Any],
        executor: Executor | None = None,
        n_workers: int | None = None,
        interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        if n_workers is not None and n_workers < 0:
            raise StudyError(f"n_workers is {n_workers}; it must be 0 (this process) or more")
        self._call = call
        self._interruptible = interruptible
        self._owned = executor is None
        self.n_workers = _number_of_workers(executor, n_workers)
        self._in_process = executor is None and n_workers == 0
        self._executor: Executor = executor if executor is not None else self._start()
        self._queue: deque[_Ticket[Key]] = deque()
        self._in_flight: dict[Future[Any], _Ticket[Key]] = {}

    def __enter__(self) -> Pool[Key]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def n_waiting(self) -> int:
        """How many submitted works have no answer yet."""
        return len(self._queue) + len(self._in_flight)

    def warm_up(self, call: Callable[[], Any]) -> None:
        """Let every worker run ``call`` (imports, say) while the caller does other things; answers are dropped."""
        if self._owned and not self._in_process:
            for _ in range(self.n_workers):
                self._executor.submit(call)

    def submit(self, key: Key, work: Any) -> None:
        """Queue one work; its answer comes from :meth:`wait` under ``key``."""
        self._queue.append(_Ticket(key, work))
        self._pump()

    def wait(self) -> list[tuple[Key, Any]]:
        """Block until at least one work is answered; return ``(key, answer)`` pairs, empty when none is waiting.

        An answer is the call's result, the exception it raised, or :class:`Lost`.

        Raises:
            StudyError: an executor that was handed in is broken, or new workers cannot be started.
        """
        answers: list[tuple[Key, Any]] = []
        while not answers and self.n_waiting:
            self._pump()
            with self._interruptible():
                done, _ = wait(self._in_flight, return_when=FIRST_COMPLETED)
            died: list[_Ticket[Key]] = []
            for future in done:
                ticket = self._in_flight.pop(future)
                try:
                    answers.append((ticket.key, future.result()))
                except (BrokenExecutor, CancelledError) as error:
                    _log.debug("lost %s: %s", ticket.key, error)
                    died.append(ticket)
                except Exception as error:
                    answers.append((ticket.key, error))
            if died:
                answers += self._renew(died)
        return answers

    def close(self) -> None:
        """Drop what is waiting and end the workers at once (only those that this pool started)."""
        self._queue.clear()
        if self._owned:
            self._stop()  # without cancelling: loky's own thread stumbles over cancelled futures when it kills
        else:
            for future in self._in_flight:
                future.cancel()
        self._in_flight.clear()

    def _pump(self) -> None:
        # one more than there are workers, so that none waits for the parent; all others are safe here when one dies
        while self._queue and len(self._in_flight) <= self.n_workers:
            alone = any(ticket.n_deaths >= _ALONE_FROM for ticket in (self._queue[0], *self._in_flight.values()))
            if alone and self._in_flight:
                return
            ticket = self._queue.popleft()
            self._in_flight[self._send(ticket)] = ticket

    def _send(self, ticket: _Ticket[Key]) -> Future[Any]:
        if self._in_process:
            with self._interruptible():
                return self._executor.submit(self._call, ticket.work)
        try:
            return self._executor.submit(self._call, ticket.work)
        except (BrokenExecutor, RuntimeError) as error:  # broken between two waits, or shut down by its owner
            self._restart(error)
        try:
            return self._executor.submit(self._call, ticket.work)
        except (BrokenExecutor, RuntimeError) as error:
            raise StudyError(f"the workers cannot be started: {error}") from error

    def _renew(self, died: list[_Ticket[Key]]) -> list[tuple[Key, Any]]:
        """Start new workers; queue again what was lost; return what is given up and what was answered meanwhile."""
        answers: list[tuple[Key, Any]] = []
        wait(self._in_flight)  # a broken pool fails all of them at once
        for future, ticket in self._in_flight.items():
            error = future.exception() if not future.cancelled() else CancelledError()
            if isinstance(error, (BrokenExecutor, CancelledError)):
                died.append(ticket)
            else:
                answers.append((ticket.key, error if error is not None else future.result()))
        self._in_flight.clear()
        self._restart(None)
        for ticket in died:
            ticket.n_deaths += 1
            if ticket.n_deaths > MAX_RESUBMISSIONS:
                answers.append((ticket.key, Lost(f"its worker died {ticket.n_deaths} times")))
            else:
                self._queue.append(ticket)
        return answers

    def _restart(self, error: BaseException | None) -> None:
        if not self._owned:
            raise StudyError(
                "the executor that was handed in has lost its workers"
                f"{f' ({error})' if error else ''}; nothing that finished is lost: make the same call again to continue"
            )
        _log.warning("a worker died; starting new ones and fitting again what was lost")
        self._stop()
        self._executor = self._start()

    def _start(self) -> Executor:
        if self._in_process:
            return SerialExecutor()
        from loky import ProcessPoolExecutor

        return ProcessPoolExecutor(
            max_workers=self.n_workers, env=ONE_THREAD, initializer=_start_worker, initargs=(os.getpid(),)
        )

    def _stop(self) -> None:
        if not self._in_process:
            self._executor.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg]


def _number_of_workers(executor: Executor | None, n_workers: int | None) -> int:
    if n_workers is not None:
        return max(1, n_workers)
    if executor is None:
        from loky import cpu_count

        return int(cpu_count())
    return int(getattr(executor, "_max_workers", 1))


def _start_worker(parent: int) -> None:
    """Leave Ctrl-C to the parent, and end when the parent is gone (also after kill -9)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: int) -> None:
    while os.getppid() == parent:
        sleep(0.5)
    os._exit(1)
