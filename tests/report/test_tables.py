from __future__ import annotations

import csv
import io

import pytest

from actsearch.report import tables
from actsearch.report.grid import Grid
from actsearch.report.records import baselines, records
from actsearch.report.summary import lines
from actsearch.report.verdict import caveats, luck_sentence, verdict
from actsearch.study.result import StudyResult

from . import fakes


def test_csv_keeps_every_digit_and_markdown_rounds(result: StudyResult) -> None:
    board = tables.leaderboard(records(result.study.trials))
    read = list(csv.DictReader(io.StringIO(board.csv())))
    assert [float(row["score"]) for row in read] == [row.score for row in result.leaderboard()]
    assert [row["function"] for row in read] == [row.expr for row in result.leaderboard()]
    assert f"| {result.leaderboard(1)[0].score:+.2f} |" in board.markdown()


def test_the_best_baseline_stands_at_its_place(result: StudyResult) -> None:
    best = baselines(records(result.panel_study.trials))[0]
    board = tables.leaderboard(records(result.study.trials), best)
    scores = [row[1] for row in board.rows]
    assert scores == sorted(scores, reverse=True)
    assert sum(row[0] == "panel" for row in board.rows) == 1


def test_text_tables_fit_80_columns(result: StudyResult) -> None:
    assert result.finals is not None
    grids = [tables.leaderboard(records(result.study.trials)), tables.short_comparison(result.finals)]
    assert all(len(line) <= 80 for grid in grids for line in grid.text().splitlines())


def test_a_bar_in_a_formula_does_not_break_a_markdown_table() -> None:
    text = Grid(("function",), (("a|b",),), ("",)).markdown()
    assert text.splitlines()[-1] == "| `a\\|b` |"


def test_comparison_has_difference_interval_and_verdict_for_all_but_the_reference(result: StudyResult) -> None:
    assert result.finals is not None
    grid = tables.comparison(result.finals)
    by_name = {row[0]: dict(zip(grid.header, row, strict=True)) for row in grid.rows}
    assert by_name["silu"]["verdict"] == "reference"
    assert by_name["silu"]["difference"] is None
    assert all(row["diff_low"] < row["difference"] < row["diff_high"] for n, row in by_name.items() if n != "silu")
    means = [row[2] for row in grid.rows]
    assert means == sorted(means, reverse=True)


def test_every_trial_is_in_the_table_of_trials(result: StudyResult) -> None:
    grid = tables.trials(records(result.study.trials))
    assert len(grid.rows) == 40
    assert {row[1] for row in grid.rows} >= {"finished", "pruned", "duplicate", "rejected", "diverged"}


@pytest.mark.parametrize(
    ("stored", "begins"), [("better", "Better:"), ("not shown", "Not shown:"), ("worse", "Worse:")]
)
def test_the_verdict_is_the_stored_one_in_words(stored: str, begins: str) -> None:
    sentence = verdict(fakes.comparison(stored))
    assert sentence.startswith(begins)
    assert "8 replicates" in sentence
    assert "silu" in sentence


def test_the_verdict_speaks_of_the_best_on_validation_not_on_the_test_split() -> None:
    finals = fakes.comparison()
    best_on_test = max((row for row in finals.rows if row.role == "finalist"), key=lambda row: row.mean)
    assert best_on_test.spec != fakes.CANDIDATES[0]
    assert fakes.CANDIDATES[0] in verdict(finals)
    assert best_on_test.spec not in verdict(finals)


def test_without_finals_nothing_is_claimed() -> None:
    assert verdict(None).startswith("No finals")


def test_caveats_tell_how_many_were_tried_luck_fresh_score_and_smallest_difference(result: StudyResult) -> None:
    assert result.finals is not None
    text = "\n".join(caveats(result.finals, result))
    assert "Tried: 100 distinct functions" in text
    assert "null control" in text
    assert "+4.10; under fresh seeds and data: +2.50" in text
    assert "0.0110 test accuracy" in text


def test_luck_compares_the_best_with_the_best_of_as_many_copies(result: StudyResult) -> None:
    sentence = luck_sentence(result)
    assert f"the best of {result.n_trained} copies of relu" in sentence
    assert f"{result.leaderboard(1)[0].score:+.2f}, is above that" in sentence


def test_what_the_terminal_gets_has_title_counts_tables_and_verdict(result: StudyResult) -> None:
    text = "\n".join(lines(result, 5))
    assert "distinct functions trained" in text
    assert "On the test split:" in text
    assert "Not shown:" in text
    assert "panel" in text
