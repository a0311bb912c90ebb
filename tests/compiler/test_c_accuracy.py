"""The accuracy of C kernels: at most twice the reference's own error, plus 4 ulp.

The ulp is that of the larger of |f| and of the largest term of the last sum, so that a kernel may order a cancelling
sum in its own way. Numbers below the smallest normal one count as equal to 0: hardware may flush them.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy
import torch
from accuracy import ULPS, Type, type_of
from test_accuracy import CATALOG, FEW, ROWS, _grid, _promise
from truth import true_value

from actsearch.compiler import compile
from actsearch.compiler.build import c_compiler
from actsearch.expr.functions import x
from actsearch.expr.graph import Program
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import derivative, evaluate, lower
from tests.catalog_sample import sample

pytestmark = pytest.mark.skipif(c_compiler() is None, reason="needs a C compiler")
MORE = 4
OTHERS = [name for name in ROWS if name not in CATALOG]
SAMPLE = [*OTHERS[::8], "catalog gelu", "catalog silu", "catalog mish", "form x_gaussian", "primitive erfc"]


def _orders(expr: sympy.Expr, points: list[float], dtype: torch.dtype, backend: str) -> list[list[float]]:
    inputs = torch.tensor(points, dtype=torch.float64).to(dtype).requires_grad_()
    y = compile(expr, backend)(inputs)
    return [y.tolist(), torch.autograd.grad(y.sum(), inputs)[0].tolist()]


def _terms(program: Program, points: list[float]) -> np.ndarray:
    """Return the largest term of the last sum, or |f| where there is none, at each point."""
    starts = tuple(float(p.start) for p in program.parameters)

    def value(i: int) -> np.ndarray:
        return np.broadcast_to(
            evaluate(Program(program.nodes, (i,), program.parameters), np.array(points), starts), len(points)
        )

    def largest(i: int) -> np.ndarray:
        node = program.nodes[i]
        if node.op in ("add", "sub"):
            return np.maximum(*(largest(k) for k in node.args))
        if node.op == "neg":
            return largest(node.args[0])
        if node.op == "mul" and program.nodes[node.args[0]].op == "constant":
            return np.abs(value(node.args[0])) * largest(node.args[1])
        return np.abs(value(i))

    return largest(program.outputs[0])


def _distance(y: float, t: mpmath.mpf, unit: mpmath.mpf, kind: Type) -> mpmath.mpf:
    """Return the error in units; 0 where both are below the normal numbers, or beyond the largest."""
    if abs(t) < kind.tiny and abs(y) <= kind.tiny:
        return mpmath.mpf(0)
    if abs(t) > kind.huge and np.isinf(y):
        return mpmath.mpf(0)
    return abs(mpmath.mpf(y) - t) / unit


def _check(name: str, points: list[float], dtype: torch.dtype) -> None:
    expr, (ulps, absolute) = ROWS[name], _promise(name)
    kind = type_of(dtype)
    points = torch.tensor(points, dtype=torch.float64).to(dtype).tolist()
    starts = {parameter: parameter.start for parameter in parameters_of(expr)}
    both = [_orders(expr, points, dtype, backend) for backend in ("c", "reference")]
    assert compile(expr, "c").kernels.served  # type: ignore[union-attr]
    for order, (ours, theirs) in enumerate(zip(*both, strict=True)):
        terms = _terms(derivative(lower(expr), (order,)) if order else lower(expr), points)
        for point, y, z, term in zip(points, ours, theirs, terms, strict=True):
            assert np.isnan(y) == np.isnan(z), f"order {order} at {point!r} in {dtype}: {y!r}, the reference {z!r}"
            t = None if np.isnan(y) else true_value(expr, order, point, starts, x)
            if t is None or not np.isfinite(term) or (np.isinf(y) and np.isinf(z)):
                continue
            unit = kind.ulp(max(abs(t), mpmath.mpf(float(term)), 1 if order >= absolute else 0))
            found, allowed = _distance(y, t, unit, kind), 2 * _distance(z, t, unit, kind) + MORE
            allowed = max(allowed, ulps if ulps > ULPS else 0)  # a row that promises less may keep its promise here too
            assert found <= allowed, (
                f"order {order} at {point!r} in {dtype}: {y!r}, not {float(t)!r}: "
                f"{float(found):.3g} ulp, where {float(allowed):.3g} are allowed"
            )


@pytest.mark.parametrize("name", SAMPLE)
def test_a_few_points_in_float32(name: str) -> None:
    _check(name, list(FEW), torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", [*OTHERS, *(f"catalog {name}" for name in sample(6))])
def test_grid(name: str, dtype: torch.dtype) -> None:
    _check(name, _grid(dtype, 4), dtype)
