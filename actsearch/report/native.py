"""torch's own function for a formula, found by fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import sympy
import torch
import torch.nn.functional as F

from actsearch.expr.fingerprint import fingerprint
from actsearch.expr.primitives import PRIMITIVES
from actsearch.nn.known import ROWS

Function = Callable[[torch.Tensor], torch.Tensor]

_WEIGHTED = ("prelu",)  # their function takes more than x
_NAMESAKES = ("sinc",)  # torch's is sin(pi x) / (pi x)


def native_of(expr: sympy.Expr | str) -> tuple[str, Function] | None:
    """Return the name of torch's own function for ``expr`` and the function; None where torch has none.

    Args:
        expr: an expression in x, a catalog name, or text; its form and the names of its parameters do not matter.

    Raises:
        ExprError: it is no such expression.

    Example:
        >>> native_of("x / (1 + exp(-x))")[0], native_of("x * sigmoid(atan(x))")
        ('silu', None)
    """
    return _by_fingerprint().get(fingerprint(expr))


@lru_cache(maxsize=1)
def _by_fingerprint() -> dict[str, tuple[str, Function]]:
    """Return torch's functions: the activations with their default settings, then the primitives that it has."""
    found: dict[str, tuple[str, Function]] = {}
    for row in ROWS:
        if row.name not in _WEIGHTED:
            found.setdefault(fingerprint(row.expression(row.module())), (row.name, row.functions[0]))
    found.setdefault(fingerprint("gelu_tanh"), ("gelu(tanh)", partial(F.gelu, approximate="tanh")))
    for name, primitive in PRIMITIVES.items():
        function = getattr(torch, name, None)
        if function is not None and primitive.arity == 1 and name not in _NAMESAKES:
            found.setdefault(fingerprint(f"{name}(x)"), (name, function))
    return found
