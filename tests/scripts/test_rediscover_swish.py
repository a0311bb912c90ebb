"""The parts of the rediscovery that a result hangs on; the run itself is a script."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "rediscover_swish.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rediscover_swish", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rediscover_swish"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("text", ["x*sigmoid(x)", "3*silu(x) - 1", "x*sigmoid(1.702*x)", "x - silu(x)", "gelu(x)"])
def test_swish_like(script: ModuleType, text: str) -> None:
    assert script.is_swish_like(text)


@pytest.mark.parametrize("text", ["max(x, 0)", "min(x, 0) + 1", "2*x + 1", "tanh(x)", "log(x)", "x*sigmoid(9*x)"])
def test_not_swish_like(script: ModuleType, text: str) -> None:
    assert not script.is_swish_like(text)


def test_percentile_and_enrichment(script: ModuleType) -> None:
    ranked = [("x*sigmoid(x)", 3.0), ("x - exp(x)", 2.0), *((f"x**2 + {k}", 1.0 - k) for k in range(48))]
    seed = script.Seed(ranked, {"gelu": 2.5})
    assert seed.percentile("x*sigmoid(x)") == 0
    assert seed.percentile("sigmoid(x)*x") == 0  # the function counts, not its text
    assert seed.percentile("gelu") == 2
    assert script.enrichment([seed, seed]) == script.Enrichment(2, 2, 2, 100)
    assert script.enrichment([seed], ["silu(x)"]) == script.Enrichment(0, 1, 0, 49)
