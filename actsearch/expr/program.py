"""Programs: an expression as a straight line of stable operations, its derivatives, and its values in NumPy.

Start with :func:`lower`; :func:`derivative` and :func:`evaluate` take what it returns. The operations are the rows of
:mod:`actsearch.expr.ops`.

Example:
    >>> import numpy as np, sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> softplus = lower(sympy.log(1 + sympy.exp(x)))
    >>> evaluate(softplus, np.array([-1000.0, 0.0, 1000.0])).round(3).tolist()
    [0.0, 0.693, 1000.0]
    >>> evaluate(derivative(softplus, (1,)), np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
"""

from __future__ import annotations

from functools import lru_cache

import sympy

from actsearch.expr.differentiate import differentiate
from actsearch.expr.evaluate import evaluate as evaluate
from actsearch.expr.graph import Node as Node
from actsearch.expr.graph import Program as Program
from actsearch.expr.lower import lower as lower


@lru_cache(maxsize=4096)
def derivative(of: Program | sympy.Expr, orders: tuple[int, ...]) -> Program:
    """Return the program of a derivative.

    Args:
        of: A program or an expression.
        orders: How often to differentiate in x, then in each parameter (sorted by name); missing ones are 0.

    Raises:
        ExprError: The expression cannot be lowered.
    """
    program = of if isinstance(of, Program) else lower(of)
    return differentiate(program, orders + (0,) * (1 + len(program.parameters) - len(orders)))
