"""The score: metrics in units of seed luck."""

from __future__ import annotations

import numpy as np
import pytest

from actsearch.study.scale import Scale, cell_scale


def _panel(direction: str = "maximize", chance: float | None = 0.1):
    # metric at two rungs, three replicates
    fits = {
        "relu": [[0.5, 0.70], [0.4, 0.72], [0.6, 0.74]],
        "silu": [[0.5, 0.80], [0.5, 0.84], [0.5, 0.88]],
        "tanh": [[0.3, 0.60], [0.3, 0.66], [0.3, 0.60]],
    }
    return fits, cell_scale(fits, direction, chance)


def test_score_is_the_distance_to_the_median_in_pooled_standard_deviations() -> None:
    fits, scale = _panel()
    for rung in (0, 1):
        metrics = np.array([[curve[rung] for curve in curves] for curves in fits.values()])
        pooled = np.sqrt(metrics.var(axis=1, ddof=1).mean())
        median = np.median(metrics.mean(axis=1))
        assert scale.score(0.9, rung) == pytest.approx((0.9 - median) / pooled)
    assert scale.chance == pytest.approx(scale.score(0.1))


def test_where_the_metric_is_minimised_less_is_more() -> None:
    _, scale = _panel("minimize", None)
    assert scale.score(0.1) > 0 > scale.score(0.9)
    assert scale.chance < scale.score(0.88)


def test_chance_without_a_level_is_below_the_worst_fit() -> None:
    _, scale = _panel(chance=None)
    assert scale.chance == pytest.approx(scale.score(0.6) - 3)


def test_a_panel_without_any_seed_variation_is_scaled_by_its_spread() -> None:
    scale = cell_scale({"relu": [[0.5], [0.5]], "silu": [[0.7], [0.7]]}, "maximize", None)
    assert scale.units[0] == pytest.approx(np.std([0.5, 0.7], ddof=1))
    alike = cell_scale({"relu": [[0.5], [0.5]], "silu": [[0.5], [0.5]]}, "maximize", 0.1)
    assert alike.score(0.6) == pytest.approx(0.1)


def test_over_cells_the_score_is_the_mean_each_at_its_rung() -> None:
    _, one = _panel()
    _, two = _panel(chance=0.3)
    scale = Scale({"a": one, "b": two})
    assert scale.score({"a": (0.9, -1), "b": (0.6, 0)}) == pytest.approx((one.score(0.9) + two.score(0.6, 0)) / 2)
    assert scale.chance == pytest.approx((one.chance + two.chance) / 2)
