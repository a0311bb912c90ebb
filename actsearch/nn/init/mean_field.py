"""Mean-field theory of wide networks: the fixed point of the variance, and the edge of chaos."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq

from actsearch.errors import ActivationError
from actsearch.nn.init.gains import Spec, moments_of
from actsearch.nn.trace import describe

# Where a fixed point is looked for, and how far from one the quadrature's rounding may lead away.
_LOWEST, _HIGHEST, _N_POINTS = -6.0, 4.0, 61
_FLAT = 1e-7


@dataclass(frozen=True)
class MeanField:
    """A wide network of one activation, weights of variance sigma_w^2 / fan_in and biases of variance sigma_b^2.

    Attributes:
        sigma_w: scale of the weights.
        sigma_b: standard deviation of the biases.
        q: the variance of pre-activations that layers keep: q = sigma_b^2 + sigma_w^2 E f(sqrt(q) z)^2.
        chi: sigma_w^2 E f'(sqrt(q) z)^2, by which a layer multiplies small differences between two inputs and the
            variance of gradients: below 1 they vanish with depth (order), above 1 they explode (chaos).
        is_stable: whether layers bring a variance that is a little off back to q, or keep it; where not, as for gelu,
            a network of finite width drifts away from q with depth.
    """

    sigma_w: float
    sigma_b: float
    q: float
    chi: float
    is_stable: bool


def edge_of_chaos(spec: Spec, sigma_b: float = 0.0) -> MeanField:
    """Return the scale of weights with chi = 1 at the variance q that it keeps: signals reach any depth.

    Where several q fit, the one nearest to 1 is taken at which the search along chi = 1 converges. Scale-free functions
    (relu) keep any q: it is 1 then. With sigma_b = 0 a function through the origin may have no other than q = 0 (tanh,
    where sigma_w = 1 / f'(0)): signals then die out, as a power of the depth.

    Args:
        spec: as for :func:`actsearch.gain`; elementwise.
        sigma_b: standard deviation of the biases, at least 0.

    Raises:
        ActivationError: no variance has chi = 1, or the activation is not elementwise.

    References:
        Poole et al. 2016, arXiv:1606.05340. Schoenholz et al. 2017, arXiv:1611.01232. Hayou et al. 2019,
        arXiv:1902.06853, for the search along chi = 1.

    Example:
        >>> relu = edge_of_chaos("relu")
        >>> round(relu.sigma_w, 4), relu.q
        (1.4142, 1.0)
        >>> round(edge_of_chaos("elu", sigma_b=0.2).sigma_w, 3)
        1.229
    """
    _check(sigma_b)

    def excess(q: float) -> float:
        """Return how much the variance grows in a layer whose sigma_w has chi = 1 at q, relative to q."""
        moments = moments_of(spec, 0.0, math.sqrt(q))
        if not moments.derivative_mean_square > 0:
            return math.nan
        return (sigma_b**2 + moments.mean_square / moments.derivative_mean_square) / q - 1

    q = _root(excess)
    if q is None and sigma_b == 0 and _starts_at_zero(spec):
        q = 0.0
    if q is None:
        raise ActivationError(
            f"{describe(spec)} has no edge of chaos at sigma_b={sigma_b:g}: at no variance from 1e{_LOWEST:.0f} to "
            f"1e{_HIGHEST:.0f} does a layer with chi = 1 keep it; try another sigma_b"
        )
    slope = moments_of(spec, 0.0, math.sqrt(q or 10**_LOWEST)).derivative_mean_square
    return MeanField(slope**-0.5, sigma_b, q, 1.0, _is_stable(spec, slope**-0.5, q))


def fixed_point(spec: Spec, sigma_w: float, sigma_b: float = 0.0) -> MeanField:
    """Return the variance that layers of these scales keep, and chi there.

    Args:
        spec: as for :func:`actsearch.gain`; elementwise.
        sigma_w: scale of the weights, above 0.
        sigma_b: standard deviation of the biases, at least 0.

    Raises:
        ActivationError: a scale is out of its range, or the variance grows without end.

    Example:
        >>> ordered = fixed_point("tanh", sigma_w=1.0, sigma_b=0.3)
        >>> ordered.chi < 1 < fixed_point("tanh", sigma_w=2.0, sigma_b=0.3).chi
        True
    """
    _check(sigma_b)
    if not sigma_w > 0:
        raise ActivationError(f"sigma_w is {sigma_w}; a scale of weights is above 0")

    def excess(q: float) -> float:
        return (sigma_b**2 + sigma_w**2 * moments_of(spec, 0.0, math.sqrt(q)).mean_square) / q - 1

    q = _root(excess)
    if q is None:
        if not excess(10.0**_HIGHEST) < 0:
            raise ActivationError(
                f"the variance of {describe(spec)} grows without end at sigma_w={sigma_w:g}, sigma_b={sigma_b:g}"
            )
        q = 0.0
    slope = moments_of(spec, 0.0, math.sqrt(q or 10**_LOWEST)).derivative_mean_square
    return MeanField(sigma_w, sigma_b, q, sigma_w**2 * slope, _is_stable(spec, sigma_w, q))


def _is_stable(spec: Spec, sigma_w: float, q: float) -> bool:
    """Return whether the map of variances has a slope of at most 1 at q."""
    low, high = (q or 10**_LOWEST) * 0.99, (q or 10**_LOWEST) * 1.01
    rise = moments_of(spec, 0.0, math.sqrt(high)).mean_square - moments_of(spec, 0.0, math.sqrt(low)).mean_square
    return sigma_w**2 * abs(rise) <= (high - low) * (1 + 1e-4)


def _check(sigma_b: float) -> None:
    if not sigma_b >= 0:
        raise ActivationError(f"sigma_b is {sigma_b}; a standard deviation is at least 0")


def _starts_at_zero(spec: Spec) -> bool:
    """Whether the variance that a layer hands on goes to zero with its input's."""
    smallest = 10**_LOWEST
    moments = moments_of(spec, 0.0, math.sqrt(smallest))
    return moments.derivative_mean_square > 0 and moments.mean_square < 10 * smallest * moments.derivative_mean_square


def _root(excess: Callable[[float], float]) -> float | None:
    """Return where the excess falls through zero nearest to q = 1, else where it rises; 1 where it is zero all over."""
    places = np.linspace(_LOWEST, _HIGHEST, _N_POINTS)
    values = np.array([excess(10.0**place) for place in places])
    signs = np.where(np.abs(values) < _FLAT, 0.0, np.sign(values))
    if not signs.any():
        return 1.0
    # a point that is a root itself, to rounding, lies between its neighbours
    known = [i for i in range(_N_POINTS) if signs[i]]
    crossings = [(i, j) for i, j in pairwise(known) if signs[i] != signs[j]]
    if not crossings:
        return None
    low, high = min(crossings, key=lambda pair: (signs[pair[0]] < 0, abs(places[pair[0]] + places[pair[1]])))
    return float(10 ** brentq(lambda place: excess(10.0**place), places[low], places[high], xtol=1e-10))
