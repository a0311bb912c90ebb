"""Proxies against recorded fits: what a proxy that knows, or does not know, is found to be worth; and the page."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from actsearch.study.proxies import proxy_names
from actsearch.study.replay import Recording
from actsearch.tasks.tables import save_table
from tests.tasks.small_table import small_table

SCRIPTS = Path(__file__).parents[2] / "scripts"
N = 400


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("compare_proxies", SCRIPTS / "compare_proxies.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["compare_proxies"] = module
    sys.path.insert(0, str(SCRIPTS))
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(SCRIPTS))


def arena(script: ModuleType, sign: int) -> object:
    """Return a net where edge_of_chaos tells the end (reversed with sign -1), and other proxies nothing."""
    rng = np.random.default_rng(0)
    end = rng.random(N)
    metric = np.repeat(end[:, None, None], 2, axis=1) + 0.01 * rng.normal(size=(N, 2, 1))
    badness = {name: rng.random(N) for name in proxy_names()}
    badness["edge_of_chaos"] = -sign * end + 0.2 * rng.normal(size=N)
    badness["fisher"][: N // 4] = np.inf
    return script.Arena("deep", True, Recording(("",) * N, np.arange(N), metric), badness)


def test_a_proxy_that_knows_is_positive_and_gains(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["_proxy_gains"], "N_TUNING", 20)
    monkeypatch.setattr(sys.modules["_proxy_gains"], "proxy_names", lambda: ["edge_of_chaos", "ntk_condition"])
    judge, same, reversed_ = (arena(script, sign) for sign in (1, 1, -1))
    assert judge.correlation("edge_of_chaos").low > 0.6
    assert reversed_.correlation("edge_of_chaos").high < -0.6
    assert abs(judge.correlation("fisher").rho) < 0.2
    assert judge.between_seeds(0).rho > 0.95
    found = {gain.rule.name: gain for gain in script.gains(judge, same, 150)}
    knowing = found["edge_of_chaos"]
    assert knowing.rule.share == 0.75
    assert str(knowing.rule) == "the 75% with high values"
    assert knowing.changes[0].high < 0
    assert knowing.ratio[2] < 0.8
    assert knowing.to_best[1] < knowing.to_best[0]
    assert not found["ntk_condition"].is_gain
    # what helps in one net and harms in the other is a loss where it is judged
    harmful = {gain.rule.name: gain for gain in script.gains(judge, reversed_, 150)}["edge_of_chaos"]
    assert harmful.rule.is_reversed
    assert harmful.changes[0].low > 0


@pytest.mark.slow
def test_a_file_of_proxies_is_taken_up(script: ModuleType, tmp_path: Path) -> None:
    from _proxy_values import measure_all

    keys = [("deep", True, "relu"), ("deep", True, "tanh")]
    path = tmp_path / "proxies.jsonl"
    first = measure_all(keys[:1], "mnist1d", path, 1)
    both = measure_all(keys, "mnist1d", path, 1)
    assert len(path.read_text().splitlines()) == 2
    assert both[keys[0]] == first[keys[0]]
    assert set(both[keys[1]]) == set(proxy_names())


@pytest.mark.slow
def test_the_page(script: ModuleType, tmp_path: Path) -> None:
    save_table(small_table(), tmp_path / "small.npz")
    places = ["--parts", str(tmp_path), "--out", str(tmp_path), "--workers", "1"]
    script.main(["--table", str(tmp_path / "small.npz"), "--n-repeats", "20", *places])
    page = (tmp_path / "proxies.md").read_text()
    assert page.count("| edge_of_chaos | low |") == 2
    assert "## What spending proposals by them saves" in page
    assert (tmp_path / "proxies.png").stat().st_size > 10_000
