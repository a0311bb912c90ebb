"""SymPy numbers to mpmath, to more digits than any type has."""

from __future__ import annotations

import mpmath
import sympy

from actsearch.expr.value import DIGITS


def number(expr: sympy.Expr) -> mpmath.mpf:
    """Return the value of a constant expression to 40 digits; NaN where it is not real, signed infinity as such."""
    if expr is sympy.nan or expr is sympy.zoo:
        return mpmath.nan
    if expr in (sympy.oo, -sympy.oo):
        return mpmath.inf if expr is sympy.oo else -mpmath.inf
    value = expr.evalf(DIGITS + 5)
    if value.is_real is False or (not value.is_Float and not value.is_Rational):
        return mpmath.nan
    with mpmath.workdps(DIGITS + 5):
        return mpmath.mpf(value.p) / value.q if value.is_Rational else mpmath.mpf(value._mpf_)
