"""Mean 0 and variance 1 at the start, for a family that is no formula."""

from __future__ import annotations

import sympy
from torch import Tensor, nn

from actsearch.expr.moments import moments
from actsearch.expr.text import format
from actsearch.nn.adaptive._formula import start_expr


class Normalised(nn.Module):
    """An activation less its mean, over its standard deviation, both for a unit-normal input at the start.

    Args:
        inner: the activation.
        start: the function that it starts at.

    Attributes:
        mean: under N(0, 1).
        deviation: under N(0, 1).

    Example:
        >>> from actsearch.nn.adaptive import dynamic_relu
        >>> module = Normalised(dynamic_relu.make(n_channels=2), "relu")
        >>> round(module.mean, 4), round(module.deviation, 4)
        (0.3989, 0.5838)
    """

    #: It is no elementwise function: initialisation measures it on samples.
    mixes_channels = True

    def __init__(self, inner: nn.Module, start: sympy.Expr | str) -> None:
        super().__init__()
        self.inner = inner
        self.start = start_expr(start)
        under_normal = moments(self.start)
        self.mean, self.deviation = float(under_normal.mean), float(under_normal.standard_deviation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised activation, of the shape and dtype of ``x``."""
        return (self.inner(x) - self.mean) / self.deviation

    def extra_repr(self) -> str:
        """Return the function at the start."""
        return f"starts at ({format(self.start)} - {self.mean:.4g}) / {self.deviation:.4g}"
