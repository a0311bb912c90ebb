"""The page and the picture of the wall-time benchmark, and the verdict that both show."""

from __future__ import annotations

import inspect
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, takewhile
from pathlib import Path

from _optuna_loop import NETS, PROCESSES, SPACE, TASK, expression
from _results import machine, reached
from _wall_time_runs import LOOP, SEARCH, Incumbent, Run, Settings
from _wall_time_scores import Key, Scores
from matplotlib import rc_context
from matplotlib.figure import Figure

import actsearch
from actsearch.report.figures.style import GREY, INK, RC, REFERENCE, SERIES, label_ends
from actsearch.study.stats import mean_interval, paired_difference

TARGET = 3.0  # minutes
SHOWN = (0.5, 1, 1.5, 2, 3, 4, 6)  # minutes
BASELINES: dict[str, tuple[Key, Key]] = {
    "relu": ((LOOP, "max max max"), (SEARCH, "relu")),
    "silu": ((LOOP, "x x gate"), (SEARCH, "silu")),
}


@dataclass(frozen=True)
class Found:
    """All runs, and the fresh-seed scores of their incumbents and of the baselines."""

    loops: Sequence[Run]
    searches: Sequence[Run]
    scores: Scores

    @property
    def bar(self) -> list[float]:
        """What a search has to reach: the scores of the loop's last incumbent, by replicate, mean over loops."""
        last = [self.of(loop.incumbents[-1]) for loop in self.loops]
        return [statistics.fmean(values) for values in zip(*last, strict=True)]

    def of(self, incumbent: Incumbent) -> list[float]:
        """Return an incumbent's scores by replicate."""
        return self.scores[incumbent.side, incumbent.function]

    def moments(self, search: Run) -> tuple[float, float]:
        """Return the minutes from which a search's incumbent is not worse than the bar: first, and to the end."""
        bar = statistics.fmean(self.bar)
        held = [(one.seconds / 60, statistics.fmean(self.of(one)) >= bar) for one in search.incumbents]
        first = next((minutes for minutes, is_held in held if is_held), math.inf)
        last = list(takewhile(lambda one: one[1], reversed(held)))
        return first, last[-1][0] if last else math.inf


def page(found: Found, command: str) -> str:
    """Return the page's text."""
    loop, search = found.loops[0].settings, found.searches[0].settings
    config = found.searches[0].study.user_attrs["config"]
    n_replicates, stays = len(found.bar), [found.moments(one)[1] for one in found.searches]
    first = [found.moments(one)[0] for one in found.searches]
    facts = machine("actsearch", "torch", "lightning", "optuna")
    loads = ", ".join(f"{one.load:.1f}" for one in [*found.loops, *found.searches])
    del facts["load"]
    lines = [
        f"# Wall time to what a plain Optuna loop reaches in {loop.minutes:g} minutes",
        "",
        f"Made by `{command}`: {SPACE} on {TASK}, nets {' and '.join(NETS)}, {search.n_steps} steps, {PROCESSES} "
        "processes, validation accuracy, mean over the nets.",
        "",
        *(f"- {key}: {value}" for key, value in facts.items()),
        f"- load when each run began, loops first: {loads}",
        "",
        "The loop: Optuna's TPE, one Lightning Trainer a net, formulas in torch operations and not normalised, nothing "
        f"stopped early. The search: `actsearch.search` with its defaults (sampler `{config['sampler']}`, pruner "
        f"`{config['pruner']}`), but without finals, which come after a search, and ended by the clock. Its "
        "panel and null control are part of its time. Both clocks start when processes are started, so that imports "
        "count; the data, and the op that runs kernels, were there before; kernels of functions were not.",
        "",
        "Scores, in percent: the function that a run would hand over at that moment, best by its own validation score, "
        f"is trained again {n_replicates} times with seeds and data that no run saw, in the form in which its side "
        "trains it: by the loop as it is, betas fixed; by the search normalised, betas learning. Replicates are paired "
        "by data and initial weights. Intervals: 95 %, Student's t over replicates; they hold for these runs' "
        "functions.",
        "",
        "## Result",
        "",
        f"Until the search's incumbent is, in the mean, not worse than the loop's after {loop.minutes:g} minutes, and "
        f"stays so to the end: {_told(stays, search)}. Until it is so for the first time: {_told(first, search)}. "
        f"Target: at most {TARGET:g} min. Reached: {reached(statistics.median(stays), TARGET)}.",
        "",
        "![fresh-seed score of the incumbent over time](wall_time.png)",
        "",
        f"| search | first | and stays so | first candidate asked for | trained in {search.minutes:g} min | "
        f"default `n_trials` trained | minus the loop at {min(TARGET, search.minutes):g} min |",
        "|---|---|---|---|---|---|---|",
    ]
    n_default = inspect.signature(actsearch.search).parameters["n_trials"].default
    for one in found.searches:
        moments = " | ".join(_minutes(moment, search) for moment in found.moments(one))
        held = standing(one.incumbents, TARGET)
        lines.append(
            f"| {one.settings.seed} | {moments} | {one.seconds_to_first / 60:.1f} min | {one.n_trained} | "
            f"{_minutes(one.seconds_to(n_default) / 60, search)} | {_difference(found, held)} |"
        )
    lines += [
        "",
        "## The loop",
        "",
        "| loop | trained | its best | found at | fresh-seed score |",
        "|---|---|---|---|---|",
    ]
    for one in found.loops:
        last = one.incumbents[-1]
        lines.append(
            f"| {one.settings.seed} | {one.n_trained} | {_shown(last)} | {last.seconds / 60:.1f} min | "
            f"{_interval(found.of(last))} |"
        )
    lines += ["", "## The search's incumbent", ""]
    lines += ["| after | " + " | ".join(f"search {one.settings.seed}" for one in found.searches) + " |"]
    lines += ["|---|" + "---|" * len(found.searches)]
    for minutes in (minutes for minutes in SHOWN if minutes <= search.minutes):
        held_by = [standing(one.incumbents, minutes) for one in found.searches]
        cells = [_interval(found.of(one)) if one else "none yet" for one in held_by]
        lines.append(f"| {minutes:g} min | {' | '.join(cells)} |")
    lines += ["", "All of them:", "", "| search | from | function | fresh-seed score |", "|---|---|---|---|"]
    lines += [
        f"| {one.settings.seed} | {held.seconds / 60:.2f} min | {_shown(held)} | {_interval(found.of(held))} |"
        for one in found.searches
        for held in one.incumbents
    ]
    lines += ["", "## Baselines", "", "| function | as the loop trains | as the search trains |", "|---|---|---|"]
    for name, pair in BASELINES.items():
        lines.append(f"| {name} | {' | '.join(_interval(found.scores[key]) for key in pair)} |")
    return "\n".join(lines) + "\n"


