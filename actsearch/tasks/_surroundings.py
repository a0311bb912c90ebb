"""What surrounds a fit: threads, silence, random states, Ctrl-C; all left as they were found."""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning

from actsearch.tasks._rng import preserved

_LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric")


@contextmanager
def surroundings(n_threads: int | None) -> Iterator[None]:
    """Set up and clean up around a fit.

    Args:
        n_threads: threads of torch inside; None leaves the number alone.
    """
    with ExitStack() as stack:
        stack.enter_context(preserved())
        stack.enter_context(_threads(n_threads))
        stack.enter_context(_silence())
        stack.enter_context(_interruptible())
        yield


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    if number is not None:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Lightning's notices and advice back (hardware found, number of workers, logger not set, ...)."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", module=r"lightning\.")
        # vmap runs such an operation member by member; whether a population is worth it is measured
        warnings.filterwarnings("ignore", message="There is a performance drop because we have not yet implemented")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C be KeyboardInterrupt: Lightning ignores further ones and leaves with SystemExit."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as leaving:
        if isinstance(leaving.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, handler)
