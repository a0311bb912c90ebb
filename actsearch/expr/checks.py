"""Judging a function by its values alone: what is hopeless before any training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import sympy

from actsearch.expr.points import CHECK_POINTS
from actsearch.expr.program import evaluate, lower

MAX_VALUE = 1e6
"""Absolute value on [-10, 10]; one product of two such values leaves what float32 training can use."""
CONSTANT_SPREAD = 1e-9
"""Relative spread of the values below which a function counts as constant: rounding, not shape."""

REASONS = ("not finite", "explodes", "constant")
"""What can be wrong, the gravest first."""


def fault_codes(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    """Return what is wrong with each function of a batch: an index into ``REASONS``, or -1.

    Args:
        values: shape (..., n_points), the functions' values on :data:`~actsearch.expr.points.CHECK_POINTS`.

    Returns:
        Shape (...).
    """
    with np.errstate(all="ignore"):
        low, high = values.min(axis=-1), values.max(axis=-1)  # NaN where any value is NaN
        size = np.maximum(np.abs(low), np.abs(high))
        # in this order, so that the gravest is written last
        codes = np.full(low.shape, -1, dtype=np.int8)
        codes[high - low <= CONSTANT_SPREAD * size] = REASONS.index("constant")
        codes[size > MAX_VALUE] = REASONS.index("explodes")
        codes[~np.isfinite(size)] = REASONS.index("not finite")
    return codes


def value_fault(values: npt.NDArray[np.float64]) -> str | None:
    """Return what is wrong with one function, given its values on the check points, or None.

    Example:
        >>> value_fault(np.sqrt(CHECK_POINTS, where=CHECK_POINTS >= 0, out=np.full(CHECK_POINTS.shape, np.nan)))
        'not finite'
        >>> value_fault(np.tanh(CHECK_POINTS)) is None
        True
    """
    code = int(fault_codes(np.asarray(values, dtype=np.float64)))
    return None if code < 0 else REASONS[code]


def value_faults(expr: sympy.Expr) -> tuple[str, ...]:
    """Return what is wrong with an expression's values, parameters at their start: none or one of ``REASONS``.

    Example:
        >>> from actsearch.expr.text import parse
        >>> value_faults(parse("exp(x**2)")), value_faults(parse("silu(x)"))
        (('explodes',), ())
    """
    fault = value_fault(evaluate(lower(expr), CHECK_POINTS))
    return () if fault is None else (fault,)
