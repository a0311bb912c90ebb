"""Whole searches on ``toy``: what is counted, dropped, stored and told."""

from __future__ import annotations

import logging
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from search_helpers import SMALL, WHOLE, facts, small_search, write_space
from threadpoolctl import threadpool_info, threadpool_limits

from actsearch.errors import SpaceError, StudyError
from actsearch.study.search import search
from actsearch.tasks.load import load_task


class Recorder:
    """Keeps what a callback is told."""

    def __init__(self) -> None:
        self.started: list[Any] = []
        self.trials: list[tuple[str, int, str]] = []
        self.closed: list[Any] = []

    def start(self, study: optuna.Study, config: Any) -> None:
        self.started.append((study.study_name, config["n_trials"]))

    def __call__(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        self.trials.append((study.study_name, trial.number, trial.user_attrs["outcome"]))

    def close(self, result: Any) -> None:
        self.closed.append(result)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """One small search, for the tests that only look."""
    folder, recorder = tmp_path_factory.mktemp("search"), Recorder()
    result = small_search(folder, callbacks=[recorder], **WHOLE | {"n_trials": 8})
    return SimpleNamespace(folder=folder, result=result, recorder=recorder)


def test_n_trials_counts_distinct_functions_that_were_trained(ran: SimpleNamespace) -> None:
    trials = ran.result.study.get_trials()
    trained = [t for t in trials if t.user_attrs["outcome"] in ("finished", "pruned", "diverged", "failed")]
    assert ran.result.n_trained == len(trained) == 8
    assert len({t.user_attrs["fingerprint"] for t in trained}) == 8
    assert len(trials) == 8 + ran.result.n_duplicates + ran.result.n_rejected
    assert ran.result.n_tried == 8 + ran.result.n_rejected


def test_a_duplicate_has_the_value_and_the_state_of_the_first_trial(ran: SimpleNamespace) -> None:
    trials = ran.result.study.get_trials()
    duplicates = [t for t in trials if t.user_attrs["outcome"] == "duplicate"]
    assert duplicates
    for trial in duplicates:
        first = trials[trial.user_attrs["duplicate_of"]]
        assert first.user_attrs["outcome"] != "duplicate"
        assert (trial.value, trial.state, trial.intermediate_values) == (
            first.value,
            first.state,
            first.intermediate_values,
        )


def test_rejected_candidates_are_complete_at_chance_level_with_a_reason(ran: SimpleNamespace) -> None:
    rejected = [t for t in ran.result.study.get_trials() if t.user_attrs["outcome"] == "rejected"]
    assert rejected
    for trial in rejected:
        assert trial.state == TrialState.COMPLETE
        assert trial.user_attrs["reason"] in ("not finite", "constant")
        assert "curves" not in trial.user_attrs
        assert trial.value < min(ran.result.null_scores)


def test_every_trial_carries_what_the_report_reads(ran: SimpleNamespace) -> None:
    for trial in ran.result.study.get_trials():
        if trial.user_attrs["outcome"] in ("finished", "pruned"):
            stored = trial.user_attrs
            curve = stored["curves"]["toy/mlp"]
            assert curve["steps"] == [5, 10][: len(curve["steps"])]
            assert len(curve["steps"]) == len(curve["metric"]) == len(curve["val_loss"]) == len(curve["train_loss"])
            assert stored["scores"] == {"toy/mlp": curve["metric"][-1]}
            assert stored["seconds"] > 0
            assert stored["n_parameters"] > 0
            assert stored["version"]
            assert (len(curve["steps"]) == 2) == (stored["outcome"] == "finished") == (trial.state.name == "COMPLETE")
            assert sorted(trial.intermediate_values) == [1, 3][: len(curve["steps"])]  # reduction_factor ** report
    config = ran.result.study.user_attrs["config"]
    assert (config["space"], config["cells"]) == ("tiny", {"toy/mlp": [5, 10]})
    assert ran.result.study.user_attrs["phase"] == "done"
    assert ran.result.study.user_attrs["digest"] == config["space_digest"]


def test_callbacks_hear_of_every_phase(ran: SimpleNamespace) -> None:
    recorder, result = ran.recorder, ran.result
    assert recorder.started == [("small", 8)]
    assert recorder.closed == [result]
    told = [name for name, _, _ in recorder.trials]
    assert told == sorted(told, key=["small/panel", "small", "small/finals"].index)
    assert told.count("small/panel") == result.panel_study.user_attrs["n_planned"] == 2 * 3 + 2
    assert told.count("small") == len(result.study.get_trials())
    assert told.count("small/finals") == 3 * (2 + 2)  # a finalist and the panel; two factors, two replicates


def test_no_training_state_is_left_behind(ran: SimpleNamespace) -> None:
    assert [path.name for path in ran.folder.iterdir()] == ["study.journal"]


def test_a_score_depends_neither_on_workers_nor_on_order(ran: SimpleNamespace, tmp_path: Path) -> None:
    settings = WHOLE | {"n_trials": 8, "finalists": 0, "pruner": "none", "n_workers": 2}
    parallel = {t.user_attrs["expr"]: t for t in small_search(tmp_path, **settings).study.get_trials()}
    serial = [t for t in ran.result.study.get_trials() if t.user_attrs["outcome"] == "finished"]
    assert serial
    for trial in serial:
        there = parallel[trial.user_attrs["expr"]]
        assert (there.value, there.intermediate_values) == (trial.value, trial.intermediate_values)  # to the bit


def test_two_forms_of_a_function_are_one_also_while_the_first_still_runs(tmp_path: Path) -> None:
    space = write_space(tmp_path, "x*sigmoid(x)", "x/(1 + exp(-x))", "2*silu(x) + 1", "tanh(x)")
    result = small_search(tmp_path, space, n_trials=4, sampler="exhaustive")
    assert result.n_trained == 2
    assert result.n_duplicates == 2  # normalised, the third is the same function too
    assert "all 4 candidates" in result.stopped
    plain = small_search(tmp_path, space, n_trials=4, sampler="exhaustive", normalise=False, name="plain")
    assert (plain.n_trained, plain.n_duplicates) == (3, 1)


def test_an_exhausted_space_ends_the_search_and_says_so(tmp_path: Path) -> None:
    result = small_search(tmp_path, write_space(tmp_path, "x", "tanh(x)", "sqrt(x)"), n_trials=50)
    assert result.n_trained == 2
    assert result.stopped.startswith("all 3 candidates of 'given' have been tried: 2 distinct functions trained of the")


def test_a_search_in_which_everything_is_rejected_ends_well(tmp_path: Path) -> None:
    result = small_search(tmp_path, write_space(tmp_path, "sqrt(x)", "log(x)", "exp(exp(x))"))
    assert (result.n_trained, result.n_rejected, result.leaderboard(), result.finals) == (0, 3, [], None)
    with pytest.raises(StudyError, match=r"no best candidate: all 3 candidates .* 3 rejected"):
        _ = result.best


def test_zero_trials_fit_nothing(tmp_path: Path) -> None:
    result = small_search(tmp_path, n_trials=0)
    assert (result.n_tried, result.panel_study.get_trials(), result.finals) == (0, [], None)
    assert "n_trials is 0" in result.stopped


def test_a_sampler_that_repeats_itself_does_not_end_the_search(tmp_path: Path) -> None:
    class Stubborn(optuna.samplers.RandomSampler):
        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return distribution.choices[0]

    result = small_search(tmp_path, sampler=Stubborn(), n_trials=3)
    assert result.n_trained == 3
    assert result.stopped == ""


def test_a_failing_callback_is_told_once_and_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def broken(study: Any, trial: Any) -> None:
        raise RuntimeError("no network")

    recorder = Recorder()
    with caplog.at_level(logging.WARNING):
        result = small_search(tmp_path, n_trials=2, callbacks=[broken, recorder])
    assert result.n_trained == 2
    assert sum("no network" in record.getMessage() for record in caplog.records) == 1
    assert recorder.closed == [result]


@pytest.mark.parametrize("way", ["signal", "callback"])
def test_ctrl_c_ends_cleanly_and_the_same_call_continues(way: str, tmp_path: Path) -> None:
    def interrupt(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if study.study_name == "small" and trial.user_attrs["outcome"] in ("finished", "pruned"):
            if way == "callback":
                raise KeyboardInterrupt
            signal.raise_signal(signal.SIGINT)

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    stopped = small_search(tmp_path, callbacks=[interrupt])
    assert stopped.interrupted
    assert 0 < stopped.n_trained < SMALL["n_trials"]
    assert not stopped.study.get_trials(states=[TrialState.RUNNING])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, previous)
    result = small_search(tmp_path)
    assert (result.interrupted, result.n_trained) == (False, SMALL["n_trials"])
    before = [trial for trial in facts(stopped.study.get_trials()) if trial[1] in ("finished", "pruned")]
    assert set(before) <= set(facts(result.study.get_trials()))


def test_a_candidate_whose_fit_crashes_is_failed_and_a_task_that_always_does_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import actsearch.tasks.fit as module

    fit = module.fit

    def crashing(job: Any, **settings: Any) -> Any:
        if "tanh" not in job.spec and "relu" not in job.spec and "sigmoid" in job.spec:
            raise RuntimeError("singular")
        return fit(job, **settings)

    monkeypatch.setattr(module, "fit", crashing)
    result = small_search(tmp_path, write_space(tmp_path, "sigmoid(x)", "x", "x**2"), n_trials=9)
    (failed,) = [t for t in result.study.get_trials() if t.user_attrs["outcome"] == "failed"]
    assert (failed.state, failed.user_attrs["reason"]) == (TrialState.FAIL, "RuntimeError: singular")
    many = write_space(tmp_path, *(f"sigmoid({n}*x)" for n in range(1, 9)))
    recorder = Recorder()
    with pytest.raises(StudyError, match="5 candidates in a row could not be fitted: RuntimeError: singular"):
        small_search(tmp_path, many, n_trials=9, name="all", normalise=False, callbacks=[recorder])
    assert recorder.closed == [None]


def test_a_panel_that_cannot_be_fitted_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crashing(job: Any, **settings: Any) -> Any:
        raise RuntimeError("no such column")

    monkeypatch.setattr("actsearch.tasks.fit.fit", crashing)
    with pytest.raises(StudyError, match=r"no baseline of the panel could be fitted on toy/mlp: .*no such column"):
        small_search(tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_trials": -1}, "n_trials=-1"),
        ({"n_trials": -1, "n_panel_replicates": 2}, r"n_trials=-1 .*; n_panel_replicates=2 \(a whole number from 3\)"),
        ({"panel": ()}, "panel="),
        ({"rungs": (0.5,)}, "rungs="),
        ({"pruner": "halfing"}, "did you mean 'halving'"),
        ({"sampler": "tpee"}, "did you mean 'tpe'"),
        ({"name": "a/b"}, "no slash"),
        ({"learning_rate_factors": (0.0,)}, "learning_rate_factors"),
    ],
)
def test_bad_arguments_are_one_sentence(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=message):
        small_search(tmp_path, **settings)


