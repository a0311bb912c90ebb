"""Programs: derivatives and their values at kinks, simplification, NumPy evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
import torch
from torch.nn import functional as F

from actsearch.expr import catalog, parse
from actsearch.expr.evaluate import evaluate_all
from actsearch.expr.graph import Program
from actsearch.expr.ops import LEAVES, OPS
from actsearch.expr.program import derivative, evaluate, lower

GRID = np.linspace(-4, 4, 33)
#: Catalog rows that torch has too, at points that hold all kinks.
TORCH = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hard_tanh": F.hardtanh,
    "hard_sigmoid": F.hardsigmoid,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "softsign": F.softsign,
    "silu": F.silu,
    "tanhshrink": F.tanhshrink,
    "hardshrink": F.hardshrink,
}


@pytest.mark.parametrize("name", TORCH)
def test_values_and_slopes_follow_torch_at_kinks_too(name: str) -> None:
    points = torch.tensor(
        [-3.0, -1.0, -0.5, -0.25, 0.0, 0.5, 1.0, 3.0, 6.0, 7.0], dtype=torch.float64, requires_grad=True
    )
    values = TORCH[name](points)
    (slopes,) = torch.autograd.grad(values.sum(), points)
    expr = catalog.get(name).expr
    assert evaluate(lower(expr), points.detach().numpy()) == pytest.approx(
        values.detach().numpy(), rel=1e-14, abs=1e-16
    )
    found = evaluate(derivative(expr, (1,)), points.detach().numpy())
    assert found == pytest.approx(slopes.numpy(), rel=1e-7, abs=1e-16)  # torch's hardsigmoid has 1/6 to seven digits


@pytest.mark.parametrize(
    ("text", "point", "slope"),
    [
        ("relu(x)", 0.0, 0.0),
        ("max(x, 0)", 0.0, 0.0),
        ("min(x, 0)", 0.0, 1.0),
        ("abs(x)", 0.0, 0.0),
        ("sign(x)", 0.0, 0.0),
        ("max(x, x**2)", 1.0, 1.5),
        ("min(x, x**2)", 1.0, 1.5),
        ("max(x, 1)", 1.0, 0.0),
        ("clip(x, -1, 1)", 1.0, 0.0),
        ("max(x, tanh(x))", 1e-9, 1.0),
        ("min(x, sin(x))", -1e-9, 1.0),
    ],
)
def test_slopes_at_kinks(text: str, point: float, slope: float) -> None:
    assert evaluate(derivative(parse(text), (1,)), point) == slope


def test_a_branch_not_taken_never_shows() -> None:
    expr = parse("sqrt(x) if x > 0 else exp(-x) if x > -1 else log(-x)")
    points = np.array([-1e4, -1.0, 0.0, 4.0])
    for order in range(3):
        assert np.isfinite(evaluate(derivative(expr, (order,)), points)).all()


def test_derivatives_in_parameters_and_mixed_ones() -> None:
    expr = parse("a[0.5] * sin(b[2.0] * x)")
    a, b = 0.5, 2.0
    expected = {
        (0, 1, 0): np.sin(b * GRID),
        (0, 0, 1): a * GRID * np.cos(b * GRID),
        (1, 1, 0): b * np.cos(b * GRID),
        (0, 0, 2): -a * GRID**2 * np.sin(b * GRID),
        (0, 2, 0): 0 * GRID,
        (3, 0, 0): -a * b**3 * np.cos(b * GRID),
    }
    for orders, values in expected.items():
        assert evaluate(derivative(expr, orders), GRID) == pytest.approx(values, rel=1e-13, abs=1e-14)


def test_parameters_broadcast_and_are_counted() -> None:
    program = lower(parse("beta[2.0] * x"))
    assert evaluate(program, [1.0, 3.0]).tolist() == [2.0, 6.0]
    assert evaluate(program, np.ones((2, 3)), [np.array([1.0, 2.0, 3.0])]).tolist() == [[1.0, 2.0, 3.0]] * 2
    with pytest.raises(ValueError, match="2 parameter values for 1 parameters"):
        evaluate(program, [1.0], [1.0, 2.0])


def test_nan_and_infinity_are_results_without_a_warning() -> None:
    assert np.isnan(evaluate(lower(parse("log(x)")), [-1.0])).all()
    assert evaluate(lower(parse("1/x")), [0.0]).tolist() == [np.inf]
    assert evaluate(lower(parse("exp(x)")), [[1e4]]).tolist() == [[np.inf]]


@pytest.mark.parametrize("text", ["2.5", "x", "pi", "beta[1.5]"])
def test_results_have_the_shape_of_the_input_and_memory_of_their_own(text: str) -> None:
    points = np.ones((2, 3))
    result = evaluate(lower(parse(text)), points)
    assert (result.shape, result.dtype) == ((2, 3), np.float64)
    assert not np.shares_memory(result, points)


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        ("x", set()),
        ("3*x + 2", set()),
        ("x**2", {"mul"}),
        ("sigmoid(x)", {"logistic"}),
        ("max(x, 0)", {"lt", "select"}),
    ],
)
def test_derivatives_are_simplified(text: str, operations: set[str]) -> None:
    assert {node.op for node in derivative(parse(text), (1,)).nodes} - LEAVES == operations


@pytest.mark.parametrize("text", ["silu(x)", "gelu(x)", "mish(x)", "softplus(x)", "tanh(x)", "x*tanh(exp(x))"])
def test_third_and_fourth_derivatives(text: str) -> None:
    x = sympy.Symbol("x", real=True)
    for order in (3, 4):
        formula = parse(text).rewrite("elementary").diff(x, order)
        expected = [float(formula.subs(x, point).evalf(30)) for point in (0.5, -1.5)]
        assert evaluate(derivative(parse(text), (order,)), [0.5, -1.5]) == pytest.approx(expected, rel=1e-12)


def test_programs_are_plain_data() -> None:
    program = lower(parse("x / (1 + exp(-x))"))
    assert program == Program(program.nodes, program.outputs, program.parameters)
    assert hash(program) == hash(lower(parse("silu(x)")))
    assert all(arg < i for i, node in enumerate(program.nodes) for arg in node.args)
    assert len(evaluate_all(program, GRID)) == 1


def test_every_operation_is_either_basic_or_spelled_out() -> None:
    for row in OPS.values():
        assert (row.numpy is not None) == (row.torch is not None), row.name
        assert sum(part is not None for part in (row.numpy, row.expand, row.scaled)) == 1, row.name
