"""What an elementwise family is: an expression with parameters, and the function that it starts at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import sympy

from actsearch.errors import ActivationError, suggest
from actsearch.expr.functions import x
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.program import derivative, evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import format

Array = npt.NDArray[np.float64]
_N_MEASURED = 20_001
_N_SHOWN = 60


@dataclass(frozen=True)
class Formula:
    """An elementwise family with its settings.

    Attributes:
        expr: the expression; its parameters start where it equals ``start``, up to ``max_error``.
        start: the function it starts at, without parameters.
        low: from here
        high: to here the start was fitted; beyond, nothing is promised.
        noise: in training each parameter's value is multiplied by a random number from [1 - noise, 1 + noise], drawn
            anew for each element of the input.
    """

    expr: sympy.Expr
    start: sympy.Expr
    low: float = -10.0
    high: float = 10.0
    noise: float = 0.0

    @cached_property
    def max_error(self) -> float:
        """The largest difference between the expression at its start values and ``start``, on [low, high]."""
        points = np.linspace(self.low, self.high, _N_MEASURED)
        return float(np.abs(evaluate(lower(self.expr), points) - evaluate(lower(self.start), points)).max())

    def __str__(self) -> str:
        shown = format(self.start)
        shown = shown if len(shown) <= _N_SHOWN else f"{shown[:_N_SHOWN]}..."
        return f"starts within {self.max_error:.2g} of {shown} on [{self.low:g}, {self.high:g}]"


@lru_cache(maxsize=256)
def start_expr(spec: sympy.Expr | str) -> sympy.Expr:
    """Return a start function as an expression, its own parameters at their start values.

    Raises:
        ExprError: no catalog name and no text of the grammar.
    """
    expr = to_expr(spec)
    return to_expr(expr.subs({parameter: _number(parameter.start) for parameter in parameters_of(expr)}))


def _number(value: float) -> sympy.Expr:
    return sympy.Integer(int(value)) if value.is_integer() and abs(value) < 1000 else sympy.Float(value)


def values_on(expr: sympy.Expr, points: Array) -> Array:
    """Return the values of a start function.

    Raises:
        ActivationError: one of them is not finite.
    """
    values = evaluate(lower(expr), points)
    if not np.isfinite(values).all():
        at = float(points[int(np.argmin(np.isfinite(values)))])
        raise ActivationError(f"{format(expr)!r} cannot be a start: it is not finite at {at:g}")
    return values


def parameters(name: str, starts: Sequence[float], first: int = 0) -> list[Parameter]:
    """Return parameters ``name0, name1, ...``, their start values rounded to seven digits: those of float32."""
    return [Parameter(f"{name}{first + i}", rounded(float(start))) for i, start in enumerate(starts)]


def rounded(number: float) -> float:
    """Return a number rounded to seven significant digits."""
    return float(f"{number:.7g}")


def at_starts(expr: sympy.Expr, starts: Mapping[str, float]) -> sympy.Expr:
    """Return an expression whose parameters of these names have other start values."""
    changed = {p: Parameter(p.name, starts[p.name], p.constraint, p.granularity)
               for p in parameters_of(expr) if p.name in starts}  # fmt: skip
    return expr.xreplace(changed)


def check_range(low: float, high: float) -> None:
    """Raise ActivationError unless low < high, both finite."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ActivationError(f"the range from low={low} to high={high} is empty; low < high is needed, both finite")


def check_count(name: str, given: int, least: int, most: int) -> None:
    """Raise ActivationError unless a setting is a whole number from ``least`` to ``most``."""
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
        raise ActivationError(f"{name}={given!r} is no whole number from {least} to {most}")


def check_word(name: str, given: str, words: Sequence[str]) -> None:
    """Raise ActivationError unless a setting is one of ``words``."""
    if given not in words:
        raise ActivationError(f"{name}={given!r} is unknown{suggest(str(given), words)} ({', '.join(words)})")


def hinge(at: float) -> sympy.Expr:
    """Return max(x - at, 0)."""
    return sympy.Max(x - at, 0)


def slopes_at(expr: sympy.Expr, points: Sequence[float]) -> list[float]:
    """Return the slopes of a start function.

    Raises:
        ActivationError: one of them is not finite.
    """
    slopes: list[float] = evaluate(derivative(lower(expr), (1,)), np.array(points)).tolist()
    for point, slope in zip(points, slopes, strict=True):
        if not math.isfinite(slope):
            raise ActivationError(f"{format(expr)!r} cannot be a start: its slope is not finite at {point:g}")
    return slopes
