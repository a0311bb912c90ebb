"""Lightning modules and data as users write them, for the tests of bring-your-own."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset


class Data(LightningDataModule):
    """Points in the plane; the target is a smooth function. An ordinary DataLoader that shuffles."""

    def __init__(self, seed: int | None = None, n: int = 100) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed or 0)
        self.x = torch.randn(n, 2, generator=generator)
        self.y = torch.sin(2 * self.x[:, :1]) * self.x[:, 1:]

    def _loader(self, shuffle: bool) -> DataLoader[Any]:
        return DataLoader(TensorDataset(self.x, self.y), batch_size=16, shuffle=shuffle)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(True)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(False)

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader(False)


class Net(LightningModule):
    """A regression net with dropout, batch statistics, its own optimiser and a schedule by epoch."""

    def __init__(self, activation: Any = nn.ReLU, learning_rate: float = 1e-2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Linear(2, 16), nn.BatchNorm1d(16), activation(), nn.Dropout(0.1), nn.Linear(16, 16), activation(),
            nn.Linear(16, 1),
        )  # fmt: skip
        self.learning_rate = learning_rate
        self.epochs_begun = 0

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = F.mse_loss(self.net(batch[0]), batch[1])
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", F.mse_loss(self.net(batch[0]), batch[1]))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_loss", F.mse_loss(self.net(batch[0]), batch[1]))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=self.learning_rate, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)]


class PlateauNet(Net):
    """Lowers its learning rate when the validation loss, measured at rungs, stops falling."""

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.learning_rate)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.9)
        plan = {"scheduler": scheduler, "monitor": "val_loss", "interval": "step", "frequency": 1, "strict": False}
        return {"optimizer": optimizer, "lr_scheduler": plan}


class OneCycleNet(Net):
    """Plans over the whole fit, whose length it asks the trainer for."""

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.learning_rate)
        n_steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=n_steps + 1)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class ManualNet(Net):
    """Two optimisers, stepped by hand."""

    def __init__(self, activation: Any = nn.ReLU) -> None:
        super().__init__(activation)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        for optimizer in self.optimizers():
            loss = F.mse_loss(self.net(batch[0]), batch[1])
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return loss

    def configure_optimizers(self) -> Any:
        first, rest = list(self.net[0].parameters()), list(self.net[1:].parameters())
        return [torch.optim.SGD(first, lr=1e-2), torch.optim.Adam(rest, lr=1e-2)]


class FixedNet(Net):
    """Takes no activation: it calls torch's own."""

    def __init__(self) -> None:
        super().__init__(nn.Identity)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return F.mse_loss(self(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", F.mse_loss(self(batch[0]), batch[1]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net[4:](F.relu(self.net[:4](x)))


class LinearNet(Net):
    """Has no activation at all, and takes none."""

    def __init__(self) -> None:
        super().__init__(nn.Identity)


class ForgetfulNet(Net):
    """Takes an activation and forgets to use it."""

    def __init__(self, activation: Any) -> None:
        super().__init__(nn.Identity)


class StoppingNet(Net):
    """Ends its training by itself."""

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.trainer.should_stop = self.trainer.global_step >= 5


class RaisingNet(Net):
    """Fails in the middle of an epoch."""

    error: type[BaseException] = RuntimeError

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if self.trainer.global_step >= 5:
            raise self.error("on purpose")


class InterruptedNet(RaisingNet):
    """Ctrl-C in the middle of an epoch."""

    error = KeyboardInterrupt


class NoValidation(Data):
    """Has no validation split."""

    val_dataloader = LightningDataModule.val_dataloader


class NoTraining(Data):
    """Has no training split."""

    train_dataloader = LightningDataModule.train_dataloader


class TwoLoaders(Data):
    """Two train loaders at once, which Lightning combines."""

    def train_dataloader(self) -> Any:
        return {"a": self._loader(True), "b": self._loader(True)}


class TwoLoadersNet(Net):
    """For :class:`TwoLoaders`."""

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return super().training_step(batch["a"], batch_idx) + super().training_step(batch["b"], batch_idx)


class NoLength(Data):
    """A stream of batches whose number nobody knows beforehand."""

    def train_dataloader(self) -> Any:
        return _Unsized(self._loader(True))


class Augmented(Data):
    """Adds noise to each training batch, drawn from torch's global random state."""

    def train_dataloader(self) -> Any:
        def collate(rows: list[Any]) -> Any:
            x, y = (torch.stack(column) for column in zip(*rows, strict=True))
            return x + 0.1 * torch.randn_like(x), y

        return DataLoader(TensorDataset(self.x, self.y), batch_size=16, shuffle=True, collate_fn=collate)


class _Unsized:
    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __iter__(self) -> Any:
        return iter(self.loader)
