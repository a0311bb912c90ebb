"""A progress bar for work that is no study: one bar on a terminal, nothing elsewhere but what took long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from actsearch.report.display import is_live


@contextmanager
def bar(
    title: str, stream: TextIO | None = None, interval: float = 10.0, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[int, int], None]]:
    """Show progress while the block runs; yields ``update(done, total)``.

    Args:
        title: what is being done.
        stream: default: standard error, so that the result on standard output stays clean.
        interval: seconds between plain lines where the stream is no terminal.
        clock: seconds.
    """
    stream = stream or sys.stderr
    if not is_live(stream):
        yield _lines(title, stream, interval, clock)
        return
    columns = (TextColumn(title), BarColumn(30), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _lines(title: str, stream: TextIO, interval: float, clock: Callable[[], float]) -> Callable[[int, int], None]:
    said = clock()

    def update(done: int, total: int) -> None:
        nonlocal said
        if clock() - said >= interval:
            said = clock()
            print(f"{title}: {done}/{total}", file=stream, flush=True)

    return update
