"""Tables on disk: one .npz file without pickles, with everything that made it inside."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from actsearch.errors import TaskError, suggest
from actsearch.tasks.tables.table import Table

FORMAT = 1
_FOLDER = Path(__file__).parent
_COLUMNS = ("function", "net", "normalise", "seed", "metric", "val_loss", "train_loss", "test", "diverged", "seconds")


def table_names() -> list[str]:
    """Return the names of the tables that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.npz"))


def load_table(name_or_path: str | os.PathLike[str] = "aquasurf_mnist1d") -> Table:
    """Return a table that comes with the package, or one from a file.

    Args:
        name_or_path: a name of :func:`table_names`, or the path of an ``.npz`` file.

    Raises:
        TaskError: there is no such table, or the file is damaged or no table.
    """
    path = table_path(name_or_path)
    return _load(path, path.stat().st_mtime_ns)


def table_path(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the file of a table.

    Raises:
        TaskError: there is no such table.
    """
    name = os.fspath(name_or_path)
    if name.endswith(".npz") or os.sep in name:
        path = Path(name)
        if not path.is_file():
            raise TaskError(f"there is no table file {name!r}; scripts/build_table.py makes one")
    else:
        path = _FOLDER / f"{name}.npz"
        if not path.is_file():
            known = table_names()
            raise TaskError(f"unknown table {name!r}{suggest(name, known)} (known: {', '.join(known) or 'none'})")
    return path


def save_table(table: Table, path: str | os.PathLike[str]) -> None:
    """Write a table, aside and then renamed, so that a reader sees all of it or what was there before."""
    path = Path(path)
    arrays: dict[str, Any] = {
        "functions": _pack(table.functions),
        "reasons": _pack(table.reasons),
        "classes_normalised": np.char.encode(table.classes[True], "ascii"),
        "classes_plain": np.char.encode(table.classes[False], "ascii"),
        "candidates": table.candidates.astype(np.int16),
        "meta": _pack([json.dumps({"format": FORMAT, **table.meta})]),
        **{f"fit_{name}": table.rows[name] for name in _COLUMNS},
    }
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


@lru_cache(maxsize=4)
def _load(path: Path, changed: int) -> Table:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}  # compares each entry with its checksum
        meta = json.loads(_unpack(arrays["meta"])[0])
        table = Table(
            functions=_unpack(arrays["functions"]),
            reasons=_unpack(arrays["reasons"]),
            classes={
                True: np.char.decode(arrays["classes_normalised"], "ascii"),
                False: np.char.decode(arrays["classes_plain"], "ascii"),
            },
            candidates=arrays["candidates"].astype(np.int64),
            rows={name: arrays[f"fit_{name}"] for name in _COLUMNS},
            meta=meta,
        )
        fault = _fault(table)
    except Exception as error:  # a flipped bit makes zipfile, zlib, NumPy and json raise errors of a dozen kinds
        raise TaskError(
            f"the table file {str(path)!r} is damaged or no table ({type(error).__name__}: {error})"
        ) from error
    if fault:
        raise TaskError(f"the table file {str(path)!r} is damaged or no table ({fault})")
    return table


def _fault(table: Table) -> str:
    if table.meta["format"] != FORMAT:
        return f"its format is {table.meta['format']}, and {FORMAT} is known"
    n = len(table.functions)
    if any(len(part) != n for part in (table.reasons, table.classes[True], table.classes[False])):
        return "its functions and their classes differ in number"
    if len({len(column) for column in table.rows.values()}) != 1 or table.rows["metric"].shape[1:] != (
        len(table.rungs),
    ):
        return "its columns differ in length"
    return ""


def _pack(texts: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer("\n".join(texts).encode(), dtype=np.uint8)


def _unpack(array: np.ndarray[Any, np.dtype[np.uint8]]) -> tuple[str, ...]:
    return tuple(array.tobytes().decode().split("\n"))
