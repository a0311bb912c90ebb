"""Irrational constants to 50 digits; arithmetic on them belongs to the builder, which keeps 40."""

from __future__ import annotations

import mpmath

with mpmath.workdps(50):
    LOG_2 = +mpmath.ln2
    QUARTER_PI = mpmath.pi / 4
    SQRT_HALF = mpmath.sqrt(mpmath.mpf(1) / 2)
    #: 2 / sqrt(pi), the slope of erf at 0.
    ERF_SLOPE = 2 / mpmath.sqrt(mpmath.pi)
    #: 1 / sqrt(2 pi), the density of N(0, 1) at 0.
    NORMAL_PEAK = 1 / mpmath.sqrt(2 * mpmath.pi)
