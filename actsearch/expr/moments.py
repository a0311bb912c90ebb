"""Gaussian moments of an expression by adaptive quadrature, through the program's NumPy evaluator.

What an activation does to a unit-normal pre-activation z ~ N(0, 1): its mean E f(z), its mean square E f(z)^2 and the
mean square of its slope E f'(z)^2. Initialisation and normalisation need these three and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import sympy
from numpy.typing import NDArray

from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import derivative, evaluate, lower
from actsearch.expr.resolve import to_expr

Array = NDArray[np.float64]

# At 20 standard deviations the density is 1e-87: even exp(x**2 / 5), squared, has fallen to 1e-18 of its peak there.
REACH = 20.0
PANEL_WIDTH = 0.25
# A panel that still holds a jump after 50 halvings is narrower than 1e-15: its error is below rounding.
MAX_HALVINGS = 50
TOLERANCE = 1e-12
# A kink or jump keeps a few panels open; beside a pole rounding noise keeps all of them open, twice as many each time.
MAX_PANELS = 4096
# A finite moment has next to nothing of its mass in the outermost half unit of the range.
TAIL_SHARE = 1e-9


@dataclass(frozen=True)
class Moments:
    """Moments of f(z) for z ~ N(0, 1); NaN where a moment does not exist or f is not finite.

    Attributes:
        mean: E f(z).
        mean_square: E f(z)^2.
        derivative_mean_square: E f'(z)^2; a jump of f counts nothing.
    """

    mean: float
    mean_square: float
    derivative_mean_square: float

    @property
    def variance(self) -> float:
        """Var f(z)."""
        return self.mean_square - self.mean**2

    @property
    def standard_deviation(self) -> float:
        """Square root of the variance, 0 where rounding would make it negative."""
        return float(np.sqrt(np.maximum(self.variance, 0.0)))

    @property
    def gain(self) -> float:
        """1 / sqrt(E f^2): keeps the mean square of the signal at one."""
        return _inverse_root(self.mean_square)

    @property
    def derivative_gain(self) -> float:
        """1 / sqrt(E f'^2): keeps the mean square of the gradient at one."""
        return _inverse_root(self.derivative_mean_square)


def moments(expr: sympy.Expr | str, parameters: Sequence[float] | None = None) -> Moments:
    """Return the moments of an expression under N(0, 1), to about 1e-10.

    Args:
        expr: SymPy expression, catalog name or text.
        parameters: values of its parameters in the order of ``parameters_of``; their start values when None.

    Raises:
        ExprError: ``expr`` is outside the grammar.

    Example:
        >>> result = moments("relu")
        >>> round(result.mean, 4), round(result.mean_square, 4), round(result.derivative_mean_square, 4)
        (0.3989, 0.5, 0.5)
    """
    resolved = to_expr(expr)
    own = parameters_of(resolved)
    values = tuple(float(parameter.start) for parameter in own) if parameters is None else tuple(map(float, parameters))
    if len(values) != len(own):
        raise ValueError(
            f"{len(own)} parameter values are needed ({', '.join(p.name for p in own)}), got {len(values)}"
        )
    return _moments(resolved, values)


@lru_cache(maxsize=4096)
def _moments(expr: sympy.Expr, values: tuple[float, ...]) -> Moments:
    program = lower(expr)
    slope = derivative(program, (1, *(0 for _ in values)))
    return moments_of_function(
        lambda x: evaluate(program, x, values),
        lambda x: evaluate(slope, x, values),
    )


def gain(expr: sympy.Expr | str, parameters: Sequence[float] | None = None) -> float:
    """Return 1 / sqrt(E f(z)^2) for z ~ N(0, 1): weights of variance gain^2 / fan_in keep the signal's scale.

    NaN where the mean square is not finite, infinite for the zero function.

    Reference: He et al. 2015, arXiv:1502.01852, section 2.2, for any f.

    Example:
        >>> round(gain("relu"), 4), round(gain("tanh"), 4)
        (1.4142, 1.5925)
    """
    return moments(expr, parameters).gain


def moments_of_function(f: Callable[[Array], Array], df: Callable[[Array], Array] | None = None) -> Moments:
    """Return the moments of a vectorised function; without ``df`` the derivative's mean square is NaN."""

    def integrands(x: Array) -> Array:
        value = np.broadcast_to(np.asarray(f(x), dtype=np.float64), x.shape)
        slope = (
            np.full(x.shape, np.nan) if df is None else np.broadcast_to(np.asarray(df(x), dtype=np.float64), x.shape)
        )
        return np.stack([value, value * value, slope * slope])

    with np.errstate(all="ignore"):
        mean, mean_square, derivative_mean_square = _gaussian_integrals(integrands)
    # Without a mean square a "mean" would be an accident of where the range ends.
    mean = mean if np.isfinite(mean_square) else np.nan
    return Moments(float(mean), float(mean_square), float(derivative_mean_square))


def _gaussian_integrals(integrands: Callable[[Array], Array]) -> Array:
    """Integrate several functions against the normal density: halve the panels whose two rules disagree."""
    edges = np.linspace(-REACH, REACH, round(2 * REACH / PANEL_WIDTH) + 1)
    left, right = edges[:-1], edges[1:]
    fine, error = _panel_integrals(integrands, left, right)
    total, bad = fine.sum(axis=1), ~np.isfinite(fine).all(axis=1)
    scale = np.abs(fine).sum(axis=1)
    outer = np.abs(fine[:, [0, 1, -2, -1]]).sum(axis=1)
    bad |= outer > TAIL_SHARE * scale
    for _ in range(MAX_HALVINGS):
        open_ = (error > TOLERANCE * scale[:, None])[~bad].any(axis=0)
        if not open_.any():
            return np.where(bad, np.nan, total)
        if open_.sum() > MAX_PANELS:
            break
        total = total - fine[:, open_].sum(axis=1)
        middle = (left[open_] + right[open_]) / 2
        left, right = np.concatenate([left[open_], middle]), np.concatenate([middle, right[open_]])
        fine, error = _panel_integrals(integrands, left, right)
        total = total + fine.sum(axis=1)
        bad |= ~np.isfinite(fine).all(axis=1)
    # What still disagrees on panels this narrow is a pole.
    bad |= (error > TOLERANCE * scale[:, None]).any(axis=1)
    return np.where(bad, np.nan, total)


def _panel_integrals(integrands: Callable[[Array], Array], left: Array, right: Array) -> tuple[Array, Array]:
    """Return each panel's integrals by the finer rule and their distance to the coarser one, each (3, n_panels)."""
    nodes, fine_weights, coarse_weights = _rules()
    half = (right - left)[:, None] / 2
    x = (left + right)[:, None] / 2 + half * nodes
    density = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
    values = integrands(x.ravel()).reshape(3, *x.shape) * (density * half)
    fine = values @ fine_weights
    return fine, np.abs(fine - values @ coarse_weights)


@lru_cache(maxsize=1)
def _rules() -> tuple[Array, Array, Array]:
    """Return the nodes of an 8- and a 5-point rule as one list, with each rule's weights (0 where not its own).

    Gauss-Lobatto, not Gauss-Legendre: with nodes at both ends no jump can hide between an end and the first node. The
    end nodes sit a hair inside, so that a jump exactly at a panel's edge is seen from the right side.
    """
    fine_nodes, fine_weights = _lobatto(8)
    coarse_nodes, coarse_weights = _lobatto(5)
    nodes = np.concatenate([fine_nodes, coarse_nodes]) * (1 - 1e-11)
    return (
        nodes,
        np.concatenate([fine_weights, np.zeros_like(coarse_weights)]),
        np.concatenate([np.zeros_like(fine_weights), coarse_weights]),
    )


def _lobatto(n: int) -> tuple[Array, Array]:
    """Return nodes and weights of the n-point Gauss-Lobatto rule on [-1, 1].

    Reference: Abramowitz and Stegun, Handbook of Mathematical Functions, 25.4.32.
    """
    legendre = np.polynomial.legendre.Legendre.basis(n - 1)
    nodes = np.concatenate([[-1.0], np.sort(legendre.deriv().roots().real), [1.0]])
    return nodes, 2 / (n * (n - 1) * legendre(nodes) ** 2)


def _inverse_root(value: float) -> float:
    return float("inf") if value == 0 else float(value**-0.5) if value > 0 else float("nan")
