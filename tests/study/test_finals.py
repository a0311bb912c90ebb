"""The finals: who meets whom, on what, and what may be said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState, create_trial
from search_helpers import WHOLE, small_search

from actsearch.errors import ExprError, StudyError
from actsearch.study.comparison import summarise
from actsearch.study.finals import FINAL_REPLICATES, TUNING_REPLICATES, compare
from actsearch.study.result import ranked
from actsearch.study.samplers.surrogate import Surrogate
from actsearch.study.studies import open_study

QUICK: dict[str, Any] = {"n_workers": 0, "panel": ("relu",), "n_replicates": 2}


class Jobs:
    """Counts the fits that open the test split, and what every fit was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import actsearch.tasks.fit as module

        self.jobs: list[Any] = []
        fit = module.fit

        def recording(job: Any, **settings: Any) -> Any:
            self.jobs.append(job)
            return fit(job, **settings)

        monkeypatch.setattr(module, "fit", recording)


def _study(tests: dict[tuple[str, str], Any], validations: dict[str, float], reference: str | None = None) -> Any:
    """Return a finals study that holds given test metrics, one array a (function, role)."""
    study = open_study("x/finals", InMemoryStorage())
    facts = {"direction": "maximize", "metric": "test_accuracy", "reference": reference, "scored": True}
    for key, value in facts.items():
        study.set_user_attr(key, value)
    for (spec, role), values in tests.items():
        for replicate, value in enumerate(values):
            attributes = {"expr": spec, "role": role, "stage": "final", "outcome": "finished", "replicate": replicate}
            attributes |= {"test": {"c": value}, "scores": {"c": validations[spec]}, "learning_rate_factor": 1.0}
            trial = create_trial(state=TrialState.COMPLETE, value=validations[spec], user_attrs=attributes)
            study.add_trial(trial)
    return study


