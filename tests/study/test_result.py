"""Results read back from a storage."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
import torch
from search_helpers import WHOLE, small_search

from actsearch.errors import StorageError, StudyError
from actsearch.study.panel import members
from actsearch.study.result import StudyResult, load_result, ranked


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    return small_search(tmp_path_factory.mktemp("result"), **WHOLE)


def test_the_leaderboard_is_sorted_and_complete(ran: StudyResult) -> None:
    rows = ran.leaderboard()
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
    assert [row.score for row in rows] == sorted((row.score for row in rows), reverse=True)
    assert len(rows) == ran.outcomes["finished"]
    assert ran.leaderboard(1) == rows[:1]
    assert all(row.baseline in ("", "relu", "tanh") for row in rows)


def test_pruned_candidates_rank_behind_finished_ones(ran: StudyResult) -> None:
    states = [trial.state.name for trial in ranked(ran.study)]
    assert states == sorted(states)
    assert len(states) == ran.outcomes["finished"] + ran.n_pruned


def test_a_finalist_is_no_baseline_and_the_best_is_a_finalist(ran: StudyResult) -> None:
    assert ran.finals is not None
    finalists = [row.spec for row in ran.finals.rows if row.role == "finalist"]
    marks = {trial.user_attrs["expr"]: trial.user_attrs["fingerprint"] for trial in ran.study.get_trials()}
    assert not {marks[spec] for spec in finalists} & set(members(ran.panel_study))
    assert finalists == [ran.best]
    assert ran.finals.n_tried == ran.n_trained


def test_the_best_activation_is_a_module_with_the_formula_of_the_search(ran: StudyResult) -> None:
    values = ran.best_activation()(torch.randn(200_000, generator=torch.Generator().manual_seed(0)))
    assert values.mean().item() == pytest.approx(0, abs=0.02)
    assert values.std().item() == pytest.approx(1, abs=0.02)


def test_a_result_is_read_back_as_it_was(ran: StudyResult) -> None:
    loaded = load_result(ran.storage)
    assert loaded.leaderboard() == ran.leaderboard()
    assert loaded.finals == ran.finals
    assert (loaded.name, loaded.best, loaded.outcomes, loaded.config) == (ran.name, ran.best, ran.outcomes, ran.config)
    assert loaded.null_scores == ran.null_scores
    assert loaded.seconds > 0
    assert load_result(ran.storage, ran.name).best == ran.best


def test_what_is_not_there_is_named(ran: StudyResult, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"no study 'smal'; did you mean 'small'.*study.journal: small"):
        load_result(ran.storage, "smal")
    with pytest.raises(StorageError, match="there is no storage"):
        load_result(tmp_path / "none.journal")
    storage = optuna.storages.InMemoryStorage()
    with pytest.raises(StudyError, match=r"name one study \(in the storage: none\)"):
        load_result(storage)
