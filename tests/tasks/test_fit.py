"""What a fit promises whatever the task: divergence is a result, states are checked, surroundings stay as they were."""

from __future__ import annotations

import logging
import math
import os
import random
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actsearch.errors import TaskError
from actsearch.tasks.fit import FitJob, fit
from actsearch.tasks.load import load_task
from tasks import own_model as own
from tasks.jobs import job, numbers, own_task

RUNGS = (5, 10, 20)


@pytest.fixture
def toy() -> Any:
    return load_task("toy", n_steps=20)


@pytest.mark.parametrize(
    ("spec", "factor", "reason"),
    [
        ("sqrt(x)", 1.0, "training loss"),
        ("exp(exp(exp(x + 3)))", 1.0, "training loss"),
        ("log(x)", 1.0, "training loss"),
        ("relu", 1e38, "at step"),
    ],
)
def test_divergence_is_a_result_at_the_chance_level(toy: Any, spec: str, factor: float, reason: str) -> None:
    result = fit(job(toy, RUNGS, spec=spec, learning_rate_factor=factor, test=True))
    assert result.status == "diverged"
    assert reason in result.reason
    assert result.steps == RUNGS
    assert result.metric[-1] == result.test_metric == toy.chance
    assert math.isnan(result.val_loss[-1])
    assert result.learned is None


def test_divergence_after_a_rung_keeps_what_was_measured(tmp_path: Path) -> None:
    class Net(own.Net):
        def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
            if self.trainer.global_step == 12:
                with torch.no_grad():
                    self.net[0].weight.fill_(math.inf)

    task = own_task(Net, own.Data, chance=9.0)
    result = fit(job(task, RUNGS, state_path=str(tmp_path / "s")))
    assert result.status == "diverged"
    assert result.reason == "the training loss is nan at step 13"
    assert result.metric == (*fit(job(task, RUNGS, stop_step=10)).metric, 9.0)


def test_weights_that_are_not_finite_at_a_rung_are_seen_before_validation() -> None:
    class Net(own.Net):
        def on_before_optimizer_step(self, optimizer: Any) -> None:
            if self.trainer.global_step == 6:
                self.net[0].weight.grad[0, 0] = math.nan

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            assert torch.isfinite(self.net[0].weight).all()
            super().validation_step(batch, batch_idx)

    result = fit(job(own_task(Net, own.Data, chance=9.0), (7,)))
    assert result.reason == "net.0.weight is not finite at step 7"


def test_a_module_that_raises_on_nan_has_diverged() -> None:
    class Net(own.Net):
        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            if self.trainer.global_step == 3:
                with torch.no_grad():
                    self.net[0].weight.fill_(math.nan)
                raise ValueError("expected finite values")
            return super().training_step(batch, batch_idx)

    result = fit(job(own_task(Net, own.Data), (7,)))
    assert result.status == "diverged"
    assert result.reason.startswith("ValueError at step")
    assert math.isnan(result.metric[0])


def test_rungs_do_not_change_the_training(toy: Any) -> None:
    assert fit(job(toy, (20,))).metric == fit(job(toy, RUNGS)).metric[-1:]


