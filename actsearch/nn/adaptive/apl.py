"""Adaptive piecewise linear units: relu plus learned hinges.

Agostinelli, Hoffman, Sadowski, Baldi 2014, "Learning Activation Functions to Improve Deep Neural Networks",
arXiv:1412.6830.
"""

from __future__ import annotations

import numpy as np
import sympy

from actsearch.expr.functions import x
from actsearch.expr.parameters import Parameter
from actsearch.nn.adaptive._formula import Formula, check_count, start_expr

_SPREAD = 1.0
"""The hinges start in [-1, 1], where a unit-normal input has two thirds of its values."""


def formula(n_hinges: int = 2) -> Formula:
    """Return max(x, 0) + sum_s a_s max(b_s - x, 0), slopes a_s and places b_s learned, per channel by default.

    It starts as relu: every a_s at 0, the b_s spread evenly over [-1, 1]. (The b_s move once the a_s have.)

    Args:
        n_hinges: number of hinges, 1 to 16. The paper has 5 for CIFAR-10 and 2 for CIFAR-100.

    Example:
        >>> formula(n_hinges=1).expr
        a0*Max(0, b0 - x) + Max(0, x)
    """
    check_count("n_hinges", n_hinges, 1, 16)
    places = np.linspace(-_SPREAD, _SPREAD, n_hinges) if n_hinges > 1 else np.zeros(1)
    expr = sympy.Max(x, 0)
    for s, place in enumerate(places):
        slope = Parameter(f"a{s}", 0.0, granularity="channel")
        expr += slope * sympy.Max(Parameter(f"b{s}", float(f"{place:.7g}"), granularity="channel") - x, 0)
    return Formula(expr, start_expr("relu"))
