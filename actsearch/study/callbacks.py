"""Tell the callbacks what happens; one that fails is reported once and does not end a search."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.trial import FrozenTrial

_log = logging.getLogger(__name__)


class Callbacks:
    """Optuna-style callables ``(study, trial)``, called after each trial of panel, search and finals.

    One that has a ``start(study, config)`` or a ``close(result)`` gets these calls too. KeyboardInterrupt passes; any
    other exception is logged as a warning, once for each callback.
    """

    def __init__(self, callbacks: Sequence[Callable[..., Any]]) -> None:
        self._callbacks = tuple(callbacks)
        self._failed: set[int] = set()

    @contextmanager
    def started(self, study: optuna.Study, config: Mapping[str, Any]) -> Iterator[None]:
        """Say that a study begins or goes on; close with None when an exception ends it."""
        for callback in self._callbacks:
            self._call(callback, getattr(callback, "start", None), study, config)
        try:
            yield
        except BaseException:
            self.close(None)
            raise

    def __call__(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Say that a trial ended."""
        for callback in self._callbacks:
            self._call(callback, callback, study, trial)

    def close(self, result: Any) -> None:
        """Say that the study is over, or was interrupted; ``result`` is None when there is none."""
        for callback in self._callbacks:
            self._call(callback, getattr(callback, "close", None), result)

    def _call(self, callback: Any, function: Callable[..., Any] | None, *arguments: Any) -> None:
        if function is None:
            return
        try:
            function(*arguments)
        except Exception as error:
            if id(callback) not in self._failed:
                self._failed.add(id(callback))
                _log.warning("callback %r failed, and the study goes on: %s", callback, error, exc_info=True)
