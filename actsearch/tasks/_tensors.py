"""Data that fit in memory: batches are rows of tensors, without a DataLoader's machinery.

A DataLoader collates example by example, which costs several times a small net's training step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from lightning.pytorch import LightningDataModule

Split = tuple[torch.Tensor, torch.Tensor]
Splits = tuple[Split, Split, Split]


class Batches:
    """Batches of a split, each ``(x, y)``; the last examples that fill no training batch wait for the next epoch.

    Args:
        split: inputs, shape (n, ...), and targets, shape (n,).
        size: examples a batch.
        shuffle: draw a new order, from torch's global random state, each time the iteration starts.
    """

    draws_at_start_only = True

    def __init__(self, split: Split, size: int, shuffle: bool = False) -> None:
        self.x, self.y = split
        self.size = min(size, len(self.y))
        self.shuffle = shuffle

    def __len__(self) -> int:
        full, rest = divmod(len(self.y), self.size)
        return full if self.shuffle or not rest else full + 1

    def __iter__(self) -> Iterator[Split]:
        # not a generator: the order is drawn here, when the iteration starts
        return self._shuffled(torch.randperm(len(self.y))) if self.shuffle else self._in_order()

    def _shuffled(self, order: torch.Tensor) -> Iterator[Split]:
        for batch in range(len(self)):
            rows = order[batch * self.size : (batch + 1) * self.size]
            yield self.x.index_select(0, rows), self.y.index_select(0, rows)

    def _in_order(self) -> Iterator[Split]:
        return zip(torch.split(self.x, self.size), torch.split(self.y, self.size), strict=True)


class TensorData(LightningDataModule):
    """Train, validation and test splits held in memory.

    Args:
        make_splits: returns the three splits; called once, when a fit sets its data up.
        batch_size: examples a training batch. Validation and test use bigger ones, which cost less while a population's
            tensors of them fit into a processor's caches.
    """

    eval_batch_size = 500

    def __init__(self, make_splits: Callable[[], Splits], batch_size: int) -> None:
        super().__init__()
        self.make_splits = make_splits
        self.batch_size = batch_size
        self.splits: Splits | None = None

    def setup(self, stage: str | None = None) -> None:
        """Make the splits."""
        if self.splits is None:
            self.splits = self.make_splits()

    def train_dataloader(self) -> Batches:
        """Shuffled training batches."""
        return Batches(self._split(0), self.batch_size, shuffle=True)

    def val_dataloader(self) -> Batches:
        """The validation split."""
        return Batches(self._split(1), self.eval_batch_size)

    def test_dataloader(self) -> Batches:
        """The test split."""
        return Batches(self._split(2), self.eval_batch_size)

    def _split(self, index: int) -> Split:
        self.setup()
        assert self.splits is not None
        return self.splits[index]
