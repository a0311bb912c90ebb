"""The global random states of torch, NumPy and :mod:`random`, which users' modules and data sets draw from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

_NumpyState = tuple[str, NDArray[np.uint32], int, int, float]


def collect() -> dict[str, Any]:
    """Return all global random states as plain data, which ``torch.load(weights_only=True)`` reads."""
    # users' transforms draw from NumPy's global state, so it has to be kept
    name, keys, position, has_gauss, gauss = cast(_NumpyState, np.random.get_state(legacy=True))  # noqa: NPY002
    states: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(gauss)),
    }
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = torch.cuda.get_rng_state_all()
    return states


def restore(states: dict[str, Any]) -> None:
    """Set all global random states to what :func:`collect` returned."""
    torch.set_rng_state(states["torch"])
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    if "cuda" in states:
        torch.cuda.set_rng_state_all(states["cuda"])


def seed_all(seed: int) -> None:
    """Seed all global random states. Range of ``seed``: [0, 2**32)."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002


@contextmanager
def preserved() -> Iterator[None]:
    """Leave the global random states as they were, whatever is drawn inside."""
    states = collect()
    try:
        yield
    finally:
        restore(states)


class RandomStream:
    """A stream of global randomness of its own: what is drawn inside ``with stream:`` moves this stream alone.

    Batches come out of one, so that neither dropout nor an activation that draws can change the order of the data.
    """

    def __init__(self, seed: int) -> None:
        with preserved():
            seed_all(seed)
            self._inside = collect()
        self._outside: dict[str, Any] | None = None

    def __enter__(self) -> None:
        self._outside = collect()
        restore(self._inside)

    def __exit__(self, *error: object) -> None:
        assert self._outside is not None
        self._inside = collect()
        restore(self._outside)