def test_a_fit_does_not_depend_on_what_ran_before_or_on_the_process(toy: Any) -> None:
    before = numbers(fit(job(toy, RUNGS)))
    torch.manual_seed(123)
    fit(job(toy, RUNGS, spec="silu", replicate=3))
    assert numbers(fit(job(toy, RUNGS))) == before
    code = (
        "from tasks.jobs import job, numbers; from actsearch.tasks.fit import fit; "
        "from actsearch.tasks.load import load_task; "
        f"print(numbers(fit(job(load_task('toy', n_steps=20), {RUNGS}))))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert other.stdout.strip() == repr(before)
    assert other.stderr == ""


def test_float64_fits(toy: Any) -> None:
    double = load_task("toy", n_steps=20, precision="64-true")
    exact, rough = fit(job(double, RUNGS)), fit(job(toy, RUNGS))
    assert exact.train_loss != rough.train_loss
    assert exact.train_loss == pytest.approx(rough.train_loss, rel=0.1)


def test_random_states_threads_loggers_and_filters_are_left_alone(toy: Any, capfd: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)

    def state() -> Any:
        numpy = np.random.get_state()  # noqa: NPY002
        loggers = [logging.getLogger(name).level for name in ("lightning.pytorch", "lightning.fabric")]
        threads = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
        return (
            torch.get_rng_state().tolist(),
            random.getstate(),
            numpy[1].tolist(),
            loggers,
            threads,
            warnings.filters[:],
        )

    before = state()
    fit(job(toy, RUNGS, test=True))
    fit(job(own_task(own.Net, own.Augmented), (5,)))
    fit(job(toy, RUNGS, spec="log(x)"))
    assert state() == before
    assert capfd.readouterr() == ("", "")


def test_a_fit_runs_with_the_threads_asked_for(toy: Any) -> None:
    seen = []

    class Net(own.Net):
        def on_train_start(self) -> None:
            seen.append(torch.get_num_threads())

    outside = torch.get_num_threads()
    for n_threads in (1, 2, None):
        fit(job(own_task({"net": Net}, own.Data), (2,)), n_threads=n_threads)
    assert seen == [1, 2, outside]


def test_a_fit_runs_outside_the_main_thread(toy: Any) -> None:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(numbers(fit(job(toy, RUNGS)))))
    thread.start()
    thread.join()
    assert results == [numbers(fit(job(toy, RUNGS)))]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rungs": (10, 5), "stop_step": 5}, "not rising steps"),
        ({"rungs": (), "stop_step": 5}, "not rising steps"),
        ({"rungs": (5,), "stop_step": 6}, "stop_step 6 is not one of the rungs"),
        ({"rungs": (5, 50), "stop_step": 50}, "beyond the task's n_steps, 20"),
        ({"learning_rate_factor": 0.0}, "learning_rate_factor 0.0 is not a positive number"),
        ({"learning_rate_factor": math.nan}, "is not a positive number"),
    ],
)
def test_wrong_jobs_are_refused_when_made(toy: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        FitJob(**{**vars(job(toy, RUNGS)), **changes})


def test_an_unknown_net_is_named_with_the_nearest(toy: Any) -> None:
    with pytest.raises(TaskError, match="task 'toy' has no net 'mpl'; did you mean 'mlp'"):
        fit(job(toy, RUNGS, net="mpl"))


class TestState:
    """The resumable state: used when it fits, left aside when it does not."""

    def test_every_kind_of_damage_means_starting_from_zero(self, toy: Any, tmp_path: Path) -> None:
        whole = numbers(fit(job(toy, RUNGS)))
        path = tmp_path / "s"
        fit(job(toy, RUNGS, stop_step=5, state_path=str(path)))
        good = path.read_bytes()
        step = max(1, len(good) // 7)
        cut = [good[:n] for n in range(0, len(good), step)]
        flipped = [good[:n] + bytes([good[n] ^ 1]) + good[n + 1 :] for n in range(0, len(good), step)]
        for damaged in [*cut, *flipped, good + b"x", b"", b"not a state"]:
            path.write_bytes(damaged)
            assert numbers(fit(job(toy, RUNGS, state_path=str(path)))) == whole

    def test_a_state_of_another_fit_is_not_taken(self, toy: Any, tmp_path: Path) -> None:
        path = str(tmp_path / "s")
        for change in ({"spec": "silu"}, {"replicate": 1}, {"learning_rate_factor": 3.0}, {"normalise": True}):
            fit(job(toy, RUNGS, stop_step=5, state_path=path))
            assert numbers(fit(job(toy, RUNGS, state_path=path, **change))) == numbers(fit(job(toy, RUNGS, **change)))

    def test_a_state_of_another_version_is_not_taken(
        self, toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = str(tmp_path / "s")
        first = fit(job(toy, RUNGS, stop_step=5, state_path=path))
        monkeypatch.setattr("actsearch.tasks._trainer.__version__", "0.0.0")
        second = fit(job(toy, RUNGS, stop_step=5, state_path=path))
        assert numbers(second) == numbers(first)
        assert second.seconds != pytest.approx(first.seconds, rel=1e-6)

    def test_a_state_whose_module_has_changed_is_not_taken(self, tmp_path: Path) -> None:
        class Wider(own.Net):
            def __init__(self, activation: Any) -> None:
                super().__init__(activation)
                self.more = torch.nn.Linear(3, 3)

        path = str(tmp_path / "s")
        fit(job(own_task({"net": own.Net}, own.Data), (3, 7), stop_step=3, state_path=path))
        task = own_task({"net": Wider}, own.Data)
        assert numbers(fit(job(task, (3, 7), state_path=path))) == numbers(fit(job(task, (3, 7))))

    def test_a_state_beyond_the_step_asked_for_is_not_taken(self, toy: Any, tmp_path: Path) -> None:
        path = str(tmp_path / "s")
        fit(job(toy, RUNGS, state_path=path))
        part = fit(job(toy, RUNGS, stop_step=10, state_path=path, test=True))
        assert numbers(part) == numbers(fit(job(toy, RUNGS, stop_step=10, test=True)))

    def test_a_fit_that_is_done_is_not_trained_again(self, tmp_path: Path) -> None:
        steps = []

        class Net(own.Net):
            def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
                steps.append(batch_idx)

        path = str(tmp_path / "s")
        for stop in (10, 10, 20, 20):
            fit(job(own_task({"net": Net}, own.Data), RUNGS, stop_step=stop, state_path=path))
        assert len(steps) == 20

    @pytest.mark.parametrize("kind", ["no such folder", "full disk"])
    def test_a_disk_that_takes_no_state_costs_only_the_resumption(
        self, toy: Any, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "none" / "s" if kind == "no such folder" else tmp_path / "s"
        if kind == "full disk":

            def full(source: Any, target: Any) -> None:
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(os, "replace", full)
        assert numbers(fit(job(toy, RUNGS, state_path=str(path)))) == numbers(fit(job(toy, RUNGS)))
        assert "cannot keep the state of a fit" in caplog.text
        assert list(tmp_path.iterdir()) == []
