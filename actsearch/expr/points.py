"""Where functions are compared and judged: sample points in general position, special points, perturbed parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from actsearch.expr.parameters import Parameter

Array = npt.NDArray[np.float64]

# In general position: no two have a simple ratio, sum or difference, and none is near a kink, a pole or a zero that a
# formula with small constants has. They reach past 6, where relu6 leaves relu, and are densest near 0.
SAMPLE_POINTS: Array = np.array(
    [
        *(-9.2371094716, -7.1438265513, -5.6190472839, -4.2837160494, -3.3714928517, -2.5173904826, -1.8260473915),
        *(-1.2719384062, -0.8461529307, -0.4938271605, -0.2317604981, -0.0713926458),
        *(0.0592184703, 0.1983746502, 0.4172839506, 0.7391604825, 1.1358024691, 1.6493827150, 2.2971640538),
        *(3.0864197523, 3.9506172840, 5.1728394061, 6.6913580247, 8.8024691357),
    ]
)
"""Float64 of shape (24,): two functions are one when they agree at these, for perturbed parameters."""
SAMPLE_POINTS.flags.writeable = False

DRAWS = (0, 1)
"""The ways in which parameters are moved away from their start."""

# Where formulas break: 0 and its neighbours (at 3e-7 a pole such as that of 1/x exceeds MAX_VALUE of checks.py), whole
# numbers, the ends of what pre-activations reach in a net that is initialised well, and values between.
CHECK_POINTS: Array = np.unique(
    np.concatenate([SAMPLE_POINTS, np.linspace(-10, 10, 21), [-0.5, -1e-3, -3e-7, 3e-7, 1e-3, 0.5]])
)
"""Float64, ascending, on [-10, 10]: the values on these decide whether a candidate is worth training."""
CHECK_POINTS.flags.writeable = False

# What each granularity adds, so that parameters that differ in it alone differ in value.
_GRANULARITY_SHIFT = {"layer": 0.0, "channel": 0.0537146903}


def shift(slot: int, draw: int) -> float:
    """Return how far slot ``slot`` moves a parameter from its start: irregular; up in draw 0, down in draw 1.

    Both directions are needed: ``max(x, x + beta)`` is ``x + beta`` as long as beta is positive.

    Example:
        >>> [round(shift(slot, 0), 3) for slot in range(3)], [round(shift(slot, 1), 3) for slot in range(3)]
        ([0.696, 0.467, 0.838], [-1.629, -1.277, -1.526])
    """
    if draw == 0:
        return 0.3 + 0.6 * math.modf((slot + 1) * 0.6180339887498949 + 0.0421)[0]
    return -1.2 - 0.6 * math.modf((slot + 1) * 1.4142135623730951 + 0.3)[0]


def perturbed(parameter: Parameter, slot: int, draw: int) -> float:
    """Return the parameter's value away from its start, within its constraint.

    Start, constraint and granularity decide it together with slot and draw; the name does not.
    """
    move = shift(slot, draw) + _GRANULARITY_SHIFT[parameter.granularity]
    start = parameter.start
    if parameter.constraint == "positive":
        return start * math.exp(move)
    if parameter.constraint == "unit":
        return 1 / (1 + (1 - start) / start * math.exp(-move))
    return start + move


def assignment(parameters: Sequence[Parameter], slots: Sequence[int | None], draw: int) -> list[float]:
    """Return a value for each parameter: perturbed by its slot, or its start where the slot is None."""
    return [p.start if slot is None else perturbed(p, slot, draw) for p, slot in zip(parameters, slots, strict=True)]