def _noise(n: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(scale=0.01, size=n)


def test_every_function_is_tuned_alike_and_opens_the_test_split_once_a_replicate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = Jobs(monkeypatch).jobs
    comparison = compare(["tanh", "x"], "toy", learning_rate_factors=(1.0, 3.0), **QUICK)
    tuning = {(j.spec, j.replicate, j.learning_rate_factor) for j in jobs if not j.test}
    assert tuning == {(s, TUNING_REPLICATES, f) for s in ("tanh", "x", "relu") for f in (1.0, 3.0)}
    final = [(job.spec, job.replicate) for job in jobs if job.test]
    expected = [(s, FINAL_REPLICATES + r) for s in ("tanh", "x", "relu") for r in range(2)]
    assert sorted(final) == sorted(expected)
    assert len(jobs) == len(tuning) + len(final)
    assert all(job.fresh_data for job in jobs)
    for row in comparison.rows:
        factors = {job.learning_rate_factor for job in jobs if job.test and job.spec == row.spec}
        assert factors == {row.learning_rate_factor}
    assert [row.role for row in comparison.rows] == ["finalist", "finalist", "panel"]
    assert {row.verdict for row in comparison.rows} <= {"reference", "not shown"}  # two replicates show nothing


def test_the_learning_rate_is_the_best_on_validation() -> None:
    slow = compare(["tanh"], "toy", learning_rate_factors=(1e-6, 1.0), **QUICK)
    assert {row.learning_rate_factor for row in slow.rows} == {1.0}


def test_a_comparison_that_was_cut_continues_in_its_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(study: optuna.Study, trial: Any) -> None:
        if len(study.get_trials()) == 3:
            raise KeyboardInterrupt

    settings = QUICK | {"storage": tmp_path / "c.journal", "learning_rate_factors": (1.0,)}
    with pytest.raises(KeyboardInterrupt):
        compare(["tanh"], "toy", callbacks=[interrupt], **settings)
    jobs = Jobs(monkeypatch).jobs
    continued = compare(["tanh"], "toy", **settings)
    assert len(jobs) == 1
    assert continued == compare(["tanh"], "toy", **settings)
    assert len(jobs) == 1
    assert continued == compare(["tanh"], "toy", **QUICK | {"learning_rate_factors": (1.0,)})


def test_finalists_are_those_that_the_surrogate_expects_most_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worst_first(self: Surrogate, study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
        return list(reversed(ranked(study)))

    monkeypatch.setattr(Surrogate, "expected_order", worst_first)
    settings = WHOLE | {"sampler": "surrogate", "pruner": "none", "panel": ("tanh",), "n_null_control": 0}
    ran = small_search(tmp_path, **settings)
    (finalist,) = [row.spec for row in ran.finals.rows if row.role == "finalist"]
    assert finalist == ran.leaderboard()[-1].expr


def test_a_larger_search_brings_new_finalists_to_those_that_were_tested(tmp_path: Path) -> None:
    settings = WHOLE | {"learning_rate_factors": (1.0,), "pruner": "none", "panel": ("softplus",), "n_null_control": 0}
    first = small_search(tmp_path, **settings | {"n_trials": 2})
    later = small_search(tmp_path, **settings | {"n_trials": 5, "finalists": 2})
    assert first.finals is not None
    assert later.finals is not None
    before = {row.spec for row in first.finals.rows}
    assert before <= {row.spec for row in later.finals.rows}
    assert {row.expr for row in later.leaderboard(2)} <= {row.spec for row in later.finals.rows}
    for row in first.finals.rows:
        assert later.finals.row(row.spec).per_replicate == row.per_replicate


def test_the_reference_is_the_baseline_that_is_best_on_validation_not_on_test() -> None:
    n = 8
    tests = {("f", "finalist"): 0.8 + _noise(n, 0), ("a", "panel"): 0.7 + _noise(n, 1), ("b", "panel"): [0.9] * n}
    study = _study(tests, {"f": 0.85, "a": 0.8, "b": 0.6})
    comparison = summarise(study, 100, {"f": 3.0})
    assert comparison is not None
    assert (comparison.reference, comparison.n_tried, comparison.n_replicates) == ("a", 100, n)
    assert comparison.row("f").verdict == "better"
    assert comparison.row("f").search_score == 3.0
    assert comparison.row("f").fresh_score == pytest.approx(0.85)
    assert comparison.row("a").verdict == "reference"
    assert comparison.row("a").p_value is None
    named = summarise(_study(tests, {"f": 0.85, "a": 0.8, "b": 0.6}, "b"), 100, {})
    assert named is not None
    assert (named.reference, named.row("f").verdict) == ("b", "worse")


def test_below_eight_replicates_nothing_is_better() -> None:
    for n, verdict in ((7, "not shown"), (8, "better")):
        tests = {("f", "finalist"): 0.9 + _noise(n, 0), ("a", "panel"): 0.5 + _noise(n, 1)}
        comparison = summarise(_study(tests, {"f": 0.9, "a": 0.5}), 9, {})
        assert comparison is not None
        assert comparison.row("f").verdict == verdict


def test_p_values_are_adjusted_over_the_finalists() -> None:
    rng = np.random.default_rng(3)
    base = rng.normal(0.5, 0.02, size=8)
    tests: dict[tuple[str, str], Any] = {(f"f{i}", "finalist"): base + rng.normal(0.01, 0.01, 8) for i in range(4)}
    tests[("a", "panel")] = base
    comparison = summarise(_study(tests, dict.fromkeys(("f0", "f1", "f2", "f3", "a"), 0.5)), 9, {})
    assert comparison is not None
    rows = sorted((row for row in comparison.rows if row.p_value is not None), key=lambda row: row.p_value or 0)
    assert rows[0].p_holm == pytest.approx(min(1.0, 4 * (rows[0].p_value or 0)))
    assert comparison.smallest_difference is not None
    assert comparison.smallest_difference > 0


def test_the_best_finalist_is_chosen_on_validation() -> None:
    tests = {("f", "finalist"): [0.9, 0.8], ("g", "finalist"): [0.7, 0.6], ("a", "panel"): [0.5, 0.5]}
    comparison = summarise(_study(tests, {"f": 0.6, "g": 0.7, "a": 0.9}), 9, {})
    assert comparison is not None
    assert comparison.best is not None
    assert comparison.best.spec == "g"
    with pytest.raises(StudyError, match="'h' is not in the finals"):
        comparison.row("h")


def test_a_diverged_final_fit_counts_as_the_worst_where_chance_is_unknown() -> None:
    study = _study({("f", "finalist"): [0.9, None], ("a", "panel"): [0.5, 0.4]}, {"f": 0.6, "a": 0.9})
    comparison = summarise(study, 9, {})
    assert comparison is not None
    assert comparison.row("f").per_replicate == (0.9, 0.4)


@pytest.mark.parametrize(
    ("specs", "settings", "error", "message"),
    [
        ([], {"panel": ()}, StudyError, "not among the functions"),
        (["tanh"], {"reference": "gelu"}, StudyError, "'gelu' is not among .*: tanh, relu"),
        (["tanhh"], {}, ExprError, "did you mean 'tanh'"),
        (["tanh"], {"n_replicates": 1}, StudyError, "at least 2 replicates"),
    ],
)
def test_bad_comparisons_are_one_sentence(specs: Any, settings: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        compare(specs, "toy", **QUICK | settings)
