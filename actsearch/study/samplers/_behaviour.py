"""What a function does to normal inputs, as a vector: functions that behave alike train alike, however written."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Array = npt.NDArray[np.float64]

REACH, STEP = 6.0, 0.05
GRID: Array = np.linspace(-REACH, REACH, 2 * round(REACH / STEP) + 1)
"""Float64 of shape (241,), symmetric about 0: where functions are evaluated."""
GRID.flags.writeable = False

GROUPS = ("values", "slopes", "moments", "correlation", "scale")
_N_QUANTILES = 16
_TAILS = (-5.0, -4.0, -3.0, 3.0, 4.0, 5.0)
_N_HERMITE = 8
_FLAT = 0.1  # a slope below is as good as none: of a function of variance one
_SMALL = 1e-12


def _places() -> npt.NDArray[np.int64]:
    quantiles = norm.ppf((np.arange(_N_QUANTILES) + 0.5) / _N_QUANTILES)
    return np.searchsorted(GRID, np.sort([*quantiles, *_TAILS]) - STEP / 2)


def _hermite() -> Array:
    """Return the first orthonormal Hermite polynomials on the grid, shape (9, 241)."""
    rows = [np.ones_like(GRID), np.array(GRID)]
    for k in range(2, _N_HERMITE + 1):
        rows.append((GRID * rows[-1] - math.sqrt(k - 1) * rows[-2]) / math.sqrt(k))
    return np.stack(rows)


_DENSITY = np.exp(-(GRID**2) / 2) / np.exp(-(GRID**2) / 2).sum()
_PLACES = _places()
_HERMITE = _hermite()


def canonical(values: Array, *, normalise: bool, symmetric: bool) -> Array:
    """Return the functions as a net sees them, equal for those that it cannot tell apart; NaN where one is not finite.

    Args:
        values: on :data:`GRID`, shape (n, 241).
        normalise: give each mean 0 and variance 1 under N(0, 1).
        symmetric: of f(x), f(-x), -f(x) and -f(-x) take one. They have one odd and one even part up to two signs, which
            are chosen by the first Hermite coefficient of either part that is not zero.

    Returns:
        Shape (n, 241).
    """
    with np.errstate(all="ignore"):
        finite = np.isfinite(values).all(axis=1, keepdims=True)
        seen = np.where(finite, values, np.nan)
        if normalise:
            seen = seen - (seen @ _DENSITY)[:, None]
            seen = seen / np.sqrt(seen**2 @ _DENSITY)[:, None]
        if symmetric:
            even, odd = (seen + seen[:, ::-1]) / 2, (seen - seen[:, ::-1]) / 2
            seen = even * _sign(even, range(0, _N_HERMITE, 2)) + odd * _sign(odd, range(1, _N_HERMITE, 2))
        return np.where(np.isfinite(seen).all(axis=1, keepdims=True), seen, np.nan)


def features(seen: Array, groups: tuple[str, ...] = GROUPS) -> list[Array]:
    """Return the features of functions, a block a group, each of shape (n, its width).

    ``values`` and ``slopes`` are taken at 16 quantiles of N(0, 1) and at six points in its tails, on a scale that is
    logarithmic for large ones; ``moments`` say how strongly signal and gradient grow, how heavy their tails are, and
    how much of the input meets a slope that is flat or falling; ``correlation`` are the squared Hermite coefficients:
    they are the Taylor coefficients of the map from the correlation of two inputs to that of their outputs, and with it
    of the kernel of an infinitely wide net; ``scale`` are deviation and mean, which normalised functions do not differ
    in.

    Args:
        seen: what :func:`canonical` returns.
        groups: of :data:`GROUPS`.

    Reference: Daniely, Frostig, Singer 2016, "Toward deeper understanding of neural networks", arXiv:1602.05897,
        section 4 (dual activations); Poole et al. 2016, arXiv:1606.05340 (growth of signal and gradient).
    """
    with np.errstate(all="ignore"):
        slope = np.gradient(seen, STEP, axis=1)
        made = {
            "values": _squashed(seen[:, _PLACES]),
            "slopes": _squashed(slope[:, _PLACES]),
            "moments": _moments(seen, slope),
            "correlation": (_standard(seen)[0] * _DENSITY @ _HERMITE[1:].T) ** 2,
            "scale": _scale(seen),
        }
        return [made[group] for group in groups]


def _standard(seen: Array) -> tuple[Array, Array, Array]:
    mean = seen @ _DENSITY
    centred = seen - mean[:, None]
    deviation = np.sqrt(centred**2 @ _DENSITY)
    return centred / (deviation[:, None] + _SMALL), mean, deviation


def _scale(seen: Array) -> Array:
    _, mean, deviation = _standard(seen)
    return np.stack([np.log(deviation + _SMALL), _squashed(mean / (deviation + _SMALL))], axis=1)


def _moments(seen: Array, slope: Array) -> Array:
    centred, _, deviation = _standard(seen)
    slope = slope / (deviation[:, None] + _SMALL)
    power = slope**2 @ _DENSITY
    falling = (slope < 0) @ _DENSITY
    return np.stack(
        [
            np.log(power + _SMALL),
            np.log((slope**4 @ _DENSITY + _SMALL) / (power + _SMALL) ** 2),
            np.log(centred**4 @ _DENSITY + _SMALL),
            _squashed(centred**3 @ _DENSITY),
            np.log1p(np.gradient(slope, STEP, axis=1) ** 2 @ _DENSITY),
            np.minimum(falling, 1 - falling),
            (np.abs(slope) < _FLAT) @ _DENSITY,
            np.log(np.abs(centred).max(axis=1) + _SMALL),
            np.log(np.abs(slope).max(axis=1) + _SMALL),
        ],
        axis=1,
    )


def _squashed(values: Array) -> Array:
    return np.sign(values) * np.log1p(np.abs(values))


def _sign(part: Array, orders: range) -> Array:
    """Return 1 or -1 a row, shape (n, 1): the sign of the first coefficient that is not zero."""
    coefficients = part * _DENSITY @ _HERMITE[orders].T
    scale = np.sqrt(part**2 @ _DENSITY)[:, None]
    there = np.abs(coefficients) > 1e-6 * scale
    first = coefficients[np.arange(len(part)), there.argmax(axis=1)]
    return np.where(there.any(axis=1) & (first < 0), -1.0, 1.0)[:, None]
