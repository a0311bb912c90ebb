"""The README's code runs as it stands there."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"

PROJECT = '''
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset


class MyModel(LightningModule):
    """A user's model: {how} takes an activation."""

    def __init__(self{argument}):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 16), {activation}, torch.nn.Linear(16, 2))

    def _loss(self, batch, stage):
        x, y = batch
        logits = self.net(x)
        loss = torch.nn.functional.cross_entropy(logits, y)
        self.log(f"{{stage}}_loss", loss)
        self.log(f"{{stage}}_accuracy", (logits.argmax(1) == y).float().mean())
        return loss

    def training_step(self, batch, index):
        return self._loss(batch, "train")

    def validation_step(self, batch, index):
        self._loss(batch, "val")

    def test_step(self, batch, index):
        self._loss(batch, "test")

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.01)


class MyData(LightningDataModule):
    def _loader(self, seed):
        x = torch.randn(128, 4, generator=torch.Generator().manual_seed(seed))
        return DataLoader(TensorDataset(x, (x[:, 0] * x[:, 1] > 0).long()), batch_size=32)

    def train_dataloader(self):
        return self._loader(0)

    def val_dataloader(self):
        return self._loader(1)

    def test_dataloader(self):
        return self._loader(2)
'''


def example() -> str:
    """Return the example for one's own Lightning model."""
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if "MyModel" in block
    )
    return code


def run(folder: Path, code: str, takes_activation: bool) -> str:
    words = (
        {"how": "it", "argument": ", activation", "activation": "activation()"}
        if takes_activation
        else {"how": "nothing", "argument": "", "activation": "torch.nn.ReLU()"}
    )
    (folder / "my_project.py").write_text(PROJECT.format(**words))
    (folder / "script.py").write_text(code)  # no __main__ guard
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_three_lines_for_ones_own_model(tmp_path: Path) -> None:
    few = "n_trials=4, panel=('relu', 'tanh', 'elu'), n_null_control=0, finalists=1, n_replicates=2"
    shorter = example().replace("n_steps=500", "n_steps=18").replace("n_trials=50", few)
    assert shorter.count("18") == 1
    assert "n_trials=4" in shorter
    lines = run(tmp_path, shorter, takes_activation=True).splitlines()
    assert len(lines) == 5  # the best; the finals of one candidate and of the panel of three
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.slow
def test_the_example_word_for_word_with_a_model_to_swap(tmp_path: Path) -> None:
    assert "reference" in run(tmp_path, example(), takes_activation=False)


def test_the_readmes_sessions() -> None:
    failures, tried = doctest.testfile(str(README), module_relative=False, verbose=False)
    assert tried >= 5
    assert failures == 0
