"""The build of the table: what a kill leaves is kept, the rest is made again, and a damaged line is named."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from actsearch.errors import TaskError
from actsearch.tasks.tables import load_table

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_table.py"
ROW = {"function": "relu", "net": "deep", "normalise": True, "seed": 0}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_table"] = module
    spec.loader.exec_module(module)
    return module


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_a_torn_last_line_is_left_out_and_cut_off(script: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "parts.jsonl"
    path.write_bytes(lines(ROW, ROW | {"seed": 1}) + lines(ROW | {"seed": 2})[:-9])
    assert list(script.read_lines(path)) == [("deep", True, 0, "relu"), ("deep", True, 1, "relu")]
    script.drop_torn_line(path)
    assert path.read_bytes() == lines(ROW, ROW | {"seed": 1})


@pytest.mark.parametrize("line", [b"{broken\n", lines({"net": "deep"}), lines([1, 2])])
def test_a_damaged_line_is_one_sentence(script: ModuleType, tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "parts.jsonl"
    path.write_bytes(lines(ROW) + line + lines(ROW | {"seed": 1}))
    with pytest.raises(
        TaskError, match=r"^line 2 of '.*parts.jsonl' is damaged; delete it, and its fit is made again$"
    ):
        script.read_lines(path)


def test_nothing_to_pack_is_one_sentence(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^no fit has been made yet, so there is nothing to pack; '.*' is missing or"):
        script.main(["--space", "tiny", "--pack-only", "--parts", str(tmp_path), "--out", str(tmp_path / "t.npz")])


@pytest.mark.slow
def test_a_killed_build_goes_on_where_it_was(tmp_path: Path) -> None:
    command = [
        *(sys.executable, str(SCRIPT), "--space", "tiny", "--nets", "deep", "--n-steps", "20", "--rungs", "10", "20"),
        *("--n-seeds", "2", "--n-plain-seeds", "0", "--n-checked", "0", "--n-functions", "3", "--width", "1"),
        *("--workers", "1", "--nice", "0", "--parts", str(tmp_path), "--out", str(tmp_path / "t.npz")),
    ]
    parts = tmp_path / "tiny_mnist1d_20.jsonl"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (parts.exists() and parts.read_bytes().count(b"\n") >= 2):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    whole = parts.read_bytes()
    before = whole[: whole.rfind(b"\n") + 1]
    assert 2 <= before.count(b"\n") < 6
    parts.write_bytes(before + before.partition(b"\n")[0][:40])  # and a line that was torn
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = parts.read_bytes()
    assert after.startswith(before)
    rows = [json.loads(line) for line in after.splitlines()]
    assert len(rows) == len({(row["function"], row["seed"]) for row in rows}) == 6
    recorded = load_table(tmp_path / "t.npz").recorded("deep", True)
    assert recorded.metric.shape == (3, 2, 2)
    assert np.isfinite(recorded.metric).all()
    again = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    assert "6 fits are there, 0 are to be made" in again.stdout
    assert parts.read_bytes() == after
