"""The score: a metric in units of luck.

In one cell at one rung, score = sign * (metric - median over the panel) / (the panel's pooled seed standard
deviation), sign being +1 where the metric is maximised. A candidate's score is the mean over its cells, so a score of 2
means: two seed standard deviations above the middle of the panel.
"""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_log = logging.getLogger(__name__)

_NO_CHANCE_UNITS = 3.0  # a task without a chance level: this far below the panel's worst fit

Curves = Mapping[str, Mapping[str, Sequence[float | None]]]
"""The contract of the trial attribute ``curves``: {cell: {"steps": ..., "metric": ..., ...}}."""


@dataclass(frozen=True)
class CellScale:
    """Median and unit of one cell at each rung, and the score of a fit at chance level."""

    sign: int
    medians: tuple[float, ...]
    units: tuple[float, ...]
    chance: float

    def score(self, metric: float, rung: int = -1) -> float:
        """Return the score of a metric that was measured at a rung."""
        return self.sign * (metric - self.medians[rung]) / self.units[rung]


@dataclass(frozen=True)
class Scale:
    """The scales of all cells."""

    cells: Mapping[str, CellScale]

    @property
    def chance(self) -> float:
        """The score of a candidate that is at chance level in every cell."""
        return statistics.fmean(cell.chance for cell in self.cells.values())

    def score(self, metrics: Mapping[str, tuple[float, int]]) -> float:
        """Return the mean score over the cells given as {cell: (metric, rung)}."""
        return statistics.fmean(self.cells[cell].score(metric, rung) for cell, (metric, rung) in metrics.items())


def cell_scale(panel: Mapping[str, Sequence[Sequence[float]]], direction: str, chance: float | None) -> CellScale:
    """Return the scale of a cell.

    Args:
        panel: {baseline: for each replicate its metric at each rung}, fits that did not diverge.
        direction: "maximize" or "minimize".
        chance: the metric at chance level; None: three units below the worst fit of the panel.

    Example:
        >>> scale = cell_scale({"relu": [[0.5], [0.7]], "silu": [[0.8], [1.0]]}, "maximize", 0.1)
        >>> round(scale.medians[0], 3), round(scale.units[0], 3), round(scale.score(0.75), 3)
        (0.75, 0.141, 0.0)
    """
    sign = 1 if direction == "maximize" else -1
    n_rungs = min(len(curve) for fits in panel.values() for curve in fits)
    at = [{name: [curve[rung] for curve in fits] for name, fits in panel.items()} for rung in range(n_rungs)]
    medians = tuple(statistics.median(statistics.fmean(fits) for fits in metrics.values()) for metrics in at)
    units = tuple(_unit(list(metrics.values())) for metrics in at)
    if chance is None:
        worst = min(sign * metric for fits in at[-1].values() for metric in fits)
        chance = sign * (worst - _NO_CHANCE_UNITS * units[-1])
    return CellScale(sign, medians, units, sign * (chance - medians[-1]) / units[-1])


def _unit(fits: Sequence[Sequence[float]]) -> float:
    """Return the pooled seed standard deviation; where seeds make no difference at all, the spread of the panel."""
    repeated = [metrics for metrics in fits if len(metrics) > 1]
    freedom = sum(len(metrics) - 1 for metrics in repeated)
    if freedom:
        pooled = math.sqrt(sum(statistics.variance(metrics) * (len(metrics) - 1) for metrics in repeated) / freedom)
        if _usable(pooled, fits):
            return pooled
    means = [statistics.fmean(metrics) for metrics in fits]
    spread = statistics.stdev(means) if len(means) > 1 else 0.0
    _log.info("the panel does not vary with the seed here; scores are in units of its spread instead")
    return spread if _usable(spread, fits) else 1.0


def _usable(unit: float, fits: Sequence[Sequence[float]]) -> bool:
    """Return whether a unit is above the rounding of the metrics it came from."""
    size = max(abs(metric) for metrics in fits for metric in metrics)
    return math.isfinite(unit) and unit > 1e-9 * max(size, 1e-300)
