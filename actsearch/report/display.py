"""The live display of a study: one redrawn panel on a terminal, plain lines anywhere else.

Both are Optuna-style callbacks with ``start`` and ``close``; :func:`display` picks the one that suits the stream. Only
one display writes to a stream, and trainers draw no bars of their own, so log files of batch systems stay short.
"""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from actsearch.report.progress import Phase, Progress, duration
from actsearch.report.tables import short_cell

WIDTH = 80
N_LEADERS = 6


def display(stream: TextIO | None = None) -> LiveDisplay | PlainDisplay:
    """Return a live display where ``stream`` (default: standard output) is a terminal, else plain lines."""
    stream = stream or sys.stdout
    return LiveDisplay(Console(file=stream)) if is_live(stream) else PlainDisplay(stream)


def is_live(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Say whether redrawing is safe: a terminal, not dumb, and neither NO_COLOR nor CI set."""
    environment = os.environ if environment is None else environment
    asked_plain = environment.get("NO_COLOR") or environment.get("CI") or environment.get("TERM") == "dumb"
    return bool(not asked_plain and stream.isatty())


class PlainDisplay:
    """Plain lines: each phase's begin, each new best candidate, and a status line every ``interval`` seconds."""

    def __init__(
        self, stream: TextIO | None = None, interval: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.stream = stream or sys.stdout
        self.interval = interval
        self.progress = Progress(clock)
        self._said = clock()
        self._phase = ""
        self._best = float("-inf")
        self._is_open = False

    def start(self, study: Any, config: Mapping[str, Any]) -> None:
        """Say what is searched, and what an earlier run already did."""
        self._is_open = True
        self.progress.start(study, config)
        self._line(self.progress.title)
        self._best = max((row.score or 0.0 for row in self.progress.leaders), default=self._best)
        earlier = self.progress.phases["search"].earlier
        if earlier:
            self._line(f"continuing: {earlier} candidates are trained already")

    def __call__(self, study: Any, trial: Any) -> None:
        """Say a new best candidate at once, and where things stand every few seconds."""
        row = self.progress.add(study, trial)
        phase = self.progress.current
        now = self.progress.clock()
        is_best = phase.name == "search" and row.outcome == "finished" and (row.score or 0.0) > self._best
        if is_best:
            self._best = row.score or 0.0
            self._line(f"new best {row.score:+.2f}  {row.text}")
        ends = phase.done == phase.planned and row.outcome not in ("duplicate", "rejected")
        if phase.name != self._phase or ends or now - self._said >= self.interval:
            self._phase, self._said = phase.name, now
            self._line(status(self.progress))

    def close(self, result: Any = None) -> None:
        """Say the last standing and how long it took."""
        if not self._is_open:
            return
        self._is_open = False
        took = duration(self.progress.clock() - self.progress.started)
        self._line(f"{'ended' if result is not None else 'stopped'} after {took}")

    def _line(self, text: str) -> None:
        elapsed = round(self.progress.clock() - self.progress.started)
        line = f"[{elapsed // 60:3d}:{elapsed % 60:02d}] {text}"
        print(textwrap.fill(line, WIDTH, subsequent_indent=" " * 9), file=self.stream, flush=True)


def status(progress: Progress) -> str:
    """Return one plain line: phase, trials done of planned, outcomes, time left."""
    phase = progress.current
    parts = [f"{phase.name} {phase.done}" + (f"/{phase.planned}" if phase.planned else "")]
    if phase.name == "search":
        parts += [f"{count} {outcome}" for outcome, count in progress.outcomes.items() if count]
    left = phase.seconds_left(progress.clock())
    if left:
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


class LiveDisplay:
    """One panel that rich redraws in place, at most ``WIDTH`` columns wide."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console
        self.progress = Progress(clock)
        self._live = Live(console=console, get_renderable=self.render, refresh_per_second=2, transient=False)

    def start(self, study: Any, config: Mapping[str, Any]) -> None:
        """Begin to draw."""
        self.progress.start(study, config)
        self._live.start()

    def __call__(self, study: Any, trial: Any) -> None:
        """Take one ended trial; the next redraw shows it."""
        self.progress.add(study, trial)

    def close(self, result: Any = None) -> None:
        """Draw for the last time and leave the panel on the screen."""
        if self._live.is_started:
            self._live.refresh()
            self._live.stop()

    def render(self) -> RenderableType:
        """Return the whole panel as it stands now."""
        progress = self.progress
        parts: list[RenderableType] = [Text(progress.title, style="bold", no_wrap=True, overflow="ellipsis")]
        parts.append(_bar(progress))
        if any(progress.outcomes.values()):
            parts.append(_outcomes(progress.outcomes))
        parts.append(_leaderboard(progress))
        return _narrow(Group(*parts), min(WIDTH, self.console.width))


def _narrow(content: RenderableType, width: int) -> Table:
    """Return content in a box of fixed width, so that a wide terminal is not filled with white."""
    box = Table.grid()
    box.add_column(width=width)
    box.add_row(content)
    return box


def _bar(progress: Progress) -> Table:
    phase, now = progress.current, progress.clock()
    row = Table.grid(padding=(0, 1))
    for _ in range(4):
        row.add_column(no_wrap=True)
    planned = phase.planned or 0
    count = f"{phase.done}/{planned}" if planned else str(phase.done)
    bar = ProgressBar(total=planned or None, completed=phase.done, width=26, pulse=not phase.done)
    row.add_row(
        Text(f"{phase.name:<6}", style="bold cyan"), bar, count, Text(_times(phase, progress, now), style="dim")
    )
    return row


def _times(phase: Phase, progress: Progress, now: float) -> str:
    left = phase.seconds_left(now)
    elapsed = duration(now - progress.started)
    if left is None:
        return f"{elapsed}, first fits are running"
    return f"{elapsed}, about {duration(left)} left" if left else elapsed


STYLES = {"finished": "green", "pruned": "yellow", "diverged": "magenta", "failed": "bold red"}


def _outcomes(outcomes: Mapping[str, int]) -> Text:
    text = Text()
    for outcome, count in outcomes.items():
        if outcome != "failed" or count:
            text.append(f"{count} {outcome}", style=STYLES.get(outcome, "dim") if count else "dim").append("  ")
    return text


def _leaderboard(progress: Progress) -> RenderableType:
    leaders, best = progress.leaders[:N_LEADERS], progress.best_baseline
    if not leaders and best is None:
        return Text("no function is fitted yet", style="dim")
    cells = list(leaders[0].scores) if leaders else list(best.scores) if best else []
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim", show_edge=False)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    for cell in cells[:3]:
        table.add_column(short_cell(cell), justify="right", no_wrap=True)
    table.add_column("function", no_wrap=True, overflow="ellipsis", ratio=1)
    for rank, row in enumerate(leaders, 1):
        table.add_row(*_cells(str(rank), row.score, row.scores, cells, row.text), style="bold" if rank == 1 else "")
    if best is not None:
        table.add_row(*_cells("", best.score, best.scores, cells, f"{best.text} (best of the panel)"), style="cyan")
    return table


def _cells(rank: str, score: float | None, scores: Mapping[str, float], cells: list[str], text: str) -> list[str]:
    metrics = [f"{scores[cell]:.4f}" if cell in scores else "" for cell in cells[:3]]
    return [rank, "" if score is None else f"{score:+.2f}", *metrics, text]
