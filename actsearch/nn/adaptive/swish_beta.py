"""Swish with a learned beta: the catalog's row of this name, with settings.

Ramachandran, Zoph, Le 2017, "Searching for Activation Functions", arXiv:1710.05941.
"""

from __future__ import annotations

from actsearch.expr import catalog
from actsearch.nn.adaptive._formula import Formula, at_starts, start_expr


def formula(beta: float = 1.0) -> Formula:
    """Return x sigmoid(beta x), beta learned, per channel unless told otherwise.

    Args:
        beta: where it starts: 1 is silu, 0 is x/2, a large one is near relu.

    Example:
        >>> formula(beta=1.0).start
        x*sigmoid(x)
    """
    expr = at_starts(catalog.get("swish_beta").expr, {"beta": beta})
    return Formula(expr, start_expr(expr))
