"""Two independent ways to compute what was read back: our own program, and SymPy through mpmath."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mpmath
import numpy as np
import numpy.typing as npt
import sympy

from actsearch.expr.functions import x
from actsearch.expr.program import evaluate, lower

Array = npt.NDArray[np.float64]
Function = Callable[..., Array]
"""Called as ``f(x, *parameters)``: x float64 of shape (n,), one number a parameter; returns shape (n,)."""

# exp(-745) is the smallest number a float64 holds; 1 + exp(-745) has to keep 16 digits of it
DIGITS = 360


def by_program(expr: sympy.Expr) -> Function:
    """Return the function of an expression, computed by the program's NumPy evaluator."""
    program = lower(expr)
    return lambda points, *parameters: evaluate(program, points, parameters)


def by_mpmath(expr: sympy.Expr, parameters: Sequence[sympy.Symbol]) -> Function:
    """Return the function of a SymPy expression in elementary functions, computed by mpmath with no cancellation.

    Where the value is not real it is NaN; where it is too large for float64, infinite.
    """
    # lambdify would let a parameter named like a function hide the function
    plain = [sympy.Symbol(f"parameter_{index}", real=True) for index in range(len(parameters))]
    compute = sympy.lambdify((x, *plain), expr.xreplace(dict(zip(parameters, plain, strict=True))), modules="mpmath")

    def function(points: Array, *values: float) -> Array:
        with mpmath.workdps(DIGITS):
            numbers = [mpmath.mpf(float(value)) for value in values]
            return np.array([_real(compute, mpmath.mpf(float(point)), numbers) for point in points])

    return function


def _real(compute: Callable[..., object], point: object, numbers: Sequence[object]) -> float:
    try:
        value = mpmath.mpmathify(compute(point, *numbers))
    except (ZeroDivisionError, ValueError):  # mpmath's way to say that there is no value here
        return float("nan")
    if isinstance(value, mpmath.mpc):
        return float(value.real) if not value.imag else float("nan")
    return float(value)
