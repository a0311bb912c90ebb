"""What a study showed, in sentences that say no more than the numbers allow."""

from __future__ import annotations

from actsearch.report.tables import interval
from actsearch.study.comparison import Comparison, ComparisonRow
from actsearch.study.luck import Luck, luck
from actsearch.study.result import StudyResult


def verdict(finals: Comparison | None) -> str:
    """Return one sentence: did the best finalist beat the reference, and by how much.

    The finalist that is best on validation is spoken of, never the one that looks best on the test split.
    """
    row = finals.best if finals is not None else None
    if finals is None or row is None:
        return "No finals were held, so nothing can be said about any candidate."
    basis = _basis(finals, row)
    if row.verdict == "better":
        return f"Better: {row.spec} beats {finals.reference}: {basis}."
    if row.verdict == "worse":
        return f"Worse: {row.spec} is behind {finals.reference}: {basis}."
    if row.verdict == "reference":
        return f"{row.spec} is itself what the others are compared with."
    return f"Not shown: no difference of {row.spec} to {finals.reference} stands out of the noise: {basis}."


def _basis(finals: Comparison, row: ComparisonRow) -> str:
    measured = interval(row.difference, row.difference_low, row.difference_high, "+.4f")
    holm = "" if row.p_holm is None else f", p = {row.p_holm:.2g} (Holm)"
    return f"{measured} {metric_words(finals.metric)}, {_replicates(finals.n_replicates)}{holm}"


def caveats(finals: Comparison, result: StudyResult | None = None) -> list[str]:
    """Return the sentences that belong beside a verdict.

    How many were tried, what luck alone does, what the search score was worth, and what this n could have shown.
    """
    lines = [f"{finals.reference} is the baseline that was best on validation; the test split chose nothing."]
    if result is not None:
        lines.append(f"Tried: {finals.n_tried} distinct functions were trained to find the finalists.")
        lines += [line for line in (luck_sentence(result), _fresh(finals.best)) if line]
    if finals.smallest_difference is not None:
        smallest = f"{finals.smallest_difference:.4f} {metric_words(finals.metric)}"
        lines.append(f"Smallest difference that {_replicates(finals.n_replicates)} would likely show: {smallest}.")
    return lines


def luck_sentence(result: StudyResult) -> str:
    """Return the null control's sentence: how high the best of as many copies of relu would score."""
    chance, rows = study_luck(result), result.leaderboard(1)
    if chance is None or not rows:
        return ""
    expected = interval(chance.best, chance.low, chance.high, "+.2f")
    above = "above" if rows[0].score > chance.high else "not above"
    return (
        f"Luck: the best of {chance.n_tried} copies of relu would score {expected} by seeds alone (null control); the "
        f"best search score, {rows[0].score:+.2f}, is {above} that."
    )


def study_luck(result: StudyResult) -> Luck | None:
    """Return what luck alone does to the best of as many as were trained; None with fewer than two copies."""
    scores = result.null_scores
    return luck(scores, result.n_trained) if len(scores) >= 2 and result.n_trained else None


def _fresh(row: ComparisonRow | None) -> str:
    if row is None or row.search_score is None or row.fresh_score is None:
        return ""
    return f"Search score of {row.spec}: {row.search_score:+.2f}; under fresh seeds and data: {row.fresh_score:+.2f}."


def metric_words(metric: str) -> str:
    """Return a metric's name as words.

    Example:
        >>> metric_words("test_accuracy")
        'test accuracy'
    """
    return metric.replace("_", " ").replace("/", " ")


def _replicates(n: int) -> str:
    return f"{n} replicate{'' if n == 1 else 's'}"
