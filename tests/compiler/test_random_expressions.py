"""Any expression: its program is that expression, and computed values keep within a running-error bound (bound.py)."""

from __future__ import annotations

import math

import mpmath
import pytest
import sympy
import torch
from accuracy import Type, type_of
from bound import Bound, running_bound
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from truth import true_value

from actsearch.compiler import compile
from actsearch.expr.functions import x
from actsearch.expr.primitives import PRIMITIVES
from actsearch.expr.program import derivative, evaluate

FACTOR = 8
_UNARY = [row.build for row in PRIMITIVES.values() if row.arity == 1 and row.name != "floor"]
_BINARY = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    PRIMITIVES["max"].build,
    PRIMITIVES["min"].build,
]
_POWERS = [2, 3, -1, -2, sympy.Rational(1, 2)]
_LEAVES = [x, x, x, 2 * x, x / 3, x + 1, 1 - x, sympy.Float(1.702) * x, sympy.Float(-0.3) * x]

expressions = st.recursive(
    st.sampled_from(_LEAVES),
    lambda inner: st.one_of(
        st.builds(lambda f, a: f(a), st.sampled_from(_UNARY), inner),
        st.builds(lambda f, a, b: f(a, b), st.sampled_from(_BINARY), inner, inner),
        st.builds(lambda a, n: a**n, inner, st.sampled_from(_POWERS)),
    ),
    max_leaves=4,
)
_magnitudes = st.one_of(st.floats(-3, 1.5).map(lambda e: 10.0**e), st.floats(0.01, 4))
points = st.lists(st.builds(lambda m, s: s * m, _magnitudes, st.sampled_from([-1, 1])), min_size=3, max_size=3)
quiet = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}


def _values(expr: sympy.Expr, inputs: torch.Tensor, order: int, dtype: torch.dtype) -> list[float]:
    """Return the derivative: float64 by the NumPy evaluator, other types by compiled torch source."""
    if dtype == torch.float64:
        return evaluate(derivative(expr, (order,)), inputs.numpy()).tolist()
    leaves = inputs.to(dtype).requires_grad_()
    value = compile(expr, backend="reference")(leaves)
    for _ in range(order):
        (value,) = torch.autograd.grad(value.sum(), leaves, create_graph=True)
        if not value.requires_grad:
            value = value + 0 * leaves
    return value.tolist()


def _bound(expr: sympy.Expr, order: int, point: float, kind: Type) -> Bound | None:
    with mpmath.workprec(400):
        return running_bound(derivative(expr, (order,)), point, {}, kind)


def _check(expr: sympy.Expr, places: list[float]) -> None:
    assume(expr.has(x) and not expr.has(sympy.zoo, sympy.nan, sympy.oo, sympy.I))
    inputs = torch.tensor(places, dtype=torch.float32).double()
    for dtype in (torch.float64, torch.float32):
        kind = type_of(dtype)
        for order in range(3):
            for point, y in zip(inputs.tolist(), _values(expr, inputs, order, dtype), strict=True):
                bound = _bound(expr, order, point, kind)
                if bound is None or not bound.decided or not bound.in_range:
                    continue
                place = f"order {order} of {expr} at {point!r} in {dtype}"
                assert not math.isnan(y), place
                assert abs(mpmath.mpf(y) - bound.value) <= FACTOR * bound.error, place
                if order < 2 and dtype == torch.float64:
                    _check_program(expr, order, point, bound, place)


def _check_program(expr: sympy.Expr, order: int, point: float, bound: Bound, place: str) -> None:
    """The program's exact value is the value of SymPy's derivative of the textbook formula.

    Up to a part of the rounding bound: SymPy multiplies selu's two constants with 16 digits.
    """
    t = true_value(expr, order, point, {}, x)
    if t is not None:
        assert abs(t - bound.value) <= bound.error / 4 + mpmath.mpf(10) ** -60, place


@settings(max_examples=25, **quiet)
@given(expressions, points)
def test_a_sample_of_random_expressions(expr: sympy.Expr, places: list[float]) -> None:
    _check(expr, places)


@pytest.mark.slow
@settings(max_examples=400, **quiet)
@given(expressions, points)
def test_random_expressions(expr: sympy.Expr, places: list[float]) -> None:
    _check(expr, places)
