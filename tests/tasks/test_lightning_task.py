"""One's own modules and data: used untouched, resumed to the bit, refused with a sentence."""

from __future__ import annotations

import functools
import inspect
import linecache
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch import nn

from actsearch.errors import TaskError
from actsearch.tasks.fit import fit
from actsearch.tasks.lightning_task import lightning_task
from tasks import own_model as own
from tasks.jobs import job, numbers, own_task

# 7 batches an epoch: rungs within an epoch, at an epoch's end, and after several
RUNGS = (3, 7, 10, 20)
PAIRS = [
    (own.Net, own.Data),
    (own.PlateauNet, own.Data),
    (own.OneCycleNet, own.Data),
    (own.ManualNet, own.Data),
    (own.FixedNet, own.Data),
    (own.TwoLoadersNet, own.TwoLoaders),
    (own.Net, own.NoLength),
    (own.Net, own.Augmented),
]


@pytest.mark.parametrize(("module", "data"), PAIRS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("spec", ["silu", "beta[1.0, channel] * tanh(x)"])
def test_own_module_resumes_to_the_bit(
    module: Any, data: Any, spec: str, tmp_path: Path, steps_trained: list[int]
) -> None:
    task = own_task(module, data)
    whole = fit(job(task, RUNGS, spec=spec, test=True))
    assert whole.status == "finished"
    assert whole.metric == whole.val_loss
    steps_trained.clear()
    for stop in RUNGS:
        part = fit(job(task, RUNGS, spec=spec, stop_step=stop, state_path=str(tmp_path / "s"), test=True))
        assert part.metric == whole.metric[: len(part.metric)]
    assert numbers(part) == numbers(whole)
    assert steps_trained == list(range(1, RUNGS[-1] + 1))


def test_own_module_equals_a_plain_loop() -> None:
    """Nothing is added to the user's training: a loop in plain torch over the same batches gives the same loss."""
    seen: list[Any] = []

    class Net(own.Net):
        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            seen.append(batch)
            return super().training_step(batch, batch_idx)

        def on_train_start(self) -> None:
            self.net[3].p = 0.0
            seen.append(cloudpickle.dumps(self.net))

    result = fit(job(own_task(Net, own.Data), (14,), spec="tanh"))
    net = cloudpickle.loads(seen[0])
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-2, momentum=0.9)
    losses = []
    for x, y in seen[1:]:
        loss = nn.functional.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert result.train_loss[0] == pytest.approx(sum(losses) / 14, rel=1e-5)


def test_batches_have_an_order_of_their_own_that_the_candidate_cannot_move() -> None:
    """Dropout draws, activations that draw, more rungs: the batches stay those of the replicate."""
    seen: dict[str, list[torch.Tensor]] = {}

    def net(name: str, p: float) -> Any:
        class Net(own.Net):
            def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
                self.net[3].p = p
                seen.setdefault(name, []).append(batch[0])
                return super().training_step(batch, batch_idx)

        return Net

    for data in (own.Data, own.Augmented):
        seen.clear()
        fit(job(own_task({"net": net("a", 0.5)}, data), (20,)))
        fit(job(own_task({"net": net("b", 0.0)}, data), (2, 4, 20), spec="silu"))
        assert all(torch.equal(a, b) for a, b in zip(seen["a"], seen["b"], strict=True))
        assert not torch.equal(seen["a"][0], seen["a"][7])


def test_learning_rate_factor_scales_optimiser_and_scheduler() -> None:
    slow, fast = (
        fit(job(own_task({"net": functools.partial(own.Net, learning_rate=rate)}, own.Data), RUNGS, **change))
        for rate, change in ((5e-3, {"learning_rate_factor": 2.0}), (1e-2, {}))
    )
    assert numbers(slow) == numbers(fast)
    assert numbers(fast) != numbers(fit(job(own_task({"net": own.Net}, own.Data), RUNGS, learning_rate_factor=0.3)))


def test_a_module_instance_is_copied_and_swapped() -> None:
    model = own.FixedNet()
    task = own_task(model, own.Data)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    first = fit(job(task, (5,), spec="silu"))
    assert numbers(fit(job(task, (5,), spec="silu"))) == numbers(first)
    assert numbers(fit(job(task, (5,), spec="tanh"))) != numbers(first)
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert type(model).__name__ == "FixedNet"


@pytest.mark.slow
def test_a_class_from_a_notebook_is_swapped_in_another_process(tmp_path: Path) -> None:
    """Its source is in no file; it travels with the task."""
    cell, file = Path(inspect.getfile(own)).read_text(), "/tmp/ipykernel_1/cell.py"
    linecache.cache[file] = (len(cell), None, cell.splitlines(keepends=True), file)
    notebook = types.ModuleType("notebook")
    exec(compile(cell, file, "exec"), vars(notebook))
    sys.modules["notebook"] = notebook
    cloudpickle.register_pickle_by_value(notebook)
    try:
        pickled = cloudpickle.dumps(job(own_task(notebook.FixedNet, notebook.Data), (2,)))
    finally:
        cloudpickle.unregister_pickle_by_value(notebook)
        del sys.modules["notebook"], linecache.cache[file]
    (tmp_path / "job").write_bytes(pickled)
    code = "import sys, pickle; from actsearch.tasks.fit import fit; print(fit(pickle.load(open('job', 'rb'))).status)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "finished", done.stderr


