"""Branches of one shape computed once, and their derivatives: the same values with fewer operations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from actsearch.compiler import compile
from actsearch.compiler.build import c_compiler
from actsearch.compiler.c_branches import united
from actsearch.compiler.c_slopes import slopes
from actsearch.expr import catalog, parse
from actsearch.expr.differentiate import gradient
from actsearch.expr.expand import expand
from actsearch.expr.graph import Program
from actsearch.expr.program import evaluate, lower
from actsearch.nn.adaptive import rational

POINTS = np.array([0.0, 0.3, -0.7, 1.0, -1.0, 1.5, -2.5, 40.0, -1e4, 1e8, np.inf, -np.inf, np.nan])
RATIONALS = {
    "A": rational.formula(start="gelu").expr,
    "B": rational.formula(version="B", start="tanh").expr,
    "C": rational.formula(version="C", start="silu", degrees=(3, 2)).expr,
    "N": rational.formula(version="N", start=((0.0, 1.0, 0.2), (0.1, 0.3))).expr,
    "higher above": rational.formula(degrees=(7, 4), start="mish").expr,
    "a named row": catalog.get("pau").expr,
}


def _steps(program: Program) -> int:
    return sum(node.op in ("add", "sub", "mul", "div") for node in expand(program).nodes)


@pytest.mark.parametrize("name", RATIONALS)
def test_values_keep_their_bits_in_fewer_steps(name: str) -> None:
    program = lower(RATIONALS[name])
    one = united(program)
    np.testing.assert_array_equal(evaluate(one, POINTS), evaluate(program, POINTS))
    assert _steps(one) < 0.8 * _steps(program)


@pytest.mark.parametrize("name", RATIONALS)
def test_slopes_are_those_of_the_program(name: str) -> None:
    program = lower(RATIONALS[name])
    ours, plain = slopes(program), gradient(program)
    assert len(ours.outputs) == 1 + len(program.parameters)
    assert _steps(ours) < 0.9 * _steps(plain)
    for ours_out, plain_out in zip(ours.outputs, plain.outputs, strict=True):
        pair = [
            evaluate(Program(whole.nodes, (out,), whole.parameters), POINTS[:-3])
            for whole, out in ((ours, ours_out), (plain, plain_out))
        ]
        np.testing.assert_allclose(*pair, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("text", ["relu(x)", "elu(x)", "gelu(x)", "x if x > 0 else exp(x) - 1", "min(max(x, -1), 1)"])
def test_branches_that_have_little_in_common_stay(text: str) -> None:
    program = lower(parse(text))
    assert united(program) == program
    assert slopes(program) == gradient(program)


def test_a_term_that_one_branch_lacks_is_multiplied_by_one() -> None:
    program = lower(parse("a[2.0] + x * (b[3.0] + x * c[4.0]) if x > 0 else x * (c[4.0] + x * (b[3.0] - x * a[2.0]))"))
    np.testing.assert_array_equal(evaluate(united(program), POINTS), evaluate(program, POINTS))


@pytest.mark.skipif(c_compiler() is None, reason="needs a C compiler")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_rational_far_out_is_as_by_the_reference(dtype: torch.dtype) -> None:
    """From 1e8 on the denominator of an identity is below 1e-32: its reciprocal is scaled."""
    points = torch.tensor([0.0, 1e-30, -1.0, 1.0, 3.0, -1e5, 1e7, 1e9], dtype=dtype)
    found = []
    for backend in ("c", "reference"):
        f = compile(rational.formula(start="identity").expr, backend)
        x = points.clone().requires_grad_()
        parameters = [torch.tensor(float(p.start), dtype=dtype, requires_grad=True) for p in f.parameters]
        y = f(x, *parameters)
        slope = torch.autograd.grad(y, [x, *parameters[:2]], torch.ones_like(y), retain_graph=True)
        each = [torch.autograd.grad(y[i], parameters[:2], retain_graph=True) for i in range(len(points))]
        found.append([y.detach(), slope[0], torch.tensor(each)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5 if dtype == torch.float32 else 1e-13, atol=0)
        assert torch.isfinite(ours).all()
