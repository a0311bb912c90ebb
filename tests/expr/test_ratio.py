"""Ratios of polynomials: the plain quotient's values, without its overflow."""

import mpmath
import numpy as np
import pytest
import sympy
import torch

import actsearch
from actsearch.expr.graph import Program
from actsearch.expr.program import derivative, evaluate, lower
from actsearch.expr.resolve import to_expr

PLAIN = "(a0[0.3] + a1[0.5]*x + a2[1.6]*x**2 + a3[2.0]*x**3 + a4[0.9]*x**4 + a5[0.2]*x**5)"
EVEN = "(1 + abs(b1[0.1]*x) + abs(b2[4.0]*x**2) + abs(b3[-0.2]*x**3) + abs(b4[0.3]*x**4))"
WHOLE = "(1 + abs(b1[0.1]*x + b2[4.0]*x**2 + b3[-0.2]*x**3 + b4[0.3]*x**4))"
OPEN = "(1 + b1[0.1]*x + b2[4.0]*x**2 + b3[-0.2]*x**3 + b4[0.3]*x**4)"
RATIOS = [
    f"{PLAIN}/{EVEN}",
    f"{PLAIN}/{WHOLE}",
    f"{PLAIN}/{OPEN}",
    f"({PLAIN}/{WHOLE} - 0.25)/0.5",
    f"{PLAIN}/(1 + abs(b3[0.5]*x**3) + b2[0.1]*x**2)",  # divided by an odd power of |x|
    f"(a0[1.0] + a1[2.0]*x)/{EVEN}",  # falls to nothing
    "(1 + 2*x + 3*x**2)/(1 + 4*x**2 + 5*x**4)",
]
POINTS = np.array([-1e30, -1e8, -300.0, -7.5, -1.0, -0.999, -0.2, 0.0, 1e-9, 0.5, 1.0, 1.001, 3.0, 77.0, 1e8, 1e30])


def has_two_forms(program: Program) -> bool:
    return any(node.op == "select" for node in program.nodes)


@pytest.mark.parametrize("text", RATIOS)
def test_values_and_slopes_are_those_of_the_quotient_at_every_size(text):
    expr = to_expr(text)
    x, *_ = [symbol for symbol in expr.free_symbols if symbol.name == "x"]
    starts = {p: mpmath.mpf(p.start) for p in actsearch.compile(expr, "reference").parameters}
    assert has_two_forms(lower(expr))
    with mpmath.workdps(400):
        numbers = expr.xreplace({p: sympy.Rational(p.start) for p in starts})
        exact = sympy.lambdify(x, numbers, "mpmath")
        expected = [float(exact(mpmath.mpf(point))) for point in POINTS]
        slopes = [float(mpmath.diff(exact, mpmath.mpf(point))) for point in POINTS if abs(point) <= 1e8 and point != 0]
    assert evaluate(lower(expr), POINTS) == pytest.approx(expected, rel=1e-12)
    inside = POINTS[(np.abs(POINTS) <= 1e8) & (POINTS != 0)]
    assert evaluate(derivative(lower(expr), (1,)), inside) == pytest.approx(slopes, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize("backend", ["reference", "auto"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_nothing_overflows_up_to_a_hundred_million(backend, dtype):
    f = actsearch.compile(RATIOS[0], backend)
    sizes = [1e8, 1e4, 1.0, 0.0] if dtype != torch.float16 else [6e4, 1e2, 1.0, 0.0]
    x = torch.tensor([*sizes, *(-size for size in sizes)], dtype=dtype, requires_grad=True)
    parameters = [torch.tensor(float(p.start), requires_grad=True) for p in f.parameters]
    y = f(x, *parameters)
    first = torch.autograd.grad(y.float().sum(), (x, *parameters), create_graph=True)
    second = torch.autograd.grad(first[0].float().sum(), x)
    assert all(torch.isfinite(part).all() for part in (y, *first, *second))


@pytest.mark.parametrize(
    "text", ["(1 + x)/(2 + x)", "(x + x**2)/(1 + exp(x))", "(1 + x**2)/(3 + x**2 + abs(x)*x)", "x**3/(2 + x**2 + x)"]
)
def test_what_is_no_such_ratio_stays_as_it_was(text):
    assert not has_two_forms(lower(to_expr(text)))
