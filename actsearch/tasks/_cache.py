"""Arrays kept on disk between runs; what is missing, damaged or unwritable is made again."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[np.generic]]


def cache_folder() -> Path:
    """Return the folder for cached data: ``$XDG_CACHE_HOME/actsearch``, or where the platform keeps caches."""
    if home := os.environ.get("XDG_CACHE_HOME"):
        return Path(home) / "actsearch"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "actsearch"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "actsearch" / "Cache"
    return Path.home() / ".cache" / "actsearch"


def cached(name: str, make: Callable[[], Arrays], is_whole: Callable[[Arrays], bool]) -> Arrays:
    """Return arrays from the cache, or make them and keep them there.

    Files are written aside and renamed, so that a reader sees all or nothing and processes may write at once. Where
    the disk is full or read-only, it works without a cache.

    Args:
        name: the file's name without suffix; it tells all that the content depends on.
        make: makes the arrays.
        is_whole: whether arrays that were read have the names, shapes and types expected.
    """
    try:
        path = cache_folder() / f"{name}.npz"
    except RuntimeError:  # no home folder
        return make()
    arrays = _read(path)
    if arrays is None or not is_whole(arrays):
        arrays = make()
        with contextlib.suppress(OSError):
            _write(path, arrays)
    return arrays


def _read(path: Path) -> Arrays | None:
    try:
        # np.load leaves a damaged file open unless it was opened for it
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            # reading an entry compares it with its checksum
            return {key: archive[key] for key in archive.files}
    except Exception:
        # a flipped bit makes zipfile, zlib and NumPy raise errors of a dozen kinds, and each means: make it again
        return None


def _write(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
