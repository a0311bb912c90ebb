"""MNIST-1D comes from the package's generator, as published; the cache is never in the way."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mnist1d.data
import numpy as np
import pytest
import torch

from actsearch.tasks import _cache, _mnist1d_data


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Small validation and test splits, and a cache of their own; returns the cache's folder."""
    monkeypatch.setattr(_mnist1d_data, "SIZES", {"train": 60, "val": 100, "test": 200})
    monkeypatch.setattr(_mnist1d_data, "_N_PUBLISHED", 100)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _mnist1d_data.splits.cache_clear()
    yield tmp_path / "actsearch"
    _mnist1d_data.splits.cache_clear()


def test_training_examples_are_the_published_ones() -> None:
    """They differ from the package's own data set by the affine map of standardisation alone."""
    published = mnist1d.data.make_dataset()
    (x, y), *_ = _mnist1d_data.splits()
    assert x.shape == (4_000, 40)
    assert np.array_equal(y.numpy(), published["y"])
    theirs = published["x"]
    theirs = (theirs - theirs.mean()) / theirs.std()
    assert np.abs(x.numpy() - theirs).max() < 1e-5


def test_sizes_and_standardisation_by_the_training_split_alone() -> None:
    train, val, test = _mnist1d_data.splits()
    assert [len(y) for _, y in (train, val, test)] == [4_000, 4_000, 10_000]
    assert train[0].mean().item() == pytest.approx(0.0, abs=1e-5)
    assert train[0].std(correction=0).item() == pytest.approx(1.0, abs=1e-5)
    for x, y in (val, test):
        assert x.mean().item() != pytest.approx(0.0, abs=1e-5)
        assert torch.bincount(y).tolist() == [len(y) // 10] * 10


def test_all_generated_examples_are_those_of_the_package() -> None:
    settings = mnist1d.data.get_dataset_args()
    settings.num_samples, settings.seed, settings.train_split = 50, 7, 1.0
    theirs = mnist1d.data.make_dataset(settings)
    x, y = _mnist1d_data.examples(7, 50)
    assert np.array_equal(y, theirs["y"])
    assert np.array_equal((x - x.mean()) / x.std(), theirs["x"])


def test_nothing_is_downloaded_and_random_states_stay(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("requests.get", refuse)
    monkeypatch.setattr(mnist1d.data, "get_dataset", refuse)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    _mnist1d_data.splits(5)
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_seeds_give_other_data_and_the_same_again(small: Path) -> None:
    def fresh(seed: int | None) -> Any:
        _mnist1d_data.splits.cache_clear()
        return torch.cat([x for x, _ in _mnist1d_data.splits(seed)])

    first = fresh(1)
    assert not torch.equal(first, fresh(2))
    assert not torch.equal(first, fresh(None))
    (small / "x").parent.rename(small.parent / "away")
    assert torch.equal(first, fresh(1))


def read(seed: int) -> list[Any]:
    """Return what a process that starts now sees."""
    _mnist1d_data.splits.cache_clear()
    return [part.tolist() for split in _mnist1d_data.splits(seed) for part in split]


def test_the_cache_is_read_and_holds_no_pickles(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(1)
    assert len(list(small.iterdir())) == 1

    def never(*arguments: Any) -> Any:
        raise AssertionError("generated again")

    monkeypatch.setattr(_mnist1d_data, "_generate", never)
    assert read(1) == first


def test_a_damaged_cache_is_made_again(small: Path) -> None:
    good = read(1)
    (path,) = small.iterdir()
    content = path.read_bytes()
    for position in range(0, len(content), len(content) // 6):
        flipped = content[:position] + bytes([content[position] ^ 255]) + content[position + 1 :]
        for damaged in (content[:position], flipped):
            path.write_bytes(damaged)
            assert read(1) == good
    np.savez(path, other=np.zeros(3))
    assert read(1) == good
    np.savez(path, allow_pickle=True, x_train=np.array([{}], dtype=object))
    assert read(1) == good
    assert [file.name for file in small.iterdir()] == [path.name]


def test_it_works_without_a_cache(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = read(1)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/nowhere")
    assert read(1) == good

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("XDG_CACHE_HOME", str(small / "other"))
    monkeypatch.setattr(np, "savez", full)
    assert read(1) == good
    assert list((small / "other" / "actsearch").iterdir()) == []


def test_the_cache_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert _cache.cache_folder() == tmp_path / "actsearch"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(sys, "platform", "linux")
    assert _cache.cache_folder() == Path.home() / ".cache" / "actsearch"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert _cache.cache_folder() == Path.home() / "Library" / "Caches" / "actsearch"


@pytest.mark.slow
def test_processes_may_make_the_same_data_at_once(tmp_path: Path) -> None:
    code = (
        "from actsearch.tasks import _mnist1d_data as data; data.SIZES = {'train': 500, 'val': 500, 'test': 500}; "
        "print([float(x.double().sum()) for x, _ in data.splits(3)])"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = {process.communicate()[0] for process in running}
    assert len(said) == 1
    assert said != {""}
    assert len(list((tmp_path / "actsearch").iterdir())) == 1
