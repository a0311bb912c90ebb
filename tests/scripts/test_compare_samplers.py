"""The figures of the samplers' comparison; the comparison itself is a script."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from _samplers_arena import Arena
from _samplers_page import Judged, aims, median_interval, ratio_interval, verdict
from _samplers_search import Job, Run, Searches

from actsearch.tasks.tables import table_path


def _judged(name: str, regrets: list[float], n_to_best: list[float]) -> Judged:
    runs = [Run(np.full(4, r), n, np.full(4, np.nan)) for r, n in zip(regrets, n_to_best, strict=True)]
    return Judged("deep", name, "one by one", {}, 4, runs)


def test_medians_stand_where_some_never_find() -> None:
    values = np.array([3.0, 5.0, 9.0, np.inf, np.inf])
    middle, low, high = median_interval(values)
    assert middle == 9
    assert low < 9 < high == np.inf


def test_ratio_is_paired() -> None:
    values = np.arange(1.0, 42.0)
    ratio, low, high = ratio_interval(values, 2 * values)
    assert (ratio, low, high) == (0.5, 0.5, 0.5)  # whatever is drawn, both have it
    assert ratio_interval(values, np.full(41, np.inf))[0] == 0


def test_verdict_names_the_best_other() -> None:
    ours = _judged("surrogate", [0.01, 0.02, 0.01], [4, 5, 6])
    others = [_judged("tpe", [0.03, 0.03, 0.05], [9, 10, 12]), _judged("random", [0.05, 0.06, 0.04], [19, 10, 12])]
    lines = verdict([ours, *others, _judged("exhaustive", [0.0] * 3, [1, 1, 1])], [4])
    assert lines[0].startswith("| deep | regret after 4 | 1.33 | 3.67 (tpe) | -2.33 [")
    assert lines[1].startswith("| deep | evaluations to the best 1 % | 5 | 10 (tpe) | ratio 0.50 [")


def test_aims_say_where_the_surrogate_is_the_lowest() -> None:
    def judged(name: str, after: tuple[float, float, float]) -> Judged:
        regret = np.repeat(after, [50, 50, 100])
        return Judged("deep", name, "one by one", {}, 200, [Run(regret, 9.0, np.full(200, np.nan))])

    lines = aims(
        [judged("surrogate", (0.3, 0.1, 0.2)), judged("tpe", (0.2, 0.2, 0.2)), judged("exhaustive", (0, 0, 0))]
    )
    assert lines == ["- deep, by what was seen: the lowest mean regret after 100 of 50, 100, 200."]


@pytest.mark.slow
def test_a_comparison_that_was_killed_goes_on(tmp_path: Path) -> None:
    table = table_path("aquasurf_mnist1d")
    jobs = [Job(str(table), "deep", "one by one", "random", {}, 12, seed, False) for seed in range(3)]
    with Searches(1, tmp_path, table) as searches:
        whole = searches.of(jobs)
    (file,) = tmp_path.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    file.write_bytes(lines[0] + lines[1] + lines[2][:20])
    with Searches(1, tmp_path, table) as searches:
        again = searches.of(jobs)
    assert file.read_bytes().splitlines()[:2] == [line.rstrip() for line in lines[:2]]
    for one, other in zip(whole, again, strict=True):
        np.testing.assert_allclose(one.regret, other.regret, atol=1e-7)  # the file has eight digits


def test_a_search_is_judged_by_seeds_that_it_does_not_see() -> None:
    values = np.array([[0.9, 0.1, 0.3], [0.5, 0.6, 0.6], [0.4, 0.4, 0.5]])
    arena = Arena(np.arange(3), values, 0.1)
    np.testing.assert_allclose(arena.truth(0), [0.2, 0.6, 0.45])
    assert arena.is_best(0)[1]
    pooled = np.sqrt(values.var(axis=1, ddof=1).mean() / 2)
    assert arena.standard_error == pytest.approx(pooled)
