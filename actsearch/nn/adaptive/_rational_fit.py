"""The rational function of given degrees that is nearest to a function, in the sense of the largest error on a range.

Differential correction: each iteration is a linear program that asks for a smaller largest error, measured by the
denominator of the iteration before; it converges to the best approximation on the grid. The denominator's absolute
values are made linear by asking for their sign, so that what is fitted is the very function that the module computes.

Reference: Barrodale, Powell, Roberts 1972, "The differential correction algorithm for rational l-infinity
approximation", SIAM Journal on Numerical Analysis 9(3).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import sympy
from scipy.optimize import linprog

from actsearch.errors import ActivationError
from actsearch.nn.adaptive._formula import values_on

Array = npt.NDArray[np.float64]

CONSTANT = {"A": 1.0, "B": 1.0, "C": 0.1, "D": 1.0, "N": 1.0}
"""Of each version's denominator."""
_N_GRID = 241
_FIRST, _ITERATIONS = 4, 25
_FLAT = 1e-3  # relative improvement below which an iteration is the last
_EXACT = 1e-9  # of the function's size: nothing better can be computed
_LARGEST = 1e4  # coefficient over the scaled range
# The slope of |b| at 0 is 0, so a denominator that vanished would never learn: it is kept above this, over the range.
_LIVING = 1e-5
_NO_POLE = 1e-2  # least value of an unprotected denominator on the grid


@dataclass(frozen=True)
class Fit:
    """Coefficients of a rational function, by rising powers of x.

    Attributes:
        numerator: a_0, ..., a_m.
        denominator: b_1, ..., b_n; for version C b_0, ..., b_n.
    """

    numerator: tuple[float, ...]
    denominator: tuple[float, ...]


@lru_cache(maxsize=256)
def fit(target: sympy.Expr, degrees: tuple[int, int], version: str, low: float, high: float) -> Fit:
    """Return the best rational approximation of a function.

    Args:
        target: the function, without parameters.
        degrees: of numerator and denominator.
        version: "A", "B", "C", "D" or "N"; see :func:`actsearch.nn.adaptive.rational.formula`.
        low: start of the range.
        high: end of the range.

    Raises:
        ActivationError: the function is not finite on the range.
    """
    points = _grid(low, high)
    problem = _Problem(points, values_on(target, points), degrees, version)
    # an absolute value of odd powers changes sign at 0, one of even powers does not
    signs = [np.ones_like(points)] if version in "ACN" else [np.ones_like(points), np.where(points < 0, -1.0, 1.0)]
    found = [solved for sign in signs if (solved := problem.solve(sign)) is not None]
    if not found:
        raise ActivationError(
            f"no rational function of degrees {degrees} and version {version} approximates {target} on [{low}, {high}]"
        )
    return min(found, key=lambda pair: pair[0])[1]


def _grid(low: float, high: float) -> Array:
    """Return points of the range, half of them drawn together around 0, where activations bend."""
    even = np.linspace(low, high, _N_GRID)
    near = np.linspace(-1, 1, _N_GRID // 2)
    around = np.sign(near) * near**2 * max(abs(low), abs(high)) * 0.3
    return np.unique(np.concatenate([even, around[(around >= low) & (around <= high)]]))


class _Problem:
    """The linear programs of one fit; x is scaled to [-1, 1]."""

    def __init__(self, points: Array, values: Array, degrees: tuple[int, int], version: str) -> None:
        m, n = degrees
        self.version, self.values = version, values
        self.constant = CONSTANT[version]
        self.scale = max(abs(points[0]), abs(points[-1]))
        u = points / self.scale
        self.first = 0 if version == "C" else 1
        self.size = max(1.0, float(np.abs(values).max()))
        self.above = np.vander(u, m + 1, increasing=True)
        below = np.vander(u, n + 1, increasing=True)[:, self.first :]
        self.below = np.abs(below) if version == "A" else below
        self.u = u

    def solve(self, sign: Array) -> tuple[float, Fit] | None:
        """Return the largest error and the coefficients, None when no denominator has these signs."""
        below = self.below * sign[:, None]
        a: Array = np.linalg.lstsq(self.above, self.values, rcond=None)[0].astype(np.float64)
        b: Array = np.zeros(below.shape[1])
        bottom = np.ones_like(self.values)
        if self.version == "C":
            b[0] = 0.9
        best: tuple[float, Array, Array] | None = None
        for iteration in range(_ITERATIONS):
            error = float(np.abs(self.values - self.above @ a / bottom).max())
            if best is not None and error > best[0] * (1 - _FLAT) and iteration > _FIRST:
                break
            # the polynomial that it starts from has a denominator that cannot learn: it counts for nothing
            if self._is_living(below @ b, b) and (best is None or error < best[0]):
                best = error, a, b
            if error <= _EXACT * self.size and best is not None:
                break
            step = self._improve(below, bottom, error)
            if step is None:
                break
            a, b = step
            bottom = self.constant + below @ b
        if best is None:
            return None
        error, a, b = best
        powers = self.scale ** np.arange(max(len(a), self.first + len(b)))
        fitted = Fit(tuple((a / powers[: len(a)]).tolist()), tuple((b / powers[self.first :][: len(b)]).tolist()))
        return error, fitted

    def _is_living(self, inside: Array, b: Array) -> bool:
        return self.version == "N" or (b.min() > 0 if self.version == "A" else bool((inside > 0).any()))

    def _improve(self, below: Array, bottom: Array, error: float) -> tuple[Array, Array] | None:
        """Return the coefficients of one step of differential correction."""
        n_above, n_below = self.above.shape[1], below.shape[1]
        rows, limits = [], []
        for side in (1.0, -1.0):  # |values Q - P| - error Q <= z * the bottom of the step before
            weight = side * self.values - error
            rows.append(np.hstack([-side * self.above, weight[:, None] * below, -bottom[:, None]]))
            limits.append(-weight * self.constant)
        if self.version != "A":
            least = np.full(len(self.u), _NO_POLE - self.constant) if self.version == "N" else _LIVING * self.u**2
            rows.append(np.hstack([np.zeros_like(self.above), -below, np.zeros((len(self.u), 1))]))
            limits.append(-least)
        largest = _LARGEST * self.size
        bounds: list[tuple[float | None, float | None]] = [(-largest, largest)] * n_above
        bounds += [(_LIVING if self.version == "A" else -_LARGEST, _LARGEST)] * n_below
        if self.version == "C":  # the scale of a ratio is free: this is that of the other versions, 1 at 0
            bounds[n_above] = (-_LARGEST, 1.0 - self.constant)
        bounds.append((None, None))
        goal = np.zeros(n_above + n_below + 1)
        goal[-1] = 1.0
        found = linprog(goal, A_ub=np.vstack(rows), b_ub=np.concatenate(limits), bounds=bounds, method="highs")
        if found.status != 0:
            return None
        return found.x[:n_above], found.x[n_above:-1]


def poles(fitted: Fit, low: float, high: float) -> list[float]:
    """Return the zeros of an unprotected denominator within a range, ascending."""
    coefficients = np.trim_zeros(np.array([1.0, *fitted.denominator]), "b")
    roots = np.roots(coefficients[::-1])
    real = roots[np.abs(roots.imag) <= 1e-9 * np.maximum(1.0, np.abs(roots))].real
    return sorted(float(root) for root in real if low <= root <= high)
