"""Jobs travel to workers: from a script without a ``__main__`` guard, with classes defined in it, and from a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """
import loky
import torch
from lightning.pytorch import LightningModule
from torch.nn import functional as F
from actsearch.tasks.fit import fit
from actsearch.tasks.lightning_task import lightning_task
from actsearch.tasks.load import load_task
from tasks.jobs import job, numbers
from tasks.own_model import Data

class Net(LightningModule):
    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Linear(2, 8), torch.nn.Linear(8, 1)
    def training_step(self, batch, _):
        return F.mse_loss(self.last(F.relu(self.first(batch[0]))), batch[1])
    def validation_step(self, batch, _):
        self.log("val_loss", self.training_step(batch, _))
    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())

tasks = [load_task("toy"), lightning_task(Net, Data, metric="val_loss"), load_task("own_file.py:task")]
with loky.get_reusable_executor(max_workers=1) as pool:
    for task in tasks:
        todo = job(task, (5,), spec="silu")
        print(numbers(pool.submit(fit, todo).result()) == numbers(fit(todo)))
"""


@pytest.mark.slow
def test_fits_in_workers_equal_fits_at_home(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "own_file.py").write_text(
        SCRIPT.split("tasks = [")[0] + 'task = lightning_task(Net, Data, metric="val_loss")\n'
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["True"] * 3, done.stderr
