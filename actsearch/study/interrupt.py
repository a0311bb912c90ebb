"""Ctrl-C that takes effect between two writes, never in the middle of one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Holds the first Ctrl-C back until the code is inside :meth:`allowed`; the second one acts at once.

    Outside the main thread signals cannot be handled, and this does nothing.
    """

    def __init__(self) -> None:
        self._allowed = False
        self._asked = False
        self._previous: Any = None

    def __enter__(self) -> Interrupts:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Let Ctrl-C raise KeyboardInterrupt inside, also one that came before."""
        self.check()
        self._allowed = True
        try:
            yield
        finally:
            self._allowed = False

    def check(self) -> None:
        """Raise the KeyboardInterrupt that was held back, if there was one."""
        if self._asked:
            raise KeyboardInterrupt

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self._allowed or self._asked:
            raise KeyboardInterrupt
        self._asked = True
