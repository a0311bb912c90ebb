import pytest
import sympy
from sympy.codegen import cfunctions

from actsearch.errors import ExprError
from actsearch.expr import Parameter, format, parse, to_expr, x

X = sympy.Symbol("x")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("swish", "silu(x)"),
        (" gelu_tanh ", "x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))/2"),
        ("abs", "abs(x)"),
        ("x", "x"),
        ("pi", "pi"),
        ("x*sigmoid(x)", "x*sigmoid(x)"),
        (3, "3"),
        (0.1, "0.1"),
        (sympy.sin(X), "sin(x)"),
        (sympy.Symbol("x", positive=True) ** 2, "x**2"),
        (sympy.Dummy("x") + X, "2*x"),
        (sympy.sqrt(X**2), "abs(x)"),
        (X * sympy.Heaviside(X), "x*(1 if x > 0 else 0 if x < 0 else 1/2)"),
        (sympy.sech(X), "1/cosh(x)"),
        (sympy.ceiling(X), "-floor(-x)"),
        (cfunctions.expm1(X) + cfunctions.log1p(X), "expm1(x) + log1p(x)"),
        (sympy.Function("mish")(X), "mish(x)"),
        (sympy.Function("max")(X, 1), "max(x, 1)"),
        (sympy.Float("0.1", 50) * X, "0.1*x"),
        (sympy.GoldenRatio * X, "1.618033988749895*x"),
        (Parameter("b", 2.0) * X, "b[2.0]*x"),
        (sympy.Piecewise((X, X > 0), (0, True)), "x if x > 0 else 0"),
    ],
)
def test_what_a_specification_means(spec, text):
    expr = to_expr(spec)
    assert expr == parse(text)
    assert parse(format(expr)) == expr


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sillu", "unknown activation 'sillu'; did you mean 'silu'"),
        ("GELU", "did you mean 'gelu'"),
        ("max", "max takes two or more arguments"),
        ("__import__", "unknown activation"),
        ("x*y", "unknown name 'y'"),
        (X * sympy.Symbol("y"), "'y' in x"),
        (sympy.gamma(X), "gamma is no primitive"),
        (sympy.Function("sigmoid")(X, X), "sigmoid takes 1 argument"),
        (sympy.oo * X, "oo has no place"),
        (sympy.nan, "nan has no place"),
        (sympy.I * X, "I .* has no place"),
        (sympy.Piecewise((X, X > 0)), "no value where none of its conditions hold"),
        (sympy.Integral(X, X), "Integral"),
        (X > 0, "is not a SymPy expression"),
        (True, "truth value"),
        (None, "NoneType is no expression"),
        ([X], "list is no expression"),
        (Parameter("b", 2.0) + Parameter("b", 1.0), "two different parameters"),
        (sympy.Matrix([X]), "has no place|is not a SymPy expression"),
        (sympy.Add(*[sympy.sin(i * X) for i in range(1, 3000)]), "more than 5000 nodes"),
    ],
)
def test_what_is_refused_and_how(spec, message):
    with pytest.raises(ExprError, match=message):
        to_expr(spec)


def test_real_x_is_the_same_expression():
    expr = x * sympy.tanh(x)
    assert to_expr(expr) == expr
