"""The MNIST-1D data, from the package's generator; its downloader is never called.

Reference: Greydanus & Kobak 2024, "Scaling Down Deep Learning with MNIST-1D", arXiv:2011.14439.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from actsearch.tasks._cache import Arrays, cached
from actsearch.tasks._rng import preserved
from actsearch.tasks._tensors import Splits

N_CLASSES = 10
N_INPUTS = 40
# The published set: 5,000 examples of seed 42, of which the first 4,000 are for training.
_PUBLISHED_SEED = 42
_N_PUBLISHED = 5_000
SIZES = {"train": 4_000, "val": 4_000, "test": 10_000}


@lru_cache(maxsize=2)
def splits(seed: int | None = None) -> Splits:
    """Return the training, validation and test split, standardised by mean and deviation of the training split alone.

    Each is ``(x, y)``: x of shape (n, 40), float32, and y of shape (n,), int64, classes 0 to 9; n is 4,000, 4,000 and
    10,000. The global random states are left as they were.

    Args:
        seed: None for the training examples as published; a number for freshly generated splits.
    """
    name = f"mnist1d-{version('mnist1d')}-{'published' if seed is None else seed}"
    arrays = cached(name, lambda: _generate(seed), _is_whole)
    mean, deviation = arrays["x_train"].mean(dtype=np.float64), arrays["x_train"].std(dtype=np.float64)

    def split(part: str) -> tuple[torch.Tensor, torch.Tensor]:
        x = (arrays[f"x_{part}"] - mean) / deviation
        return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(arrays[f"y_{part}"].astype(np.int64))

    return split("train"), split("val"), split("test")


def examples(seed: int, n: int) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return n raw examples in the order of the package's ``make_dataset`` under the same seed.

    Args:
        seed: of NumPy's and :mod:`random`'s global generators, which the package draws from. Range [0, 2**32).
        n: number of examples, a multiple of 10: the classes are balanced.

    Returns:
        Signals of shape (n, 40), neither centred nor scaled, and labels of shape (n,).
    """
    # importing these loads matplotlib and requests, so it is left until data have to be made
    from mnist1d.data import get_dataset_args, get_templates
    from mnist1d.transform import transform
    from mnist1d.utils import set_seed

    settings, templates = get_dataset_args(), get_templates()
    with preserved():
        set_seed(seed)
        signals = [
            transform(template, templates["t"], settings)[0]
            for template in templates["x"]
            for _ in range(n // N_CLASSES)
        ]
        order = np.random.permutation(n)  # noqa: NPY002 - the package's own draw
    labels = np.repeat(templates["y"], n // N_CLASSES)
    return np.stack(signals)[order], labels[order].astype(np.uint8)


def _generate(seed: int | None) -> Arrays:
    arrays: dict[str, NDArray[Any]] = {}
    for part, n in SIZES.items():
        if seed is None and part == "train":
            x, y = examples(_PUBLISHED_SEED, _N_PUBLISHED)
        else:
            x, y = examples(_part_seed(seed, part), n)
        arrays[f"x_{part}"], arrays[f"y_{part}"] = x[:n].astype(np.float32), y[:n]
    return arrays


def _part_seed(seed: int | None, part: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"mnist1d\0{seed}\0{part}".encode(), digest_size=4).digest(), "big")


def _is_whole(arrays: Arrays) -> bool:
    shapes = {f"x_{part}": (n, N_INPUTS) for part, n in SIZES.items()} | {
        f"y_{part}": (n,) for part, n in SIZES.items()
    }
    return {name: array.shape for name, array in arrays.items()} == shapes and all(
        np.isfinite(array).all() for array in arrays.values()
    )
