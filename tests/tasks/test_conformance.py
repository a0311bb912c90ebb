"""Every shipped task keeps the promises of a task; a new file in ``actsearch/tasks/`` is tested by being there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import torch

from actsearch.tasks.fit import fit
from actsearch.tasks.load import load_task, task_names
from actsearch.tasks.task import Cell
from tasks.jobs import job, numbers

CELLS = [cell for name in task_names() for cell in load_task(name).cells]
each_task = pytest.mark.parametrize("name", task_names())
each_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
SPLITS = ("train_dataloader", "val_dataloader", "test_dataloader")


def short(cell: Cell, n_steps: int = 40) -> Any:
    """Return the cell's task with a short fit of the same kind."""
    return load_task(cell.task.name, nets=(cell.net,), n_steps=n_steps)


def rows(name: str, split: str, seed: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all examples that a loader gives in an epoch, in an order that is theirs."""
    data = load_task(name).data(seed=seed)
    data.setup("fit")
    batches: Iterator[Any] = iter(getattr(data, split)())
    x, y = (torch.cat(column) for column in zip(*batches, strict=True))
    along = torch.linspace(1, 2, x[0].numel(), dtype=torch.float64).sqrt()
    order = torch.argsort(x.flatten(1).double() @ along)
    return x[order], y[order]


@each_task
def test_splits_have_no_example_in_common(name: str) -> None:
    seen = [{row.numpy().tobytes() for row in rows(name, split)[0]} for split in SPLITS]
    assert all(seen)
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


@each_task
def test_examples_are_float32_and_finite_and_labels_are_int64(name: str) -> None:
    for split in SPLITS:
        x, y = rows(name, split)
        assert x.dtype == torch.float32
        assert y.dtype == torch.int64
        assert torch.isfinite(x).all()


@each_task
def test_inputs_have_unit_scale(name: str) -> None:
    x, _ = rows(name, "train_dataloader")
    assert abs(x.mean().item()) < 0.1
    assert x.std().item() == pytest.approx(1.0, abs=0.1)


@each_task
def test_chance_is_what_a_guess_scores(name: str) -> None:
    for split in SPLITS[1:]:
        _, y = rows(name, split)
        most_frequent = torch.bincount(y).max().item() / len(y)
        assert most_frequent == pytest.approx(load_task(name).chance, abs=0.03)


@each_task
def test_a_seed_gives_other_data_and_gives_them_again(name: str) -> None:
    for split in SPLITS[1:]:
        standard, fresh = rows(name, split), rows(name, split, seed=1)
        assert fresh[0].shape == standard[0].shape
        assert not torch.equal(fresh[0], standard[0])
        assert torch.equal(fresh[0], rows(name, split, seed=1)[0])


@each_task
def test_a_task_pickles(name: str) -> None:
    task = cloudpickle.loads(cloudpickle.dumps(load_task(name)))
    assert list(task.nets) == list(load_task(name).nets)


@each_task
def test_settings_are_plain_data_that_make_the_task(name: str) -> None:
    task = load_task(name, n_steps=7)
    assert task.settings["n_steps"] == task.n_steps == 7


@each_cell
def test_a_short_fit_beats_chance(cell: Cell) -> None:
    task = short(cell)
    result = fit(job(task, (40,), test=True))
    assert task.chance is not None
    assert result.status == "finished"
    assert result.metric[-1] > task.chance + 0.08
    assert result.test_metric is not None
    assert result.test_metric > task.chance + 0.08
    assert result.val_loss[-1] < result.train_loss[0] * 1.5
    assert result.n_parameters > 100


@each_cell
def test_a_fit_is_reproducible_and_resumes_to_the_bit(cell: Cell, tmp_path: Path, steps_trained: list[int]) -> None:
    """The rungs lie within an epoch, at its end, and in the next one."""
    data = cell.task.data()
    data.setup("fit")
    epoch = len(data.train_dataloader())
    rungs = (epoch // 2, epoch, epoch + 2)
    task = short(cell, rungs[-1])
    whole = fit(job(task, rungs, spec="silu", normalise=True, test=True))
    assert numbers(fit(job(task, rungs, spec="silu", normalise=True, test=True))) == numbers(whole)
    steps_trained.clear()
    for stop in rungs:
        part = fit(
            job(task, rungs, spec="silu", normalise=True, stop_step=stop, state_path=str(tmp_path / "s"), test=True)
        )
    assert numbers(part) == numbers(whole)
    assert steps_trained == list(range(1, rungs[-1] + 1))


@each_cell
def test_candidates_of_a_replicate_start_from_the_same_weights_scaled(cell: Cell) -> None:
    from actsearch.tasks._build import build_module

    relu, scaled, normalised = (
        dict(build_module(job(short(cell), (40,), **spec)).named_parameters())
        for spec in ({"spec": "relu"}, {"spec": "x * 3"}, {"spec": "silu", "normalise": True})
    )
    for name, weight in normalised.items():
        ratio = {gain for gain in (1.0, math.sqrt(2)) if torch.allclose(relu[name], gain * weight)}
        assert ratio, name
        assert torch.allclose(scaled[name], weight * (1 / 3 if math.sqrt(2) in ratio and weight.any() else 1.0)), name


@each_cell
def test_weights_have_unit_variance_preactivations(cell: Cell) -> None:
    """The right scale for a normalised activation: what comes out of the net is neither vanishing nor exploding."""
    from actsearch.tasks._build import build_module

    x, _ = rows(cell.task.name, "val_dataloader")
    for spec in ({"spec": "relu"}, {"spec": "gelu", "normalise": True}):
        module = build_module(job(short(cell), (40,), **spec))
        with torch.no_grad():
            assert 0.2 < module(x).std().item() < 3.0


@each_cell
def test_another_replicate_and_another_study_differ(cell: Cell) -> None:
    task = short(cell, 3)
    losses = {fit(job(task, (3,), **change)).train_loss for change in ({}, {"replicate": 1}, {"study_seed": 1})}
    assert len(losses) == 3