def test_without_a_storage_the_study_is_kept_in_a_file_named_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = search("tiny", "toy", **SMALL | {"n_trials": 0})
    assert (result.name, result.storage) == ("tiny-toy", "studies/tiny-toy.journal")
    assert (tmp_path / result.storage).is_file()


@pytest.mark.parametrize("pruner", ["hyperband", "median"])
def test_other_pruners(pruner: str, tmp_path: Path) -> None:
    result = small_search(tmp_path, n_trials=7, pruner=pruner, rungs=(2, 4, 6))
    assert result.n_trained == 7


def test_cells_and_replicates_are_averaged(tmp_path: Path) -> None:
    toy = load_task("toy")
    both = replace(toy, nets={"a": toy.nets["mlp"], "b": toy.nets["mlp"]})
    settings = SMALL | {"n_trials": 2, "n_search_replicates": 2, "pruner": "none", "name": "both"}
    result = search("tiny", both, storage=tmp_path / "s.journal", **settings)
    best = result.leaderboard()[0]
    assert set(best.scores) == {"toy/a", "toy/b"}
    trial = result.study.get_trials()[best.number]
    assert sorted(trial.intermediate_values) == [1, 2, 4, 8]
    assert trial.intermediate_values[8] == pytest.approx(trial.value)


def test_what_is_enqueued_is_tried_first_and_once(tmp_path: Path) -> None:
    wanted = ["x*sigmoid(x)", "x"]
    for n_trials in (2, 3):
        result = small_search(tmp_path, n_trials=n_trials, enqueue=wanted)
        trials = result.study.get_trials()
        assert [trial.user_attrs["expr"] for trial in trials[:2]] == ["x*sigmoid(x)", "x"]
        assert all("fixed_params" not in trial.system_attrs for trial in trials[2:])
    with pytest.raises(SpaceError, match="tanh"):
        small_search(tmp_path, enqueue=["tanh(x)"])


def test_the_process_that_proposes_uses_one_thread_of_blas(tmp_path: Path) -> None:
    found: dict[bool, set[int]] = {True: set(), False: set()}

    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    def note(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        found[bool(trial.params)] |= threads()  # the panel's trials make no choices

    with threadpool_limits(2, "blas"):
        small_search(tmp_path, callbacks=[note])
        assert threads() == {2}
    assert found == {True: {1}, False: {2}}
