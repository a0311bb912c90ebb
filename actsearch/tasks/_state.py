"""The resumable state of a fit: one file, written atomically, checked when read.

The content is Lightning's own checkpoint. The file holds the digest of what follows, so half a file, a flipped bit or
a file of another kind is seen, and the fit starts from zero.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

_DIGEST_SIZE = 32
_log = logging.getLogger("actsearch")


class StateFile(CheckpointIO):
    """Lightning's door to the state file: hands out the state that was read before, and writes new ones."""

    def __init__(self, key: dict[str, Any], state: dict[str, Any] | None) -> None:
        self.key = key
        self.state = state

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write the state; on a full or read-only disk the fit goes on without, and would start again from zero."""
        # hyper-parameters may hold anything, activation factories among it, and are known from the job
        content = {name: value for name, value in checkpoint.items() if "hyper_parameters" not in name}
        try:
            _write(Path(path), {"key": self.key, "content": content})
        except OSError as error:
            _log.warning("cannot keep the state of a fit in %s (%s); it could not be resumed", path, error)

    def load_checkpoint(self, path: Any, map_location: Any | None = None, weights_only: bool | None = None) -> Any:
        """Return the state that was read when the fit began."""
        return self.state

    def remove_checkpoint(self, path: Any) -> None:
        """Remove the file."""
        Path(path).unlink(missing_ok=True)


def read_state(path: str | None, key: dict[str, Any]) -> dict[str, Any] | None:
    """Return the state of the fit that ``key`` identifies; None when there is none or it can't be used."""
    stored = None if path is None else _read(path)
    return stored["content"] if stored is not None and stored["key"] == key else None


def content_of(path: str) -> dict[str, Any]:
    """Return a state that was just written, whichever fit it is of."""
    stored = _read(path)
    assert stored is not None
    content: dict[str, Any] = stored["content"]
    return content


def _read(path: str) -> dict[str, Any] | None:
    try:
        data = Path(path).read_bytes()
    except OSError:
        return None
    if data[:_DIGEST_SIZE] != _digest(data[_DIGEST_SIZE:]):
        return None
    try:
        stored: dict[str, Any] = torch.load(io.BytesIO(data[_DIGEST_SIZE:]), weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        # whole, so it holds types that are not plain data: what a module or its callbacks add to a checkpoint
        reason = str(error).splitlines()[-1]
        _log.warning("the state in %s holds more than plain data, so the fit starts again (%s)", path, reason)
        return None
    return stored


def _write(path: Path, stored: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(stored, buffer)
    data = buffer.getvalue()
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_digest(data) + data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_SIZE).digest()