def standing(incumbents: Sequence[Incumbent], minutes: float) -> Incumbent | None:
    """Return the incumbent after so many minutes."""
    return next((one for one in reversed(incumbents) if one.seconds <= 60 * minutes), None)


def _minutes(minutes: float, search: Settings) -> str:
    return f"{minutes:.1f} min" if math.isfinite(minutes) else f"not within {search.minutes:g} min"


def _told(moments: Sequence[float], search: Settings) -> str:
    low, middle, high = (_minutes(value, search) for value in (min(moments), statistics.median(moments), max(moments)))
    return f"median {middle}, range {low} to {high}, of {len(moments)} searches"


def _interval(values: Sequence[float]) -> str:
    found = mean_interval(values)
    return f"{100 * found.mean:.1f} ± {100 * (found.high - found.mean):.1f}"


def _difference(found: Found, held: Incumbent | None) -> str:
    if held is None:
        return "none yet"
    difference = paired_difference(found.of(held), found.bar)
    return f"{100 * difference.mean:+.1f} [{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"


def _shown(incumbent: Incumbent) -> str:
    function = incumbent.function
    return f"`{expression(*function.split()) if incumbent.side == LOOP else function}`"


def picture(found: Found, path: Path) -> None:
    """Draw the incumbents' scores over time, a line a search, and the loop's last one with its interval."""
    search = found.searches[0].settings
    bar = mean_interval(found.bar)
    ends = [(100 * bar.mean, f"the loop, {found.loops[0].settings.minutes:g} min", REFERENCE)]
    colours = [colour for colour in SERIES if colour != REFERENCE]
    with rc_context(RC):
        figure = Figure(figsize=(7.5, 3.8), layout="constrained")
        axes = figure.subplots()
        axes.axhspan(100 * bar.low, 100 * bar.high, color=REFERENCE, alpha=0.12, linewidth=0)
        axes.axhline(100 * bar.mean, color=REFERENCE)
        for name, (_, key) in BASELINES.items():
            ends.append((100 * statistics.fmean(found.scores[key]), f"{name}, normalised", GREY))
            axes.axhline(ends[-1][0], color=GREY, linestyle=":")
        for one, colour in zip(found.searches, cycle(colours)):
            if not one.incumbents:
                continue
            moments = [held.seconds / 60 for held in one.incumbents]
            intervals = [mean_interval(found.of(held)) for held in one.incumbents]
            means = [100 * interval.mean for interval in intervals]
            axes.step([*moments, search.minutes], [*means, means[-1]], where="post", color=colour, alpha=0.8)
            halves = [100 * (interval.high - interval.mean) for interval in intervals]
            axes.errorbar(moments, means, halves, fmt="o", color=colour, markersize=3, linewidth=0.7, alpha=0.8)
            ends.append((means[-1], f"search {one.settings.seed}", colour))
        if search.minutes > TARGET:
            axes.axvline(TARGET, color=INK, linewidth=0.8, linestyle="--")
            axes.annotate(" target", (TARGET, 1.0), xycoords=("data", "axes fraction"), fontsize=8, va="top")
        axes.set_xlim(0, search.minutes)
        axes.set_xlabel("minutes since the search was started")
        axes.set_title("Fresh-seed validation accuracy of the incumbent, percent")
        label_ends(axes, ends)
        figure.savefig(path, dpi=150)
