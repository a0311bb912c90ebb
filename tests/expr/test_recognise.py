"""Each textbook form becomes the stable operation that it is, for any argument u."""

from __future__ import annotations

import pytest
import sympy
from sympy import Abs, Max, Min, Ne, Piecewise, Rational, cos, cosh, erf, erfc, exp, log, sin, sinh, sqrt, tanh

from actsearch.errors import ExprError
from actsearch.expr.functions import x
from actsearch.expr.graph import Program
from actsearch.expr.parameters import Parameter
from actsearch.expr.program import lower

ARGUMENTS = [x, 3 * x, x + 1, Parameter("beta", 1.5) * x, sin(x) + 3]


def _operations(expr: sympy.Expr) -> set[str]:
    return {node.op for node in lower(expr).nodes} - {"x", "constant", "parameter", "add", "sub", "mul", "neg"}


# form, operations besides those of u itself and the arithmetic
FORMS = [
    (lambda u: u / (1 + exp(-u)), {"sigmoid"}),
    (lambda u: 1 / (2 + 2 * exp(-u)), {"sigmoid"}),
    (lambda u: 1 / (3 + exp(u)), {"sigmoid"}),
    (lambda u: exp(u) / (1 + exp(u)), {"sigmoid"}),
    (lambda u: exp(2 * u) / (1 + exp(u)) ** 2, {"sigmoid", "power"}),
    (lambda u: log(1 + exp(u)), {"softplus"}),
    (lambda u: log(2 + exp(u)), {"softplus"}),
    (lambda u: log(1 / (1 + exp(-u))), {"softplus"}),
    (lambda u: log(exp(u) + exp(-u)), {"log_cosh"}),
    (lambda u: log(cosh(u)), {"log_cosh"}),
    (lambda u: log(exp(u) + exp(3 * u)), {"softplus"}),
    (lambda u: exp(3 * u) / (exp(u) + exp(3 * u)), {"sigmoid"}),
    (lambda u: tanh(log(1 + exp(u))), {"exp_rational"}),
    (lambda u: (1 - exp(-u)) / (1 + exp(-u)), {"tanh"}),
    (lambda u: (exp(u) - 1) / (exp(u) + 1), {"tanh"}),
    (lambda u: (exp(u) - exp(-u)) / (exp(u) + exp(-u)), {"tanh"}),
    (lambda u: exp(u) + exp(-u), {"cosh"}),
    (lambda u: 1 / cosh(u), {"sech"}),
    (lambda u: sinh(u) / cosh(u), {"tanh"}),
    (lambda u: 1 - tanh(u), {"sigmoid"}),
    (lambda u: 1 + tanh(u), {"sigmoid"}),
    (lambda u: 1 - tanh(u) ** 2, {"sech_square"}),
    (lambda u: exp(u) - 1, {"expm1"}),
    (lambda u: u**3 + 2 * exp(u) - 2, {"expm1", "power"}),
    (lambda u: exp(u) / (exp(u) - 1), {"expm1", "div"}),
    (lambda u: 1 - cos(u), {"sin", "power"}),
    (lambda u: 1 + sin(u), {"one_plus_sin"}),
    (lambda u: sin(u) / u, {"sinc"}),
    (lambda u: sinh(u) / u, {"sinhc"}),
    (lambda u: (exp(u) - 1) / u, {"exprel"}),
    (lambda u: u / (1 - exp(-u)), {"bose"}),
    (lambda u: 1 - erf(u), {"erfc"}),
    (lambda u: 1 + erf(u), {"erfc"}),
    (lambda u: 2 - erfc(u), {"erfc"}),
    (lambda u: (1 + erf(u / sqrt(2))) / 2, {"normal_cdf"}),
    (lambda u: erfc(u) * exp(u**2), {"erfcx"}),
    (lambda u: (1 - erf(u)) * exp(u**2), {"erfcx"}),
    (lambda u: exp(-(u**2)), {"exp_square"}),
    (lambda u: exp(-((u - 1) ** 2) / 2), {"exp_square"}),
    (lambda u: log(1 + u**2), {"log1p", "power"}),
    (lambda u: sqrt(u**2 + 1) - 1, {"root_minus"}),
    (lambda u: u / sqrt(u**2 + 1), {"root_slope"}),
    (lambda u: u / (1 + Abs(u)), {"softsign"}),
    (lambda u: Max(u, 0), {"relu"}),
]


@pytest.mark.parametrize("argument", ARGUMENTS, ids=str)
@pytest.mark.parametrize(("form", "operations"), FORMS, ids=lambda value: str(value(x)) if callable(value) else "")
def test_textbook_form(form: object, operations: set[str], argument: sympy.Expr) -> None:
    with_u = form(sympy.Symbol("u", real=True)).subs(sympy.Symbol("u", real=True), argument)  # type: ignore[operator]
    assert operations <= _operations(with_u)
    assert _operations(with_u) <= operations | _operations(argument)


#: Sums with u itself as a term: SymPy merges a sum u into them, so u is a product here.
SUMS = [
    (lambda u: u - sin(u), {"sinshrink"}),
    (lambda u: 2 * tanh(u) - 2 * u, {"tanhshrink"}),
    (lambda u: u + sqrt(u**2 + 4), {"root_plus"}),
]


@pytest.mark.parametrize("argument", [u for u in ARGUMENTS if not u.is_Add], ids=str)
@pytest.mark.parametrize(("form", "operations"), SUMS, ids=lambda value: str(value(x)) if callable(value) else "")
def test_textbook_sum(form: object, operations: set[str], argument: sympy.Expr) -> None:
    test_textbook_form(form, operations, argument)


def _first_use(program: Program, op: str) -> int:
    return sum(node.op == op for node in program.nodes)


def test_a_guard_at_a_gap_that_the_stable_form_fills_is_dropped() -> None:
    assert _operations(Piecewise((sin(x) / x, Ne(x, 0)), (1, True))) == {"sinc"}
    assert _operations(Piecewise((1, sympy.Eq(x, 0)), ((exp(x) - 1) / x, True))) == {"exprel"}
    # another value at the gap is the user's wish, and stays
    assert "select" in _operations(Piecewise((sin(x) / x, Ne(x, 0)), (0, True)))


def test_each_subexpression_is_lowered_once() -> None:
    program = lower(sin(x + 1) ** 2 + tanh(sin(x + 1)) + exp(sin(x + 1)))
    assert _first_use(program, "sin") == 1
    assert _first_use(program, "add") == 3


def test_similar_forms_that_are_something_else_are_left_alone() -> None:
    assert _operations(log(2 - exp(x))) == {"log", "exp"}
    assert "tanh" not in _operations((1 - exp(-x)) / (1 + exp(-2 * x)))
    assert "erfcx" not in _operations(erfc(x) * exp(2 * x**2))
    assert "sinc" not in _operations(sin(x) / (x + 1))
    assert "normal_cdf" not in _operations(erf(x / 2) + 1)


def test_what_has_no_operation_is_refused_by_name() -> None:
    with pytest.raises(ExprError, match="no operation computes zeta"):
        lower(sympy.zeta(x))
    with pytest.raises(ExprError, match="symbol 'y' is neither x nor a parameter"):
        lower(x + sympy.Symbol("y"))


def test_max_and_min_of_several_arguments() -> None:
    assert _operations(Max(x, x**2, Min(1, x**3))) == {"maximum", "minimum", "power"}
    assert _operations(Max(x, Rational(1, 3))) == {"maximum"}
