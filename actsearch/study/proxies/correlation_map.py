"""The correlation map: how fast the correlation of two inputs runs, layer by layer, into its fixed point."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from actsearch.study.proxies._hermite import correlation
from actsearch.study.proxies._start import Start

BETTER = "high"
NEEDS_NET = False
_FLAT = 1e-9


def measure(start: Start) -> float:
    """Return the slope C'(c*) of the correlation map at its stable fixed point c* in [0, 1], without unit, in [0, 1].

    A layer maps the correlation c of two inputs to C(c) = E f(u) f(v) / E f^2, u and v of variance 1 and correlation c.
    Distances to c* shrink by this slope a layer: of 1 nothing is forgotten with depth, of 0 all in one layer. The fixed
    point is 1 in the ordered phase (all inputs look alike), below 1 in the chaotic one, and 0 for normalised functions.

    Reference:
        Schoenholz et al. 2017, "Deep information propagation", arXiv:1611.01232, equation 9 (the slope's logarithm is
        minus the inverse of the depth scale).
    """
    shares, moments = start.shares, start.moments
    if not np.isfinite(shares).all():
        return float("nan")
    steepest = max(moments.derivative_mean_square / moments.mean_square, _slope(shares, 1.0))
    if steepest <= 1.0 + _FLAT:
        return steepest
    if shares[0] <= _FLAT:
        return float(shares[1])
    fixed = brentq(lambda c: float(correlation(shares, c)) - c, 0.0, 1.0 - _FLAT)
    return _slope(shares, fixed)


def _slope(shares: np.ndarray[tuple[int, ...], np.dtype[np.float64]], c: float) -> float:
    return float(np.polynomial.polynomial.polyval(c, np.polynomial.polynomial.polyder(shares)))
