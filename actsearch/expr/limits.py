"""What a function does towards plus or minus infinity, judged by its values far out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

KINDS = ("constant", "sublinear", "linear", "superlinear", "oscillating", "unknown")
"""Approaches a number; grows slower than x; approaches a multiple of x; grows faster; has no limit; not finite."""
# irregular, so that no period fits: two groups of points and their doubles
_NEAR = 1e4 * np.array([1.0, 1.2345678, 1.6180339, 2.7182818])
_RATIO = 1e3
_FAR = _RATIO * _NEAR
_SAME = 1e-3  # relative: what a function that approaches its limit as 1/x still changes by is far smaller
_SETTLED = 1e-4  # relative: a function with a limit changes by less within the points far out,
_NEARLY = 1e-2  # and by less from one group to the other


@dataclass(frozen=True)
class Limit:
    """What a function does towards one end.

    Attributes:
        kind: one of :data:`KINDS`.
        value: the limit of "constant", to 1e-6; infinite with its sign where the function grows without bound; NaN
            where there is no limit.
        slope: the slope of "linear" and its sign, to 1e-3; 0 for "constant"; NaN otherwise.
        low: the smallest value seen far out.
        high: the largest value seen far out.
    """

    kind: str
    value: float
    slope: float
    low: float
    high: float

    @property
    def range(self) -> tuple[float, float]:
        """What this end adds to the function's range."""
        if np.isinf(self.value):
            return self.value, self.value
        return (self.value, self.value) if self.kind == "constant" else (self.low, self.high)


def limit(function: Callable[[Array], Array], side: int) -> Limit:
    """Return what a vectorised function does towards infinity (``side`` 1) or minus infinity (``side`` -1).

    Example:
        >>> limit(np.tanh, -1).value, limit(lambda x: np.log1p(np.abs(x)), 1).kind
        (-1.0, 'sublinear')
        >>> limit(np.sin, 1).kind, limit(lambda x: 2 * x + 1, -1).slope
        ('oscillating', 2.0)
    """
    with np.errstate(all="ignore"):
        near, far = (np.asarray(function(side * points), dtype=np.float64) for points in (_NEAR, _FAR))
    both = np.concatenate([near, far])
    if np.isnan(both).any():
        return Limit("unknown", np.nan, np.nan, np.nan, np.nan)
    low, high = float(both.min()), float(both.max())
    if np.isinf(far).any():
        return Limit("superlinear", float(np.sign(far[-1])) * np.inf, np.nan, low, high)
    scale = max(1.0, float(np.abs(far).max()))
    if np.ptp(far) <= _SETTLED * scale and np.ptp(both) <= _NEARLY * scale:
        value = float(
            far[-1] + (far[-1] - near[-1]) / (_RATIO - 1)
        )  # exact for an approach as 1/x, and for faster ones
        return Limit("constant", _rounded(value), 0.0, low, high)
    return _growing(near, far, side, low, high)


def _growing(near: Array, far: Array, side: int, low: float, high: float) -> Limit:
    slopes = [np.diff(y) / np.diff(x) for x, y in ((side * _NEAR, near), (side * _FAR, far))]
    typical = [float(np.abs(slope).max()) for slope in slopes]
    signs = np.sign(np.concatenate([near, far]))
    infinite = float(signs[-1]) * np.inf
    one_sign = bool(np.all(signs == signs[-1]) and np.all(np.sign(np.concatenate(slopes)) == side * signs[-1]))
    mean = float(slopes[1].mean())
    if typical[1] > _SETTLED and np.abs(slopes[1] - mean).max() <= _SAME * abs(mean):
        if np.abs(slopes[0] - mean).max() <= _SAME * abs(mean):
            return Limit("linear", infinite, _rounded(mean), low, high)
        return Limit("superlinear" if typical[1] > typical[0] else "sublinear", infinite, np.nan, low, high)
    if not one_sign:
        grows = float(np.abs(far).max()) > 100 * float(np.abs(near).max())
        return Limit("oscillating", np.nan, np.nan, -np.inf if grows else low, np.inf if grows else high)
    return Limit("superlinear" if typical[1] > typical[0] else "sublinear", infinite, np.nan, low, high)


def _rounded(value: float) -> float:
    """Return a value without the last digits, which are the function's distance from its limit."""
    return round(value, 6) + 0.0
