"""Fits of ``a f(b x + c) + d`` for many functions f at once.

Coarse: f comes from one table of values, the inner map from a grid, and a and d from linear least squares. Fine: all
four by Levenberg and Marquardt, for the few functions that came closest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import sympy
from scipy import optimize

from actsearch.expr.functions import x as X
from actsearch.expr.noise import Array, Curve
from actsearch.expr.program import Program, evaluate, lower

_REACH, _STEP = 40.0, 1 / 64  # of the table
_STRETCHES = np.geomspace(0.25, 8.0, 21)  # standard deviations of b x
_SHIFTS = np.linspace(-4.0, 4.0, 17)
_LARGEST = 1e8  # a table value beyond says nothing about a fit
_N_FINE = 512  # samples that a fine fit sees
_NEUTRAL = (1.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Affine:
    """One function under affine maps: ``a f(b x + c) + d``.

    Attributes:
        f: f, a formula without parameters.
        n_operations: operations and constants of f's program.
        maps: a, b, c, d.
    """

    f: sympy.Expr
    n_operations: int
    maps: tuple[float, float, float, float] = _NEUTRAL

    @property
    def complexity(self) -> int:
        """Operations and constants of f, and one for each map that is not neutral, two where it needs a constant."""
        a, b, c, d = self.maps
        return self.n_operations + sum((v != 1) + (abs(v) != 1) for v in (a, b)) + 2 * sum(v != 0 for v in (c, d))

    @property
    def expr(self) -> sympy.Expr:
        """The formula."""
        a, b, c, d = (sympy.Integer(int(v)) if v == int(v) else sympy.Float(v) for v in self.maps)
        return a * self.f.subs(X, b * X + c) + d

    def values(self, points: Array) -> Array:
        """Return the values at points, float64 of the same shape."""
        a, b, c, d = self.maps
        return a * evaluate(lower(self.f), b * points + c) + d

    def with_maps(self, maps: Sequence[float]) -> Affine:
        """Return f under other maps."""
        a, b, c, d = (float(v) for v in maps)
        return Affine(self.f, self.n_operations, (a, b, c, d))


class Table:
    """Values of functions without parameters: what does not depend on the curve.

    Args:
        functions: the formulas.
    """

    def __init__(self, functions: Sequence[sympy.Expr]) -> None:
        self.programs = [lower(f) for f in functions]
        self.functions = [Affine(f, _n_operations(p)) for f, p in zip(functions, self.programs, strict=True)]
        points = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
        values = np.stack([evaluate(program, points) for program in self.programs]).astype(np.float32)
        self._values = np.where(np.abs(values) < _LARGEST, values, np.float32(np.nan))

    def as_they_are(self, points: Array) -> Array:
        """Return f(x) of all functions, shape (functions, n)."""
        return np.stack([evaluate(program, points) for program in self.programs])

    def coarse(self, curve: Curve) -> list[tuple[float, Affine]]:
        """Return each function's best fit on the grid of inner maps, and its share of the variance left over."""
        at, target = curve.means(curve.x).astype(np.float32), curve.means(curve.y)
        weights = (curve.sizes / curve.sizes.sum()).astype(np.float32)
        centre, scale = float(weights @ at), float(np.sqrt(weights @ (at - weights @ at) ** 2)) or 1.0
        wanted = (target - weights @ target).astype(np.float32)
        variance = float(weights @ wanted**2) or 1.0
        best = np.full(len(self.functions), np.inf)
        inner = np.zeros((len(self.functions), 2))
        for stretch in (*_STRETCHES, *-_STRETCHES):
            b = stretch / scale
            u = b * at + (_SHIFTS[:, None] - b * centre).astype(np.float32)
            left = _left_over(self._interpolated(u), wanted, weights, variance)
            place = left.argmin(axis=1)
            found = left[np.arange(len(best)), place]
            better = found < best
            best[better] = found[better]
            inner[better] = np.stack([np.full(better.sum(), b), _SHIFTS[place[better]] - b * centre], axis=1)
        return [(float(rest), f.with_maps((1, *m, 0))) for rest, f, m in zip(best, self.functions, inner, strict=True)]

    def _interpolated(self, u: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        place = np.clip((u + _REACH) / _STEP, 0, self._values.shape[1] - 1.001)
        low = place.astype(np.intp)
        weight = (place - low).astype(np.float32)
        return self._values[:, low] * (1 - weight) + self._values[:, low + 1] * weight


def _left_over(
    f: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32], weights: npt.NDArray[np.float32], variance: float
) -> npt.NDArray[np.float32]:
    """Return the share of the variance that the best ``a f + d`` leaves, f of shape (..., n); 1 for a constant f."""
    centred = f - (f @ weights)[..., None]
    weighted = centred * weights
    square = np.einsum("...n,...n->...", weighted, centred)
    explained = (weighted @ wanted) ** 2 / np.where(square > 0, square, np.float32(1))
    left = np.where(square > 1e-12, np.maximum(1 - explained / variance, 0), np.float32(1))
    return np.where(np.isfinite(left), left, np.float32(np.inf))


def outer(values: Array, y: Array) -> tuple[float, float]:
    """Return a and d of the least-squares fit ``a values + d`` to y."""
    centre = values.mean()
    square = ((values - centre) ** 2).sum()
    a = float(((values - centre) * y).sum() / square) if square > 0 else 0.0
    return a, float(y.mean() - a * centre)


def refined(start: Affine, curve: Curve, free: Sequence[int] = (0, 1, 2, 3)) -> Affine | None:
    """Return the least-squares fit in the maps named by their places, the others as in ``start``; None for none."""
    every = max(1, len(curve.x) // _N_FINE)
    x, y = curve.x[::every], curve.y[::every]
    program: Program = lower(start.f)
    maps = np.array(start.maps)

    def residual(values: Array) -> Array:
        maps[list(free)] = values
        a, b, c, d = maps
        return np.clip(np.nan_to_num(a * evaluate(program, b * x + c) + d - y, nan=_LARGEST), -_LARGEST, _LARGEST)

    if not free:
        return start
    try:
        found = optimize.least_squares(residual, maps[list(free)].copy(), method="lm", max_nfev=40 * len(free))
    except (ValueError, np.linalg.LinAlgError):
        return None
    maps[list(free)] = found.x
    return start.with_maps(maps.tolist()) if np.isfinite(maps).all() else None


def simpler(fit: Affine) -> Iterator[tuple[Affine, tuple[int, ...]]]:
    """Yield starts with some maps at their neutral values, fewest free ones first, and which are free."""
    a, b, *_ = fit.maps
    neutral = (math.copysign(1.0, a), math.copysign(1.0, b), 0.0, 0.0)
    for n_free in range(4):
        for free in combinations(range(4), n_free):
            yield fit.with_maps([fit.maps[i] if i in free else neutral[i] for i in range(4)]), free


def _n_operations(program: Program) -> int:
    return sum(node.op not in ("x", "parameter") for node in program.nodes)
