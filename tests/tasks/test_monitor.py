"""The Lightning callback of the monitor."""

import csv

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from actsearch.errors import ActivationError
from actsearch.nn.make import make
from actsearch.tasks.monitor import ActivationMonitor

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:The number of training batches"),
    pytest.mark.filterwarnings("ignore:`isinstance:FutureWarning"),
]


class Regressor(LightningModule):
    def __init__(self, activation):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 8), activation, nn.Linear(8, 1))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, index):
        x, y = batch
        return (self(x) - y).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(module, callback, folder, epochs=2):
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    trainer = Trainer(
        accelerator="cpu", max_epochs=epochs, callbacks=[callback], logger=CSVLogger(folder), log_every_n_steps=1,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=10))
    return trainer


def test_every_epoch_is_logged_and_written(tmp_path):
    module = Regressor(make("silu"))
    callback = ActivationMonitor(every=2, csv=tmp_path / "health.csv")
    trainer = fit(module, callback, tmp_path)
    assert [row.n_steps for rows in callback.monitor.history for row in rows] == [2, 2]
    (last,) = callback.monitor.history[-1]
    assert trainer.callback_metrics["activation/net.1/active"].item() == pytest.approx(last.active)
    assert {"active", "dead"} <= set(trainer.progress_bar_metrics)
    trainer.logger.save()
    with next(tmp_path.glob("**/metrics.csv")).open() as file:
        logged = [row for row in csv.DictReader(file) if row.get("activation/net.1/saturated")]
    assert len(logged) == 2
    with (tmp_path / "health.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["net.1"] * 2
    assert not module.net[1]._forward_hooks


def test_a_dead_layer_is_told_once(tmp_path):
    module = Regressor(nn.ReLU())
    with torch.no_grad():
        module.net[0].bias.fill_(-100.0)
    with pytest.warns(UserWarning, match="passed no gradient") as told:
        fit(module, ActivationMonitor(every=1), tmp_path, epochs=3)
    sentences = [str(warning.message) for warning in told if "passed no gradient" in str(warning.message)]
    assert sentences == [sentences[0]]
    assert sentences[0].startswith("net.1 (ReLU): 100% of its units")


def test_training_is_the_same_to_the_bit(tmp_path):
    plain, watched = Regressor(make("gelu")), Regressor(make("gelu"))
    from lightning.pytorch import Callback

    fit(plain, Callback(), tmp_path)
    fit(watched, ActivationMonitor(every=1), tmp_path)
    assert torch.equal(plain.net[0].weight, watched.net[0].weight)


def test_a_model_without_activations_gets_a_sentence(tmp_path):
    with pytest.raises(ActivationError, match="no activation module"):
        fit(Regressor(nn.Identity()), ActivationMonitor(), tmp_path)
