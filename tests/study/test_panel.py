"""The panel and the null control: fitted first, stored, never fitted again."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from search_helpers import small_search

from actsearch.study.panel import NULL_REPLICATES, PANEL, panel_fits


def test_panel_and_null_control_use_replicates_of_their_own() -> None:
    wanted = panel_fits(PANEL, 3, 4, normalise=True)
    assert {fits.replicate for fits in wanted if fits.role == "panel"} == {0, 1, 2}
    copies = [fits for fits in wanted if fits.role == "null_control"]
    assert [fits.replicate for fits in copies] == list(range(NULL_REPLICATES, NULL_REPLICATES + 4))
    assert {fits.function.spec for fits in copies} == {"relu"}
    assert len({fits.key for fits in wanted}) == len(wanted) == 34


def test_scores_of_the_panel_are_around_zero_and_those_of_the_null_control_are_luck(tmp_path: Path) -> None:
    result = small_search(tmp_path, n_trials=1, panel=("relu", "tanh", "softplus"), n_null_control=3)
    trials = result.panel_study.get_trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    means = [
        statistics.fmean(t.value for t in trials if t.user_attrs["expr"] == name and t.user_attrs["role"] == "panel")
        for name in ("relu", "tanh", "softplus")
    ]
    assert statistics.median(means) == pytest.approx(0, abs=1e-9)
    assert len(result.null_scores) == 3
    assert len(set(result.null_scores)) > 1
    assert result.panel_study.user_attrs["cell_order"] == ["toy/mlp"]


def test_a_panel_that_was_cut_goes_on_where_it_was(tmp_path: Path) -> None:
    def interrupt(study: optuna.Study, trial: Any) -> None:
        if study.study_name.endswith("/panel") and trial.number == 1:
            raise KeyboardInterrupt

    stopped = small_search(tmp_path, callbacks=[interrupt])
    assert stopped.interrupted
    assert len(stopped.panel_study.get_trials()) == 2
    told: list[int] = []
    result = small_search(
        tmp_path, callbacks=[lambda study, trial: told.append(trial.number) if "panel" in study.study_name else None]
    )
    assert told == [2]
    assert [trial.state for trial in result.panel_study.get_trials()] == [TrialState.COMPLETE] * 3
    assert not result.interrupted
