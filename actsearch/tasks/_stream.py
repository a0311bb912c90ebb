"""The training batches of a fit, in an order that depends on the order seed and the epoch alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from lightning.pytorch.utilities.combined_loader import CombinedLoader

from actsearch.tasks._rng import RandomStream


class Position(Protocol):
    """Where the training is; the fit's callback."""

    @property
    def epoch(self) -> int:
        """Epochs completed."""

    @property
    def batch(self) -> int:
        """Batches trained in this epoch."""

    def before_batch(self) -> None:
        """Called between two training steps, before the next batch is drawn."""


class Stream:
    """Wraps a train loader: seeds each epoch anew, and skips the batches that a resumed epoch has had already.

    Loaders that draw all their randomness when their iteration starts say so by a true attribute
    ``draws_at_start_only``; then switching the random state for each batch, about 0.1 ms, is saved.
    """

    def __init__(self, loader: Any, seed: int, position: Position) -> None:
        # Lightning takes lists and dicts of loaders too, and combines them so
        self.loader = CombinedLoader(loader, "max_size_cycle") if isinstance(loader, list | tuple | dict) else loader
        self.seed = seed
        self.position = position

    def __len__(self) -> int:
        if isinstance(self.loader, CombinedLoader):
            with RandomStream(self.seed):
                iter(self.loader)
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        epoch, skip = self.position.epoch, self.position.batch
        randomness = RandomStream(_epoch_seed(self.seed, epoch))
        _set_epoch(self.loader, epoch)
        with randomness:
            iterator = iter(self.loader)
        draw = _drawing(iterator, randomness, getattr(self.loader, "draws_at_start_only", False))
        for _ in range(skip):
            draw()
        while True:
            self.position.before_batch()
            try:
                batch = draw()
            except StopIteration:
                return
            yield batch[0] if isinstance(self.loader, CombinedLoader) else batch


def _drawing(iterator: Iterator[Any], randomness: RandomStream, at_start_only: bool) -> Callable[[], Any]:
    if at_start_only:
        return iterator.__next__

    def draw() -> Any:
        with randomness:
            return next(iterator)

    return draw


def _epoch_seed(seed: int, epoch: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{epoch}".encode(), digest_size=4).digest(), "big")


def _set_epoch(loader: Iterable[Any], epoch: int) -> None:
    """Tell the samplers the epoch, as Lightning does for the loaders that it knows."""
    batch_sampler = getattr(loader, "batch_sampler", None)
    for sampler in (getattr(loader, "sampler", None), getattr(batch_sampler, "sampler", None)):
        if callable(set_epoch := getattr(sampler, "set_epoch", None)):
            set_epoch(epoch)
