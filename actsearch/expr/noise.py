"""Whether what a fit leaves over looks like noise: the level of noise in samples, and a test for lack of fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

Array = npt.NDArray[np.float64]

_N_BINS = 64
_SIGNIFICANCE = 1e-3  # how often a function that is right is refused
_TO_DEVIATION = 1.4826  # the standard deviation of normal noise over its median absolute value


def noise_level(x: Array, y: Array) -> float:
    """Return the standard deviation of the noise in samples of a smooth curve, steps and kinks apart.

    Each sample is compared with the line through its neighbours in x; the median makes jumps count nothing. A curve
    without noise gives what its curvature between three neighbours is: close to 0.

    Args:
        x: where, ascending, shape (n,).
        y: the values there.

    Reference: Gasser, Sroka, Jennen-Steinmetz 1986, Biometrika 73, 625.
    """
    gap = x[2:] - x[:-2]
    left = np.divide(x[2:] - x[1:-1], gap, out=np.full_like(gap, 0.5), where=gap > 0)
    residual = left * y[:-2] + (1 - left) * y[2:] - y[1:-1]
    return float(_TO_DEVIATION * np.median(np.abs(residual) / np.sqrt(left**2 + (1 - left) ** 2 + 1)))


@dataclass(frozen=True)
class Curve:
    """Samples of a curve, ascending in x, and how close a function has to come to them.

    Attributes:
        x: where, float64 of shape (n,).
        y: the values there.
        noise: standard deviation of the noise in y; 0 for none.
        max_error: largest error of a function that may be called the curve's, noise apart.
    """

    x: Array
    y: Array
    noise: float
    max_error: float

    @cached_property
    def bins(self) -> npt.NDArray[np.intp]:
        """Where bins of equal numbers of neighbours start."""
        n = len(self.x)
        return np.unique(np.linspace(0, n, min(_N_BINS, n), endpoint=False).astype(np.intp))

    @cached_property
    def sizes(self) -> Array:
        """How many samples each bin has."""
        return np.diff(np.append(self.bins, len(self.x))).astype(np.float64)

    def means(self, values: Array) -> Array:
        """Return the means over bins of values of shape (..., n)."""
        return np.add.reduceat(values, self.bins, axis=-1) / self.sizes

    def error(self, fitted: Array) -> Array:
        """Return the largest error of functions of shape (..., n); of noisy samples the largest of a bin's mean."""
        residual = fitted - self.y
        return np.abs(self.means(residual) if self.noise else residual).max(axis=-1)

    def excuses(self, fitted: Array) -> npt.NDArray[np.bool_]:
        """Whether what functions of shape (..., n) leave over is at most ``max_error`` and noise.

        With noise the bins' means beyond ``max_error`` are held against their standard errors, all at once (a
        chi-squared test) and one by one, so that neither a small error everywhere nor a large one in a corner passes.
        """
        residual = fitted - self.y
        if not self.noise:
            return np.asarray(np.abs(residual).max(axis=-1) <= self.max_error)
        excess = np.maximum(np.abs(self.means(residual)) - self.max_error, 0.0) / (self.noise / np.sqrt(self.sizes))
        together, alone = _limits(len(self.sizes))
        return np.asarray(((excess**2).sum(axis=-1) <= together) & (excess.max(axis=-1) <= alone))


@lru_cache(maxsize=64)
def _limits(n: int) -> tuple[float, float]:
    """Return what the sum of squares of n standard normal numbers, and the largest of them, hardly ever exceed."""
    return float(stats.chi2.ppf(1 - _SIGNIFICANCE, n)), float(stats.norm.ppf(1 - _SIGNIFICANCE / (2 * n)))
