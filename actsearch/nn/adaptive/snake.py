"""Snake: a line with a learned ripple; the catalog's row of this name, with settings.

Ziyin, Hartwig, Ueda 2020, "Neural Networks Fail to Learn Periodic Functions and How to Fix It", arXiv:2006.08195.
"""

from __future__ import annotations

from actsearch.expr import catalog
from actsearch.nn.adaptive._formula import Formula, at_starts, start_expr


def formula(frequency: float = 1.0) -> Formula:
    """Return x + sin(a x)^2 / a, the frequency a > 0 learned, per channel unless told otherwise.

    Args:
        frequency: where a starts; the paper takes 1, and 5 to 50 for data that are known to be periodic.

    Raises:
        ExprError: the frequency is not above 0.

    Example:
        >>> formula(frequency=5.0).max_error < 1e-6
        True
    """
    expr = at_starts(catalog.get("snake").expr, {"a": frequency})
    return Formula(expr, start_expr(expr))
