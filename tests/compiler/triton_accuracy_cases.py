"""The accuracy of Triton kernels over every row: twice the reference's error plus 4 ulp (see test_c_accuracy.py).

Run as ``triton_cases.py`` is.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch
from accuracy import type_of
from test_accuracy import ROWS, _grid
from test_c_accuracy import OTHERS, _distance, _terms
from triton_cases import DEVICE, gradients_of_ones
from truth import true_value

from actsearch.compiler import compile
from actsearch.compiler.triton_backend import printable
from actsearch.expr.functions import x as X
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import derivative, lower

pytestmark = pytest.mark.slow
MORE = 4


def _check(name: str, points: list[float], dtype: torch.dtype) -> None:
    """Check values and slopes against mpmath: at most twice the reference's error plus 4 ulp."""
    expr, kind = ROWS[name], type_of(dtype)
    inputs = torch.tensor(points, dtype=torch.float64).to(dtype)
    points = inputs.tolist()
    starts = {p: p.start for p in parameters_of(expr)}
    f, plain = compile(expr, "triton"), compile(expr, "reference")
    ours, theirs = ([t.tolist() for t in gradients_of_ones(g, inputs.to(DEVICE))] for g in (f, plain))
    assert f._triton is not None
    assert f._triton.served
    for order in (0, 1):
        terms = _terms(derivative(lower(expr), (order,)) if order else lower(expr), points)
        for point, y, z, term in zip(points, ours[order], theirs[order], terms, strict=True):
            assert np.isnan(y) == np.isnan(z), f"order {order} at {point!r} in {dtype}: {y!r}, the reference {z!r}"
            t = None if np.isnan(y) else true_value(expr, order, point, starts, X)
            if t is None or not np.isfinite(term) or (np.isinf(y) and np.isinf(z)):
                continue

            def distance(value: float, t: mpmath.mpf = t, term: float = term) -> mpmath.mpf:
                return _distance(value, t, kind.ulp(max(abs(t), mpmath.mpf(float(term)))), kind)

            if distance(y) > 2 * distance(z) + MORE:  # the reference may be right by luck: look beside
                near = [point * (1 + k * float(kind.eps)) for k in (-3, -2, -1, 1, 2, 3)]
                found = gradients_of_ones(plain, torch.tensor(near, dtype=torch.float64).to(dtype).to(DEVICE))[order]
                truth = [true_value(expr, order, p, starts, X) for p in near]
                most = max(distance(v, t) for v, t in zip(found.tolist(), truth, strict=True) if t is not None)
                assert distance(y) <= 2 * most + MORE, f"order {order} at {point!r} in {dtype}: {y!r}, not {float(t)!r}"


@pytest.mark.parametrize("name", ROWS)
def test_accuracy_in_float32(name: str) -> None:
    _check(name, _grid(torch.float32, 4), torch.float32)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", OTHERS)
def test_accuracy_in_other_types(name: str, dtype: torch.dtype) -> None:
    if printable(lower(ROWS[name]), dtype == torch.float64):
        _check(name, _grid(dtype, 4), dtype)
    else:
        assert any(node.op == "power" for node in lower(ROWS[name]).nodes)  # the one operation that float64 lacks
