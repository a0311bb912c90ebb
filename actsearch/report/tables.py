"""Tables of a study: the leaderboard and the finals, as text, Markdown and CSV, and the verdict in plain words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from actsearch.report.grid import Grid
from actsearch.report.records import Baseline, Record, ranked
from actsearch.study.comparison import Comparison, ComparisonRow


def short_cell(cell: str) -> str:
    """Return a cell's net where the task is named before it.

    Example:
        >>> short_cell("mnist1d/deep"), short_cell("deep")
        ('deep', 'deep')
    """
    return cell.rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def leaderboard(rows: Iterable[Record], best_baseline: Baseline | None = None, limit: int | None = None) -> Grid:
    """Return the finished candidates, best first; ``best_baseline`` stands among them as ``panel``.

    Columns: rank, score (panel standard deviations above the panel median), the metric in every cell, the trial's
    number, seconds of training, number of the net's parameters, and the function's text.
    """
    leaders = ranked(rows)[:limit]
    cells = list(leaders[0].scores) if leaders else list(best_baseline.scores) if best_baseline else []
    lines = [_leader(str(rank), row, cells) for rank, row in enumerate(leaders, 1)]
    if best_baseline is not None:
        place = sum((row.score or 0.0) >= (best_baseline.score or 0.0) for row in leaders)
        metrics = [best_baseline.scores.get(cell) for cell in cells]
        lines.insert(place, ["panel", best_baseline.score, *metrics, None, None, None, best_baseline.text])
    header = ["rank", "score", *map(short_cell, cells), "trial", "seconds", "n_parameters", "function"]
    formats = ["", "+.2f", *[".4f"] * len(cells), "", ".1f", "", ""]
    return Grid(tuple(header), tuple(tuple(line) for line in lines), tuple(formats))


def _leader(rank: str, row: Record, cells: Sequence[str]) -> list[Any]:
    metrics = [row.scores.get(cell) for cell in cells]
    return [rank, row.score, *metrics, row.number, row.seconds, row.n_parameters, row.text]


def trials(rows: Iterable[Record]) -> Grid:
    """Return every trial, one row each, in the order they were asked for."""
    header = ("trial", "outcome", "score", "seconds", "duplicate_of", "reason", "function")
    lines = ((row.number, row.outcome, row.score, row.seconds, row.duplicate_of, row.reason, row.text) for row in rows)
    return Grid(header, tuple(lines), ("", "", "+.2f", ".1f", "", "", ""))


def comparison(finals: Comparison) -> Grid:
    """Return the finals, best mean first: mean and difference to the reference with intervals, p (Holm), verdict."""
    sign = -1 if finals.direction == "minimize" else 1
    rows = sorted(finals.rows, key=lambda row: -sign * row.mean)
    test = ("function", "role", "mean", "low", "high", "difference", "diff_low", "diff_high", "p_holm", "verdict")
    header = (*test, "search_score", "fresh_score", "lr_factor", "n_diverged")
    formats = ("", "", ".4f", ".4f", ".4f", "+.4f", "+.4f", "+.4f", ".3g", "", "+.2f", "+.2f", "g", "")
    return Grid(header, tuple(_final(row, finals.reference) for row in rows), formats)


def _final(row: ComparisonRow, reference: str) -> tuple[Any, ...]:
    verdict = "reference" if row.spec == reference else row.verdict
    difference = (row.difference, row.difference_low, row.difference_high, row.p_holm)
    scores = (row.search_score, row.fresh_score, row.learning_rate_factor, row.n_diverged)
    return (row.spec, row.role, row.mean, row.low, row.high, *difference, verdict, *scores)


def short_comparison(finals: Comparison) -> Grid:
    """Return the finals in columns that fit a terminal: mean, difference [interval], verdict, function."""
    full = comparison(finals)
    lines = [_short(dict(zip(full.header, row, strict=True))) for row in full.rows]
    return Grid(("mean", "difference", "p (Holm)", "verdict", "function"), tuple(lines), (".4f", "", ".2g", "", ""))


def _short(row: dict[str, Any]) -> tuple[Any, ...]:
    difference = interval(row["difference"], row["diff_low"], row["diff_high"], "+.3f")
    return row["mean"], difference, row["p_holm"], row["verdict"], row["function"]


def interval(value: float | None, low: float | None, high: float | None, spec: str) -> str:
    """Return ``value [low, high]``, or an empty string where there is none.

    Example:
        >>> interval(0.5, 0.4, 0.6, ".2f"), interval(None, None, None, ".2f")
        ('0.50 [0.40, 0.60]', '')
    """
    if value is None:
        return ""
    if low is None or high is None:
        return f"{value:{spec}}"
    return f"{value:{spec}} [{low:{spec}}, {high:{spec}}]"
