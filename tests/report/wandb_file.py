"""A reader of wandb's run file, which has none in Python: records of protobuf in LevelDB's log format.

Format: 7 bytes of header, then blocks of 32 KiB; in each, chunks of crc (4 bytes), length (2), kind (1), data. Kinds:
1 whole, 2 first, 3 middle, 4 last. Reference: https://github.com/google/leveldb/blob/main/doc/log_format.md
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

BLOCK = 32 * 1024


def records(path: Path) -> Iterator[Any]:
    data = path.read_bytes()
    assert data[:4] == b":W&B"
    place, parts = 7, []
    while place + 7 <= len(data):
        left = BLOCK - place % BLOCK
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        if kind == 0:
            place += left
            continue
        parts.append(data[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in (1, 4):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


class Run:
    """What an offline run holds."""

    def __init__(self, folder: Path) -> None:
        (path,) = folder.glob("wandb/offline-run-*/*.wandb")
        self.files = path.parent / "files"
        self.config: dict[str, Any] = {}
        self.summary: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self.artifacts: dict[str, list[str]] = {}
        self.is_finished = False
        for record in records(path):
            self._take(record)

    def _take(self, record: Any) -> None:
        if record.HasField("run"):
            self.id, self.name = record.run.run_id, record.run.display_name
            self.config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif record.HasField("history"):
            self.history.append({_key(item): json.loads(item.value_json) for item in record.history.item})
        elif record.HasField("summary"):
            self.summary |= {_key(item): json.loads(item.value_json) for item in record.summary.update}
        elif record.HasField("artifact"):
            files = [entry.path for entry in record.artifact.manifest.contents]
            self.artifacts[f"{record.artifact.type}:{record.artifact.name}"] = files
        elif record.HasField("exit"):
            self.is_finished = True

    def table(self, name: str) -> dict[str, Any]:
        (path,) = (self.files / "media" / "table").glob(f"{name}_*.table.json")
        return dict(json.loads(path.read_text()))


def _key(item: Any) -> str:
    return str(item.key or "/".join(item.nested_key))
