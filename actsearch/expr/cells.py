"""From values to names of cells: equal values share one, and a value near the edge of its cell is not named by float64.

The cells have a relative width of about 1.4e-9 and edges at irrational powers of ten, so no value that a formula gives
exactly (0, 1, 1/2, 1e-3, pi) lies at an edge.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
import numpy.typing as npt

PER_DECADE = 1.6180339887e9
"""Cells a decade."""
_OFFSET = 0.3819660113
_LOW, _HIGH = 1e-280, 1e280  # beyond these a value counts as 0 or as not finite
NOT_FINITE = "!"
ZERO = "0"

Array = npt.NDArray[np.float64]


def cells(values: Array, errors: Array) -> list[str | None]:
    """Return the cell of each value, or None where the error leaves it open.

    Args:
        values: float64, shape (n,).
        errors: bounds of the absolute errors, shape (n,); infinite where nothing is known.
    """
    with np.errstate(all="ignore"):
        size = np.abs(values)
        place = np.log10(size) * PER_DECADE + _OFFSET
        # the second term is the rounding of the logarithm itself
        blur = errors / size * (PER_DECADE / math.log(10)) + np.abs(place) * 2.0**-50 + 1e-5
        sure = np.isfinite(values) & (size > _LOW) & (size < _HIGH) & (np.floor(place - blur) == np.floor(place + blur))
        zero = (values == 0) & (errors == 0)
    found: list[str | None] = []
    for is_zero, is_sure, value, where in zip(zero, sure, values, place, strict=True):
        found.append(ZERO if is_zero else _name(value < 0, math.floor(where)) if is_sure else None)
    return found


def exact_cell(value: mpmath.mpf) -> str:
    """Return the cell of a value that is known to many more digits than a cell is wide."""
    if not mpmath.isfinite(value) or abs(value) >= _HIGH:
        return NOT_FINITE
    if abs(value) <= _LOW:
        return ZERO
    with mpmath.workdps(40):
        place = mpmath.log10(abs(value)) * mpmath.mpf(PER_DECADE) + mpmath.mpf(_OFFSET)
        return _name(value < 0, int(mpmath.floor(place)))


def negated(name: str) -> str:
    """Return the cell of the negative value."""
    # only the first sign is the value's; the cell's number may have its own
    return {"+": "-", "-": "+"}[name[0]] + name[1:] if name[0] in "+-" else name


def _name(negative: bool, cell: int) -> str:
    return f"{'-' if negative else '+'}{cell:x}"
