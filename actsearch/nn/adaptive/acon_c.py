"""ACON-C: a smooth maximum of two learned lines; the catalog's row of this name, with settings.

Ma, Zhang, Liu, Sun 2021, "Activate or Not: Learning Customized Activation", arXiv:2009.04759.
"""

from __future__ import annotations

from actsearch.expr import catalog
from actsearch.nn.adaptive._formula import Formula, at_starts, start_expr


def formula(p1: float = 1.0, p2: float = 0.0, beta: float = 1.0) -> Formula:
    """Return (p1 - p2) x sigmoid(beta (p1 - p2) x) + p2 x, all three learned, per channel unless told otherwise.

    Args:
        p1: slope of the upper line at the start; the authors draw it from N(0, 1).
        p2: slope of the lower line at the start; the authors draw it from N(0, 1).
        beta: how hard the maximum is; with 1, 0, 1 it starts as silu.

    Example:
        >>> formula(p2=0.25).max_error < 1e-9
        True
    """
    expr = at_starts(catalog.get("acon_c").expr, {"p1": p1, "p2": p2, "beta": beta})
    return Formula(expr, start_expr(expr))
