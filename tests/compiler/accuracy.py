"""What "accurate" means here, once.

Let ``t`` be the true value, ``y`` the computed one, in a type of ``p`` significant bits (53, 24, 8, 11) whose smallest
normal number is ``tiny`` and largest ``huge``; ``ulp(t) = 2**(floor(log2 |t|) - p + 1)``.

1. ``|y - t| <= 16 ulp(t)``.
2. Near a zero of the function other than 0, where the last sum must cancel, ``|y - t| <= 16 ulp(t) + 2 eps |x t'|``,
   ``eps = 2**(1 - p)``: also what a change of x by 2 ulp does. *Near a zero* means that Newton's step ``|t / t'|`` is
   at most ``|x| / 4`` and that its slope ``1 - t t'' / t'**2``, which is ``1/m`` at a zero of order m and at most 0 in
   the tails of exponentials and negative powers, is at least 1/4.
3. ``|t| < tiny`` and ``|y| < tiny`` count as equal: hardware may flush such numbers to 0.
4. ``|t| > huge``: ``y`` is infinite, of the sign of ``t``, or ``huge`` itself. Otherwise ``y`` is finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import mpmath
import torch

ULPS = 16
Function = Callable[[mpmath.mpf], "mpmath.mpf | None"]


@dataclass(frozen=True)
class Type:
    """A floating-point type as the definition needs it."""

    bits: int
    tiny: mpmath.mpf
    huge: mpmath.mpf

    @property
    def eps(self) -> mpmath.mpf:
        """The spacing of numbers at 1."""
        return mpmath.mpf(2) ** (1 - self.bits)

    def ulp(self, t: mpmath.mpf) -> mpmath.mpf:
        """The spacing of numbers at ``t``."""
        return mpmath.ldexp(1, int(mpmath.mag(max(abs(t), self.tiny))) - self.bits)


def type_of(dtype: torch.dtype) -> Type:
    """Return what the definition needs of ``dtype``."""
    info = torch.finfo(dtype)
    return Type(round(1 - math.log2(info.eps)), mpmath.mpf(info.tiny), mpmath.mpf(info.max))


def error(y: float, t: mpmath.mpf, kind: Type) -> float:
    """Return the error in units of ulp(t); infinite when rules 3 and 4 are broken, 0 when they settle it."""
    if math.isnan(y):
        return math.inf
    if abs(t) > kind.huge:
        return 0.0 if abs(y) >= kind.huge and (y > 0) == (t > 0) else _distance(y, t, kind)
    return _distance(y, t, kind)


def _distance(y: float, t: mpmath.mpf, kind: Type) -> float:
    if math.isinf(y):
        return 0.0 if abs(t) >= kind.huge * (1 - ULPS * kind.eps) else math.inf
    if abs(t) < kind.tiny and abs(y) < kind.tiny:
        return 0.0
    return float(abs(mpmath.mpf(y) - t) / kind.ulp(t))


def allowance(function: Function, x: float, kind: Type) -> float:
    """Return what rule 2 allows beyond 16 ulp, in units of ulp(t)."""
    with mpmath.workprec(3000):
        at = mpmath.mpf(x)
        h = abs(at) * mpmath.mpf(10) ** -9
        left, t, right = (function(at + s * h) for s in (-1, 0, 1))
        if left is None or t is None or right is None or left == right or t == 0:
            return 0.0
        slope, bend = (right - left) / (2 * h), (right - 2 * t + left) / h**2
        near = abs(t / slope) <= abs(at) / 4 and 1 - t * bend / slope**2 >= mpmath.mpf(1) / 4
        return float(2 * kind.eps * abs(at * slope) / kind.ulp(t)) if near else 0.0
