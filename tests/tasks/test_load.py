"""Finding tasks by name and by reference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from actsearch.errors import TaskError
from actsearch.tasks.load import load_task, task_names
from actsearch.tasks.task import Task

OWN_FILE = """
from lightning.pytorch import LightningDataModule, LightningModule
from actsearch.tasks.load import load_task

class Net(LightningModule):
    def __init__(self, activation): super().__init__()

class Data(LightningDataModule):
    pass

def make_task(n_steps=5):
    return load_task("toy", n_steps=n_steps)

task = make_task()
number = 3

def wrong():
    return 3
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "own_file_of_load_tests.py"
    path.write_text(OWN_FILE)
    monkeypatch.delitem(sys.modules, path.stem, raising=False)
    return str(path)


def test_only_tasks_are_listed() -> None:
    assert task_names() == ["digits", "mnist1d", "toy"]


def test_listing_and_making_tasks_imports_neither_lightning_nor_scikit_learn() -> None:
    code = (
        "import sys; from actsearch.tasks.load import *; from actsearch.tasks.fit import FitJob; "
        "[load_task(name) for name in task_names()]; "
        "print([name for name in ('torch', 'lightning', 'sklearn', 'mnist1d') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nets_are_chosen_in_the_order_given() -> None:
    assert list(load_task("mnist1d", nets=("residual", "deep")).nets) == ["residual", "deep"]
    assert list(load_task("mnist1d", nets="conv").nets) == ["conv"]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mnist1", {}, r"unknown task 'mnist1'; did you mean 'mnist1d'\? \(known: digits, mnist1d, toy\)"),
        ("fit", {}, "unknown task 'fit'"),
        ("mnist1d", {"width": 0.0}, "width is 0.0; at least 0.04 is allowed"),
        ("mnist1d", {"nets": ("depe",)}, "task 'mnist1d' has no net 'depe'; did you mean 'deep'"),
        ("toy", {"n_step": 3}, "task 'toy' has no setting 'n_step'; did you mean 'n_steps'"),
        ("toy", {"n_steps": 0}, "task 'toy': n_steps is 0, not a whole number of at least 1"),
        ("nowhere.at_all:task", {}, "there is no module 'nowhere.at_all'"),
        ("actsearch.tasks.toy:task", {}, "has no 'task'"),
        ("no/such/file.py:task", {}, "there is no file 'no/such/file.py'"),
    ],
)
def test_mistakes_are_named(name: str, settings: dict[str, object], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        load_task(name, **settings)  # type: ignore[arg-type]


def test_a_task_and_a_function_that_makes_one_by_reference(own: str) -> None:
    assert load_task(f"{own}:task").n_steps == 5
    assert load_task(f"{own}:make_task", n_steps=7).n_steps == 7
    assert load_task("actsearch.tasks.toy:make_task", nets="mlp", n_steps=7).n_steps == 7


def test_a_module_with_its_data_by_reference(own: str) -> None:
    task = load_task(f"{own}:Net", data=f"{own}:Data", metric="val_loss", n_steps=9)
    assert (task.direction, task.n_steps, task.cells[0].name) == ("minimize", 9, "Data/Net")


def test_wrong_references_are_named(own: str) -> None:
    with pytest.raises(TaskError, match="is a class; name its data too"):
        load_task(f"{own}:Net")
    with pytest.raises(TaskError, match="is a int, not a task"):
        load_task(f"{own}:number")
    with pytest.raises(TaskError, match="returned a int, not a task"):
        load_task(f"{own}:wrong")
    with pytest.raises(TaskError, match="is made already; it takes no settings"):
        load_task(f"{own}:task", n_steps=3)
    with pytest.raises(TaskError, match="has no setting 'n_step'; did you mean 'n_steps'"):
        load_task(f"{own}:Net", data=f"{own}:Data", n_step=9)


def test_a_task_is_returned_as_it_is() -> None:
    task = load_task("toy")
    assert load_task(task) is task


def test_faults_of_a_task_are_told_together() -> None:
    with pytest.raises(TaskError, match=r"task 'mine': it has no net; direction is 'up', .*; n_steps is 1.5"):
        Task("mine", {}, dict, direction="up", n_steps=1.5)  # type: ignore[arg-type]
