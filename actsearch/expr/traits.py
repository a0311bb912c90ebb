"""What can be said of a function by looking at it: range, monotonicity, symmetry, smoothness, limits, slope, zeros.

Everything is computed from the program's values and derivatives in float64, parameters at their start, on a fine grid
of |x| <= 30 and a coarse one up to 1e4, refined where something happens. So these are findings and no proofs: a dip
narrower than the grid's step of 0.005 can be missed. The stated tolerances are those of the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy
from numpy.typing import NDArray

from actsearch.expr.limits import Limit, limit
from actsearch.expr.moments import Moments, moments
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import derivative, evaluate, lower
from actsearch.expr.resolve import to_expr

Array = NDArray[np.float64]

REACH = 30.0
"""The fine grid ends there; kinks and zeros beyond are not looked for."""
STEP = 0.005
_POSITIVE = np.arange(1, round(REACH / STEP) + 1) * STEP
_INNER = np.concatenate([-_POSITIVE[::-1], [0.0], _POSITIVE])
_OUTER = np.geomspace(REACH, 1e4, 200)[1:]
GRID: Array = np.concatenate([-_OUTER[::-1], _INNER, _OUTER])
"""Float64, ascending, symmetric, from -1e4 to 1e4."""
GRID.flags.writeable = False

SMOOTHNESS = ("jumps", "C0", "C1", "smooth")
"""Has a jump; continuous with kinks; with jumps of the second derivative; none of the three found."""
_CANDIDATES = 64  # intervals in which a jump is looked for: those with the largest change
_HALVINGS = 60  # an interval of the grid ends as narrow as float64 has it
_JUMP = 1e-3  # of what is a jump, relative to the largest value; what a smooth function changes by there is far smaller
_ZOOMS = 3  # each makes the grid about an extremum 500 times finer
_ROUNDING = 1e-12
_STEEPER = 1.3  # a slope that grows so much twice, a thousandth nearer each time, does not end
_UNDERFLOW = 1e-100  # what has fallen so far beside a stretch of zeros is a tail and no zero


@dataclass(frozen=True)
class Traits:
    """What a function is like, each trait computed when first asked for.

    Attributes:
        expr: the function; its parameters are at their start values.
    """

    expr: sympy.Expr

    def values(self, x: Array, order: int = 0) -> Array:
        """Return the function or a derivative at points."""
        parameters = parameters_of(self.expr)
        program = lower(self.expr)
        if order:
            program = derivative(program, (order, *(0 for _ in parameters)))
        with np.errstate(all="ignore"):
            found = evaluate(program, x, tuple(float(p.start) for p in parameters))
        return np.broadcast_to(np.asarray(found, dtype=np.float64), np.shape(x))

    @cached_property
    def moments(self) -> Moments:
        """The Gaussian moments and gains."""
        return moments(self.expr)

    @cached_property
    def limits(self) -> tuple[Limit, Limit]:
        """What the function does towards minus and plus infinity."""
        return limit(self.values, -1), limit(self.values, 1)

    @cached_property
    def range(self) -> tuple[float, float]:
        """Infimum and supremum, to 1e-6; infinite where the function grows without bound."""
        far = [end for side in self.limits for end in side.range]
        low, high = -self._highest(-1), self._highest(1)
        return min([low, *far]), max([high, *far])

    @cached_property
    def monotone(self) -> str:
        """``"increasing"``, ``"decreasing"``, or empty; constant stretches count as both."""
        before, after = self._values[:-1], self._values[1:]
        slack = _ROUNDING * np.minimum(np.abs(before), np.abs(after))  # of two infinite values only the order counts
        slack[np.isinf(slack)] = 0.0
        if np.all(after >= before - slack):
            return "increasing"
        return "decreasing" if np.all(after <= before + slack) else ""

    @cached_property
    def symmetry(self) -> str:
        """``"odd"``, ``"even"``, or empty."""
        right, left = self._values[GRID > 0], self._values[GRID < 0][::-1]
        slack = _ROUNDING * np.minimum(np.abs(right), np.abs(left)) + np.finfo(np.float64).tiny
        slack[np.isinf(slack)] = 0.0
        for name, mirrored in (("even", left), ("odd", -left)):
            if np.all((right <= mirrored + slack) & (right >= mirrored - slack)):
                return name
        return ""

    @cached_property
    def smoothness(self) -> str:
        """One of :data:`SMOOTHNESS`, for |x| <= 30."""
        for order, name in enumerate(SMOOTHNESS[:-1]):
            if not np.isfinite(self.values(_INNER, order)).all() or self._jumps(order).any():
                return name
        return SMOOTHNESS[-1]

    @cached_property
    def lipschitz(self) -> float:
        """The largest slope, to 1e-4 of it; infinite at a jump and where the slope grows without bound."""
        if self.smoothness == "jumps":
            return float("inf")
        slopes = np.abs(self.values(GRID, 1))
        steepest = float(GRID[int(np.nanargmax(slopes))])
        most = float(np.nanmax(slopes))
        last = float(np.nanmax(slopes[np.abs(GRID) > GRID[-1] / 10]))
        before = float(np.nanmax(slopes[np.abs(GRID) <= GRID[-1] / 10]))
        grows = last > 1.5 * before or any(side.kind == "superlinear" for side in self.limits)
        if grows or not np.isfinite(most) or self._steepens(steepest) or self._steepens(0.0):
            return float("inf")
        return max(float(np.nanmax(np.abs(self.values(_around(steepest), 1)))), most)

    @cached_property
    def zeros(self) -> tuple[tuple[float, float], ...]:
        """Where the function is 0 for |x| <= 30: stretches (first, last), a point being a stretch of no length.

        Points are exact to 1e-9. A stretch that reaches the end of the grid goes on to infinity.
        """
        x, y = _INNER, self.values(_INNER)
        found = [*self._stretches(x, y), *self._crossings(x, y)]
        return tuple(sorted(found))

    @cached_property
    def _values(self) -> Array:
        return self.values(GRID)

    def _highest(self, sign: int) -> float:
        """Return the largest value of the function times ``sign`` on the grid, refined about the place."""
        y = sign * self._values
        if not np.isfinite(y).all():
            return float("inf") if np.any(y == np.inf) else float(np.nanmax(y[np.isfinite(y)]))
        left, right = GRID[[max(int(y.argmax()) - 1, 0), min(int(y.argmax()) + 1, len(GRID) - 1)]]
        best = float(y.max())
        for _ in range(_ZOOMS):
            x = np.linspace(left, right, 1001)
            y = sign * self.values(x)
            left, right = x[[max(int(y.argmax()) - 1, 0), min(int(y.argmax()) + 1, 1000)]]
            best = max(best, float(y.max()))
        return best

    def _jumps(self, order: int) -> Array:
        """Return the sizes of jumps of a derivative: the intervals of largest change, halved to nothing."""
        y = self.values(_INNER, order)
        finite = np.isfinite(y[1:]) & np.isfinite(y[:-1])
        change = np.where(finite, np.abs(np.diff(y)), 0.0)
        places = np.argsort(change)[-_CANDIDATES:]
        left, right = _INNER[places], _INNER[places + 1]
        for _ in range(_HALVINGS):
            middle = (left + right) / 2
            low, mid, high = self.values(left, order), self.values(middle, order), self.values(right, order)
            is_left = np.abs(mid - low) >= np.abs(high - mid)
            left, right = np.where(is_left, left, middle), np.where(is_left, middle, right)
        jump = np.abs(self.values(right, order) - self.values(left, order))
        scale = np.maximum(np.abs(y[places]), np.abs(y[places + 1]))
        return jump[jump > _JUMP * np.maximum(scale, _JUMP)]

    def _steepens(self, place: float) -> bool:
        """Whether the slope grows without bound towards a point, as that of a root does."""
        for side in (-1, 1):
            far, near, next_to = np.abs(self.values(place + side * np.array([1e-3, 1e-6, 1e-9]), 1))
            if near > _STEEPER * far > 0 and next_to > _STEEPER * near:
                return True
        return False

    def _stretches(self, x: Array, y: Array) -> list[tuple[float, float]]:
        is_zero = np.concatenate([[False], y == 0, [False]])
        starts, ends = (np.flatnonzero(np.diff(is_zero.astype(int)) == step) for step in (1, -1))
        found = []
        for first, last in zip(starts, ends - 1, strict=True):
            beside = [abs(y[i]) for i in (first - 1, last + 1) if 0 <= i < len(y)]
            if not beside or max(beside) > _UNDERFLOW:
                begin = -np.inf if first == 0 else self._edge(x[first], x[first - 1])
                end = np.inf if last == len(x) - 1 else self._edge(x[last], x[last + 1])
                found.append((float(begin), float(end)))
        return found

    def _edge(self, zero: float, other: float) -> float:
        """Return where a stretch of zeros ends, between a zero of it and a point that is none."""
        for _ in range(_HALVINGS):
            middle = (zero + other) / 2
            zero, other = (middle, other) if self.values(np.array([middle]))[0] == 0 else (zero, middle)
        return zero

    def _crossings(self, x: Array, y: Array) -> list[tuple[float, float]]:
        places = np.flatnonzero(y[1:] * y[:-1] < 0)
        left, right = x[places], x[places + 1]
        sign = np.sign(y[places])
        for _ in range(_HALVINGS):
            middle = (left + right) / 2
            is_left = np.sign(self.values(middle)) == sign
            left, right = np.where(is_left, middle, left), np.where(is_left, right, middle)
        gap = np.abs(self.values(right) - self.values(left)) <= 1e-6 * np.abs(y[places + 1] - y[places])
        return [(float(at), float(at)) for at, is_continuous in zip(right, gap, strict=True) if is_continuous]


def traits(spec: str | sympy.Expr) -> Traits:
    """Return what can be said of a function.

    Args:
        spec: SymPy expression, catalog name or text.

    Raises:
        ExprError: it is no expression.

    Example:
        >>> found = traits("tanh")
        >>> found.range, found.monotone, found.symmetry, found.smoothness, found.lipschitz, found.zeros
        ((-1.0, 1.0), 'increasing', 'odd', 'smooth', 1.0, ((0.0, 0.0),))
        >>> traits("relu").smoothness, traits("relu").zeros
        ('C0', ((-inf, 0.0),))
    """
    return Traits(to_expr(spec))


def _around(place: float) -> Array:
    """Return a finer grid around a point of the grid."""
    i = int(np.searchsorted(GRID, place))
    return np.linspace(GRID[max(i - 1, 0)], GRID[min(i + 1, len(GRID) - 1)], 2001)