def test_data_may_be_an_instance_which_stays_as_it_was() -> None:
    data = own.Data()
    loader = data.train_dataloader
    first = fit(job(own_task(own.Net, data), (5,)))
    assert numbers(fit(job(own_task(own.Net, data), (5,)))) == numbers(first)
    assert data.train_dataloader == loader


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set")
def test_data_made_from_datasets() -> None:
    data = own.Data()
    set_ = torch.utils.data.TensorDataset(data.x, data.y)
    made = LightningDataModule.from_datasets(set_, set_, set_, batch_size=16)
    assert fit(job(own_task(own.Net, made), (5,))).status == "finished"


def test_fresh_data_come_from_the_seed_that_the_data_take() -> None:
    usual, fresh, other, again = (
        fit(job(own_task(own.Net, own.Data), (5,), **change)).metric
        for change in (
            {},
            {"fresh_data": True},
            {"fresh_data": True, "replicate": 1},
            {"fresh_data": True},
        )
    )
    assert fresh == again
    assert len({usual, fresh, other}) == 3


def test_data_without_a_seed_are_the_same_when_fresh_ones_are_asked_for() -> None:
    task = own_task(own.Net, lambda: own.Data())
    assert numbers(fit(job(task, (5,), fresh_data=True))) == numbers(fit(job(task, (5,))))


@pytest.mark.parametrize(
    ("metric", "direction"),
    [("val_loss", "minimize"), ("val/error", "minimize"), ("val_accuracy", "maximize"), ("val_auc", "maximize")],
)
def test_direction_is_told_by_the_name(metric: str, direction: str) -> None:
    task = lightning_task(own.Net, own.Data, metric=metric)
    assert task.direction == direction
    assert task.test_metric == metric.replace("val", "test")


def test_several_modules_are_several_cells() -> None:
    task = own_task({"a": own.Net, "b": own.FixedNet}, own.Data, name="mine")
    assert [cell.name for cell in task.cells] == ["mine/a", "mine/b"]


def test_per_channel_parameters_learn() -> None:
    result = fit(job(own_task(own.Net, own.Data), (20,), spec="x * sigmoid(beta[1.0, channel] * x)"))
    plain = fit(job(own_task(own.Net, own.Data), (20,), spec="silu"))
    assert result.n_parameters == plain.n_parameters + 32
    assert result.learned is not None
    assert len(result.learned.splitlines()) == 2
    assert plain.learned is None


def refused(module: Any, data: Any = own.Data, **changes: Any) -> str:
    """Return the message of the error that a fit raises."""
    settings = {"metric": "val_loss", "n_steps": 20} | changes
    with pytest.raises(TaskError) as caught:
        fit(job(lightning_task(module, data, **settings), (7,)))
    return str(caught.value)


def test_a_metric_that_is_not_logged_is_named_with_the_nearest() -> None:
    message = refused(own.Net, metric="val_los")
    assert "logs no 'val_los'; did you mean 'val_loss'?" in message
    assert "task 'Data', net 'Net'" in message


def test_a_module_without_any_activation() -> None:
    assert "takes no argument 'activation', and swapping failed" in refused(own.LinearNet)


def test_a_module_that_forgets_its_activation() -> None:
    assert "never called its activation argument" in refused(own.ForgetfulNet)


def test_data_without_a_validation_split() -> None:
    assert "no validation; the data need val_dataloader" in refused(own.Net, own.NoValidation)


def test_data_without_a_training_split() -> None:
    assert "train_dataloader" in refused(own.Net, own.NoTraining)


def test_a_module_that_stops_early() -> None:
    assert "training ended at step 5 of 7" in refused(own.StoppingNet)


def test_a_function_that_returns_no_module() -> None:
    assert "the net is a ReLU, not a LightningModule" in refused(lambda activation: nn.ReLU())


def test_data_that_are_no_data_module() -> None:
    assert "the data are a dict, not a LightningDataModule" in refused(own.Net, dict)


def test_things_that_are_nothing_of_the_kind() -> None:
    with pytest.raises(TaskError, match="neither a LightningModule class nor a function"):
        own_task(3, own.Data)
    with pytest.raises(TaskError, match="neither a LightningDataModule, nor a function"):
        own_task(own.Net, "data")
    with pytest.raises(TaskError, match="give its class"):
        own_task(own.Net(), own.Data)


def test_trainer_options_that_break_a_fit_are_refused() -> None:
    with pytest.raises(TaskError, match="trainer_options holds max_epochs"):
        own_task(own.Net, own.Data, trainer_options={"max_epochs": 3})
    clipped = own_task(own.Net, own.Data, trainer_options={"gradient_clip_val": 1e-3})
    assert numbers(fit(job(clipped, (5,)))) != numbers(fit(job(own_task(own.Net, own.Data), (5,))))


def test_an_error_in_the_users_code_comes_through() -> None:
    with pytest.raises(RuntimeError, match="on purpose"):
        fit(job(own_task(own.RaisingNet, own.Data), (7,)))


def test_ctrl_c_comes_through_and_leaves_the_state_of_the_last_rung(tmp_path: Path, steps_trained: list[int]) -> None:
    handler = signal.getsignal(signal.SIGINT)
    path = str(tmp_path / "s")
    named = {"name": "mine"}
    task, interrupted = (own_task({"net": kind}, own.Data, **named) for kind in (own.Net, own.InterruptedNet))
    fit(job(interrupted, (3, 7), stop_step=3, state_path=path))
    with pytest.raises(KeyboardInterrupt):
        fit(job(interrupted, (3, 7), state_path=path))
    assert signal.getsignal(signal.SIGINT) is handler
    assert [file.name for file in tmp_path.iterdir()] == ["s"]
    steps_trained.clear()
    resumed = fit(job(task, (3, 7), state_path=path))
    assert steps_trained == [4, 5, 6, 7]
    assert numbers(resumed) == numbers(fit(job(task, (3, 7))))
