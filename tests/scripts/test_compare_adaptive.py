"""Which training of relu an activation is compared with, and what is said of it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import actsearch

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare_adaptive.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compare_adaptive", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["compare_adaptive"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cell(script: ModuleType) -> Any:
    def fitted(name: str, tests: tuple[float, ...], n_parameters: int) -> Any:
        return script.Fitted(name, tests, n_parameters, factor=1.0, n_diverged=0)

    relu = fitted("relu", (0.5, 0.6, 0.7), 100)
    small, large = fitted("Snake", (0.6, 0.7, 0.81), 120), fitted("dear", (0.1, 0.2, 0.31), 900)
    wider = {1.0: relu, 1.25: fitted("relu", (0.55, 0.65, 0.75), 150)}
    longer = {1.0: relu, 1.5: fitted("relu", (0.6, 0.7, 0.8), 100)}
    times = {"relu": 1.0, "Snake": 1.6, "dear": 9.0, "1.25": 1.2}
    return script.Cell("toy", "mlp", {"relu": relu, "Snake": small, "dear": large}, wider, longer, times)


def test_controls_are_the_smallest_that_are_as_large_or_as_long(cell: Any) -> None:
    assert cell.of_equal_size("Snake")[0] == 1.25
    assert cell.of_equal_time("Snake")[0] == 1.5  # within a tenth
    assert cell.of_equal_time("relu")[0] == 1.0
    assert cell.of_equal_size("dear") is None
    assert cell.of_equal_time("dear") is None


def test_the_table_says_so(script: ModuleType, cell: Any) -> None:
    _, _, told, _, _, _, best, *_, relu, dear, wide, long, _ = script.table(cell)
    assert "same net, the interval above 0: 1 of 2; than relu with as many weights: 1 of the 2 that add some" in told
    assert "trained as long: 0 of the 2 that take longer" in told
    assert best.startswith("| Snake | 0.7033 | +0.1033 [")
    assert "(x 1.25)" in best
    assert best.endswith("| 120 | 1.60 | 1 |")
    assert relu.endswith("|  |  |  |  | 100 | 1.00 | 1 |")
    assert dear.count("none tried") == 2
    assert wide.startswith("| *relu, width x 1.25* | 0.6500 |")
    assert long.endswith("| 100 | 1.50 | 1 |")


def test_times_are_those_of_relu_where_it_is_relu(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "TIMED_STEPS", (1, 3))
    toy = actsearch.load_task("toy")
    times = script.times_of_a_step({"relu": (toy, "relu"), "Snake": (toy, "snake(granularity=channel)")}, "mlp")
    assert times.keys() == {"relu", "Snake"}
    assert times["relu"] == 1


def test_the_picture_is_drawn(script: ModuleType, cell: Any, tmp_path: Path) -> None:
    script.picture([cell], tmp_path / "cells.png")
    assert (tmp_path / "cells.png").read_bytes().startswith(b"\x89PNG")
