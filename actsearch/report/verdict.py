"""What a study showed, in sentences that say no more than the numbers allow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from actsearch.report.records import Record
from actsearch.report.tables import interval


def verdict(finals: Any) -> str:
    """Return one sentence: did the best finalist beat the reference, by how much, out of how many tried.

    Args:
        finals: a ``Comparison``. The finalist with the best mean is spoken of.
    """
    finalists = [row for row in finals.rows if row.role == "finalist" and row.spec != finals.reference]
    if not finalists:
        return "No candidate reached the finals, so nothing can be said about any."
    sign = -1 if finals.direction == "minimize" else 1
    row = max(finalists, key=lambda row: sign * row.mean)
    measured = interval(row.difference, row.difference_low, row.difference_high, "+.4f")
    n = finals.n_replicates
    basis = f"{measured} {metric_words(finals.metric)}, {_replicates(n)}{_holm(row.p_holm)}"
    if row.verdict == "better":
        return f"Better: {row.spec} beats {finals.reference}, the best of the panel: {basis}."
    if row.verdict == "worse":
        return f"Worse: {row.spec} is behind {finals.reference}, the best of the panel: {basis}."
    return f"Not shown: that {row.spec} is better than {finals.reference}, the best of the panel: {basis}."


def caveats(finals: Any, panel: Iterable[Record] = ()) -> list[str]:
    """Return the sentences that belong beside a verdict: how many were tried, what luck does, what n could show."""
    lines = [f"Tried: {finals.n_tried} distinct candidates were trained to find the finalists."]
    control = luck(panel)
    if control:
        lines.append(control)
    if finals.smallest_difference is not None:
        smallest = f"{finals.smallest_difference:.4f} {metric_words(finals.metric)}"
        lines.append(f"Smallest difference that {_replicates(finals.n_replicates)} could show: {smallest}.")
    return lines


def luck(panel: Iterable[Record]) -> str:
    """Return the null control's sentence: how high copies of one baseline rise under other seeds alone."""
    copies = [row for row in panel if row.role == "null_control" and row.score is not None]
    if not copies:
        return ""
    best = max(row.score or 0.0 for row in copies)
    return (
        f"Null control: of {len(copies)} copies of {copies[0].text} under other seeds the luckiest scored {best:+.2f}: "
        "a search score near that needs no better function, only luck."
    )


def metric_words(metric: str) -> str:
    """Return a metric's name as words.

    Example:
        >>> metric_words("test_accuracy")
        'test accuracy'
    """
    return metric.replace("_", " ").replace("/", " ")


def _replicates(n: int) -> str:
    return f"{n} replicate{'' if n == 1 else 's'}"


def _holm(p: float | None) -> str:
    return "" if p is None else f", Holm-adjusted p = {p:.2g}"
