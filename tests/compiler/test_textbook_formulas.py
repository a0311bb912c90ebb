"""Formulas as textbooks write them give finite values and slopes where bridges from formula to torch give NaN."""

from __future__ import annotations

import pytest
import sympy
import torch
from sympy import Heaviside, Max, Min, Piecewise, Symbol, cos, erf, erfc, exp, log, sin, sqrt, tanh

from actsearch.compiler import compile

x = Symbol("x")  # without assumptions, as users write it
FORMULAS = {
    "silu": x / (1 + exp(-x)),
    "softplus": log(1 + exp(x)),
    "mish": x * tanh(log(1 + exp(x))),
    "gelu": x * (1 + erf(x / sqrt(2))) / 2,
    "sinc": sin(x) / x,
    "x_by_one_minus_exp": x / (1 - exp(-x)),
    "guarded_root": Piecewise((sqrt(x), x > 0), (0, True)),
    "elu": Piecewise((x, x > 0), (exp(x) - 1, True)),
    "heaviside": x * Heaviside(x),
    "erfc": x * erfc(-x),
    "maximum_of_three": Max(x, -x / 10, Min(x**2, 1)),
    "cosine": cos(x) - x,
    "gaussian": exp(-(x**2)),
    "tanh_by_exp": (exp(x) - exp(-x)) / (exp(x) + exp(-x)),
}
POINTS = [0.0, 1.0, -1.0, 100.0, -100.0, 1000.0, -1000.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_gradients_are_finite(name: str, dtype: torch.dtype) -> None:
    f = compile(FORMULAS[name], backend="reference")
    points = torch.tensor(POINTS, dtype=dtype, requires_grad=True)
    values = f(points)
    slopes, *_ = torch.autograd.grad(values.sum(), points, create_graph=True)
    assert values.isfinite().all(), values
    assert slopes.isfinite().all(), slopes
    if slopes.requires_grad:
        assert torch.autograd.grad(slopes.sum(), points)[0].isfinite().all()


def test_the_symbol_of_any_assumptions_is_x() -> None:
    assert compile(Symbol("x", positive=True) ** 2).expr == compile(sympy.Symbol("x") ** 2).expr
