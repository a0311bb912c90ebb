from __future__ import annotations

import numpy as np
import optuna

from actsearch.report.records import baselines, counts, ranked, record, records

from . import fakes


def test_a_trial_becomes_a_record() -> None:
    study = optuna.create_study(study_name="one")
    stored = fakes.attributes("relu", 0.6, np.random.default_rng(0), "finished", role="panel", replicate=2)
    row = record(fakes.add(study, 1.5, stored))
    assert (row.text, row.outcome, row.score, row.role, row.replicate) == ("relu", "finished", 1.5, "panel", 2)
    assert set(row.scores) == set(row.curves) == set(fakes.CELLS)
    assert row.curves[fakes.CELLS[0]].steps == fakes.RUNGS


def test_a_missing_value_in_a_curve_is_nan() -> None:
    study = optuna.create_study()
    curves = {"toy/mlp": {"steps": [1, 2], "metric": [0.5, None]}}
    row = record(fakes.add(study, 0.0, {"expr": "x", "outcome": "diverged", "curves": curves}))
    assert row.curves["toy/mlp"].metric[0] == 0.5
    assert np.isnan(row.curves["toy/mlp"].metric[1])


def test_running_and_retried_trials_are_left_out() -> None:
    study = optuna.create_study()
    first = fakes.add(study, None, {"expr": "x", "outcome": "failed", "reason": "interrupted"})
    fakes.add(study, 1.0, {"expr": "x", "outcome": "finished", "retry_of": first.number})
    study.ask()
    assert [(row.number, row.outcome) for row in records(study.trials)] == [(1, "finished")]


def test_ranking_holds_finished_candidates_only_best_first() -> None:
    rows = records(fakes.run().study.trials)
    best = ranked(rows)
    assert {row.outcome for row in best} == {"finished"}
    assert [row.score for row in best] == sorted((row.score for row in best), reverse=True)
    assert sum(counts(rows).values()) == len(rows)
    assert counts(rows)["duplicate"] > 0


def test_baselines_are_means_over_replicates_without_the_null_control() -> None:
    found = baselines(records(fakes.run().panel_study.trials))
    assert {row.text for row in found} == set(fakes.PANEL)
    assert {row.n_replicates for row in found} == {3}
    assert found[0].text == "silu"


def test_baselines_without_scores_are_ordered_by_their_metric() -> None:
    study = optuna.create_study()
    for text, metric in (("relu", 0.5), ("gelu", 0.7)):
        fakes.add(study, 0.0, {"expr": text, "outcome": "finished", "role": "panel", "scores": {"toy/mlp": metric}})
    rows = [row.__class__(**{**vars(row), "score": None}) for row in records(study.trials)]
    assert [row.text for row in baselines(rows)] == ["gelu", "relu"]
