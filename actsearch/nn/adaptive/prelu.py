"""Parametric ReLU: the catalog's row of this name, with settings.

He, Zhang, Ren, Sun 2015, "Delving Deep into Rectifiers", arXiv:1502.01852.
"""

from __future__ import annotations

from actsearch.expr import catalog
from actsearch.nn.adaptive._formula import Formula, at_starts, start_expr


def formula(slope: float = 0.25) -> Formula:
    """Return max(x, 0) + a min(x, 0), a learned, per channel unless told otherwise.

    Args:
        slope: where a starts: 0.25 in the paper; 0 is relu, 0.01 is leaky_relu.

    Example:
        >>> formula(slope=0.01).max_error
        0.0
    """
    expr = at_starts(catalog.get("prelu").expr, {"a": slope})
    return Formula(expr, start_expr(expr))
