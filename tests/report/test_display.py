from __future__ import annotations

import io
import re
from typing import Any

import optuna
import pytest
from rich.console import Console

from actsearch.report.bar import bar
from actsearch.report.display import LiveDisplay, PlainDisplay, display, is_live

from . import fakes

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Tick:
    """Lets time pass before each callback."""

    def __init__(self, clock: fakes.Clock, seconds: float = 1.7) -> None:
        self.clock, self.seconds = clock, seconds

    def __call__(self, study: Any, trial: Any) -> None:
        self.clock.now += self.seconds


def play_plain(**settings: Any) -> str:
    clock, stream = fakes.Clock(), io.StringIO()
    fakes.run(callbacks=[Tick(clock), PlainDisplay(stream, clock=clock)], **settings)
    return stream.getvalue()


@pytest.mark.parametrize("variable", ["NO_COLOR", "CI"])
def test_no_redrawing_where_it_is_not_wanted(variable: str) -> None:
    assert is_live(Terminal(), {})
    assert not is_live(Terminal(), {variable: "1"})
    assert not is_live(Terminal(), {"TERM": "dumb"})
    assert not is_live(io.StringIO(), {})


def test_the_stream_decides_which_display() -> None:
    assert isinstance(display(io.StringIO()), PlainDisplay)


def test_plain_lines_have_no_control_codes_and_fit_a_terminal() -> None:
    text = play_plain()
    assert not CONTROL.search(text)
    assert max(map(len, text.splitlines())) <= 80
    assert "core_unit on mnist1d/deep, mnist1d/residual, sampler tpe, seed 0" in text


def test_plain_lines_tell_phases_progress_outcomes_and_new_bests() -> None:
    text = play_plain()
    assert re.search(r"panel 36/36", text)
    counts = ", ".join(rf"\d+ {outcome}" for outcome in ("finished", "pruned", "duplicate", "rejected", "diverged"))
    assert re.search(rf"search \d+/40, {counts}, [^\[]* left", " ".join(text.split()))
    assert re.search(r"finals 16/16", text)
    scores = [float(found) for found in re.findall(r"new best ([+-][\d.]+)", text)]
    assert scores == sorted(scores)
    assert len(scores) > 3
    assert text.splitlines()[-1].endswith("ended after 2 min 36 s")


def test_plain_lines_come_every_few_seconds_and_not_for_every_trial() -> None:
    assert play_plain(n_trials=400).count("[") < 130


def test_time_left_is_the_mean_pace_of_this_run() -> None:
    line = next(line for line in play_plain().splitlines() if "panel 7/" in line)
    assert line.endswith("49 s left")  # 29 trials at 1.7 s


def test_what_an_earlier_run_did_is_told_and_does_not_count_as_pace() -> None:
    storage = optuna.storages.InMemoryStorage()
    fakes.run(storage=storage, finals=False)
    study = optuna.load_study(study_name="core", storage=storage)
    study.set_user_attr("n_planned", 44)
    clock, stream = fakes.Clock(), io.StringIO()
    plain = PlainDisplay(stream, interval=0.0, clock=clock)
    plain.start(study, fakes.CONFIG)
    n_trained = sum(t.user_attrs["outcome"] not in ("duplicate", "rejected") for t in study.trials)
    assert f"continuing: {n_trained} candidates are trained already" in stream.getvalue()
    clock.now = 3.0
    plain(study, fakes.add(study, 0.0, {"expr": "x", "outcome": "finished", "scores": {}}))
    left = (44 - n_trained - 1) * 3
    assert f"search {n_trained + 1}/44" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith(f"{left} s left")


def test_closing_twice_says_the_end_once() -> None:
    stream = io.StringIO()
    plain = PlainDisplay(stream, clock=fakes.Clock())
    plain.close(None)
    assert stream.getvalue() == ""
    fakes.run(callbacks=[plain])
    plain.close(None)
    assert stream.getvalue().count("ended after") == 1


class Frames(LiveDisplay):
    """A live display that keeps what it would show after every trial."""

    def __init__(self, clock: fakes.Clock) -> None:
        super().__init__(Console(width=80, force_terminal=True, file=io.StringIO()), clock)
        self.frames: list[str] = []

    def __call__(self, study: Any, trial: Any) -> None:
        super().__call__(study, trial)
        console = Console(width=80, file=io.StringIO())
        console.print(self.render())
        self.frames.append(console.file.getvalue())  # type: ignore[attr-defined]


def test_the_live_panel_fits_80_columns_in_every_phase_and_shows_what_matters() -> None:
    clock = fakes.Clock()
    live = Frames(clock)
    fakes.run(callbacks=[Tick(clock), live])
    assert max(len(line) for frame in live.frames for line in frame.splitlines()) <= 80
    panel, search, finals = live.frames[20], live.frames[70], live.frames[-2]
    assert "panel" in panel
    assert "21/36" in panel
    assert "left" in panel
    for word in ("finished", "pruned", "duplicate", "rejected", "diverged"):
        assert word in search
    assert "silu (best of the panel)" in search
    assert "deep" in search
    assert "residual" in search
    assert "finals" in finals


def test_the_leaderboard_of_the_live_panel_is_the_best_of_the_search() -> None:
    clock = fakes.Clock()
    live = Frames(clock)
    result = fakes.run(callbacks=[live])
    scores = [float(found) for found in re.findall(r"^\d+ +([+-][\d.]+)", live.frames[-1], re.MULTILINE)]
    assert scores == [pytest.approx(row.score, abs=0.006) for row in result.leaderboard(6)]


def test_live_display_draws_on_its_terminal_and_stops() -> None:
    stream = Terminal()
    live = LiveDisplay(Console(file=stream, width=80, force_terminal=True))
    fakes.run(callbacks=[live], n_trials=5)
    assert "core_unit on mnist1d/deep" in stream.getvalue()
    live.close(None)


def test_a_bar_off_a_terminal_says_little_and_plain() -> None:
    clock, stream = fakes.Clock(), io.StringIO()
    with bar("counting", stream, interval=10.0, clock=clock) as update:
        for done in range(100):
            clock.now += 1.0
            update(done, 100)
    assert stream.getvalue().splitlines()[0] == "counting: 9/100"
    assert len(stream.getvalue().splitlines()) == 10
