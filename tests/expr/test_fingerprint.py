"""Equal functions have equal fingerprints however they are written; close ones do not."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from actsearch.errors import ExprError
from actsearch.expr.cells import PER_DECADE, cells, exact_cell
from actsearch.expr.checks import CHECK_POINTS, fault_codes, value_faults
from actsearch.expr.fingerprint import fingerprint, fingerprint_of_negative, is_constant, value_vector
from actsearch.expr.functions import x
from actsearch.expr.parameters import Parameter
from actsearch.expr.points import SAMPLE_POINTS
from actsearch.expr.program import lower
from actsearch.expr.settle import settled
from actsearch.expr.text import parse

EQUAL = [
    ("x*sigmoid(x)", "x/(1 + exp(-x))"),
    ("silu(x)", "x - x*sigmoid(-x)"),
    ("x*tanh(log(1 + exp(x)))", "mish(x)"),
    ("max(x, 0)", "x if x > 0 else 0"),
    ("relu(x)", "(x + abs(x))/2"),
    ("1 - tanh(x)**2", "1/cosh(x)**2"),
    ("cosh(x) - sinh(x)", "exp(-x)"),
    ("cosh(3*x)**2 - sinh(3*x)**2", "1"),
    ("sin(x)**2 + cos(x)**2 - 1", "0"),
    ("log(1 + exp(x)) - x", "softplus(-x)"),
    ("(1 - exp(-x))/(1 + exp(-x))", "tanh(x/2)"),
    ("exp(exp(x**2))/(1 + exp(exp(x**2)))", "sigmoid(exp(x**2))"),
    ("exp(-600 - x)/exp(-590)", "exp(-10 - x)"),
    ("exp(2*x**2)**100/(1 + exp(2*x**2)**100)", "sigmoid(200*x**2)"),
    ("max(max(x, 1), min(x, 2))", "max(x, 1)"),
    ("erfc(-x/sqrt(2))*x/2", "gelu(x)"),
    ("-0.0*x", "0"),
    ("sqrt(x - 20)", "log(x - 30)"),  # neither is real anywhere
]
DIFFERENT = [
    ("gelu", "gelu_tanh"),
    ("gelu", "x*sigmoid(1.702*x)"),
    ("relu", "relu6"),
    ("tanh(x)", "tanh(1.0000001*x)"),
    ("x", "x + 0.0000001"),
    ("sqrt(x)", "log(x)"),
    ("2", "3"),
    ("sin(x)", "-sin(x)"),
    ("relu(x)", "leaky_relu(x)"),
    ("hard_sigmoid(x)", "clip(x/5 + 1/2, 0, 1)"),
]
PARAMETERS_EQUAL = [
    ("alpha[1.0]*x", "beta[1.0]*x"),
    ("alpha[1.0]*x + beta[1.0]", "alpha[1.0] + beta[1.0]*x"),
    ("a[1.0]*x + b[1.0]*x**2 + c[1.0]*x**3", "c[1.0]*x + a[1.0]*x**2 + b[1.0]*x**3"),
    ("x + sigmoid(b[2.0]) + sigmoid(-b[2.0])", "x + 1"),
    ("x*sigmoid(b[1.0, positive]*x)", "x/(1 + exp(-g[1.0, positive]*x))"),
    ("a[1.0]*x + b[1.0]*x**2 + c[1.0]*x**3 + d[1.0]*sin(x) + f[1.0]*cos(x)",
     "f[1.0]*x + d[1.0]*x**2 + c[1.0]*x**3 + b[1.0]*sin(x) + a[1.0]*cos(x)"),
]  # fmt: skip
PARAMETERS_DIFFERENT = [
    ("beta[1.0]*x", "x"),
    ("beta[1.0]*x", "beta[1.1]*x"),
    ("beta[1.0]*x", "beta[1.0, channel]*x"),
    ("beta[1.0]*x", "beta[1.0, positive]*x"),
    ("beta[0.5, positive]*x", "beta[0.5, unit]*x"),
    ("a[1.0]*x + b[1.0]*sin(x)", "a[1.0]*x + a[1.0]*sin(x)"),
    ("max(x, x + beta[1.0])", "x + beta[1.0]"),
    ("max(a[1.0], b[1.0])", "a[1.0]"),
    ("a[0.0]*b[0.0]*x", "0"),
]
STORED = {
    "1": "constant-d8a668f1b601244d7128b9176b6a3566",
    "silu(x)": "434140a6015a0eda4158b8ec023368c4",
    "beta[1.0]*x": "1f8ad68268a8cc18a3e22387c7725f90",
}


@pytest.mark.parametrize(("first", "second"), EQUAL + PARAMETERS_EQUAL)
def test_equal_functions(first: str, second: str) -> None:
    assert fingerprint(first) == fingerprint(second)


@pytest.mark.parametrize(("first", "second"), DIFFERENT + PARAMETERS_DIFFERENT)
def test_different_functions(first: str, second: str) -> None:
    assert fingerprint(first) != fingerprint(second)


def test_constants_are_a_class_of_their_own() -> None:
    for text in ("2", "0", "beta[1.0]", "sin(x)**2 + cos(x)**2", "sigmoid(x) + sigmoid(-x)", "x*0"):
        assert is_constant(text), text
        assert fingerprint(text).startswith("constant-")
    for text in ("x", "sqrt(x - 20)", "beta[1.0]*x", "tanh(9*x)", "relu(x)"):
        assert not is_constant(text), text
    assert fingerprint("sin(x)**2 + cos(x)**2") == fingerprint("1")


def test_a_symbol_of_other_assumptions_is_x() -> None:
    assert fingerprint(sympy.tanh(sympy.Symbol("x"))) == fingerprint("tanh(x)")


def test_what_is_no_function_of_x() -> None:
    with pytest.raises(ExprError, match="neither x nor a parameter"):
        fingerprint(x * sympy.Symbol("y"))
    with pytest.raises(ExprError, match="nosuch"):
        fingerprint("nosuch(x)")


def test_nothing_finite_is_a_function_too() -> None:
    assert fingerprint(sympy.nan) == fingerprint("sqrt(-1 - x**2)")


def test_towers_end_soon() -> None:
    tower = x
    for _ in range(6):
        tower = sympy.exp(tower**2)
    assert len(fingerprint(tower)) == 32


def test_the_string_stays_what_it_is() -> None:
    """Fingerprints are stored with studies: a change makes old studies unreadable and belongs in the changelog."""
    assert fingerprint("silu(x)") == fingerprint(parse("silu(x)"))
    assert fingerprint("1") == STORED["1"]
    assert fingerprint("silu(x)") == STORED["silu(x)"]
    assert fingerprint("beta[1.0]*x") == STORED["beta[1.0]*x"]


def test_values_at_starts() -> None:
    np.testing.assert_allclose(value_vector("beta[2.0]*x"), 2 * SAMPLE_POINTS)


# Rewritings: whatever algebra does to an expression, its fingerprint stays.

PIECES = [x, -x, x**2, x / 3, sympy.sin(x), sympy.tanh(x), sympy.exp(-x), sympy.cosh(x), sympy.Integer(2), sympy.erf(x),
          parse("sigmoid(x)"), parse("relu(x)"), parse("softplus(x)"),
          sympy.sqrt(x**2 + 1), Parameter("beta") * x]  # fmt: skip
JOINS = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: a - b,
    lambda a, b: a / (1 + b**2),
    lambda a, b: (a + b) ** 2,
]
REWRITINGS = {
    "expand": sympy.expand,
    "factor": sympy.factor,
    "together": sympy.together,
    "exp forms": lambda e: e.rewrite([sympy.tanh, sympy.cosh], sympy.exp),
    "elementary": lambda e: e.rewrite("elementary"),
    "powers of exp": sympy.powsimp,
    "plus and minus": lambda e: sympy.Add(e, sympy.sin(x) ** 2, sympy.cos(x) ** 2, -1),
    "times and over": lambda e: sympy.Mul(sympy.expand(e * (x**2 + 1)), 1 / (x**2 + 1)),
}
expressions = st.recursive(
    st.sampled_from(PIECES),
    lambda inner: st.builds(lambda join, a, b: join(a, b), st.sampled_from(JOINS), inner, inner),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None)
@given(expressions, st.sampled_from(sorted(REWRITINGS)))
def test_algebra_does_not_change_a_fingerprint(expr: sympy.Expr, rewriting: str) -> None:
    assert fingerprint(REWRITINGS[rewriting](expr)) == fingerprint(expr)


@settings(max_examples=60, deadline=None)
@given(expressions)
def test_a_small_change_is_seen(expr: sympy.Expr) -> None:
    changed = expr * (1 + sympy.Rational(1, 10**7))
    assert (fingerprint(changed) == fingerprint(expr)) == (expr == 0)


# Cells: float64 names a cell only when rounding cannot have moved the value out of it.


@settings(max_examples=200, deadline=None)
@given(st.floats(1e-200, 1e200), st.floats(0, 1e-6))
def test_a_cell_that_is_named_is_the_true_one(value: float, relative: float) -> None:
    name = cells(np.array([value]), np.array([value * relative]))[0]
    truths = {exact_cell(mpmath.mpf(value) * (1 + sign * mpmath.mpf(relative))) for sign in (-1, 0, 1)}
    assert name is None or truths == {name}
    if relative < 1e-13:
        assert (
            name is not None or len({exact_cell(mpmath.mpf(value) * (1 + s * mpmath.mpf(1e-12))) for s in (-1, 1)}) > 1
        )


def test_a_value_at_an_edge_is_left_open() -> None:
    with mpmath.workdps(40):
        edge = mpmath.mpf(10) ** ((mpmath.mpf(12345678) - mpmath.mpf(0.3819660113)) / mpmath.mpf(PER_DECADE))
        assert exact_cell(edge * (1 - mpmath.mpf(10) ** -25)) != exact_cell(edge * (1 + mpmath.mpf(10) ** -25))
    assert cells(np.array([float(edge)]), np.array([1e-16])) == [None]


@pytest.mark.parametrize("value", [0.5, 1.0, 2.0, 3.0, 1e-3, 10.0, float(np.pi), float(np.e), -1.0, -0.25])
def test_usual_constants_are_not_at_an_edge(value: float) -> None:
    assert cells(np.array([value]), np.array([1e-15]))[0] is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sin(x)**2 + cos(x)**2 - 1", "0"),
        ("tanh(30*x) - 1", "-2/(1 + exp(60*x))"),
        ("log(1 + exp(-70*x)) - exp(-70*x)", "-exp(-140*x)/2"),
        ("cosh(40*x)**2 - sinh(40*x)**2", "1"),
    ],
)
def test_cancellation_is_settled(text: str, expected: str) -> None:
    value = settled(lower(parse(text)), 1.5, {})
    with mpmath.workdps(30):
        exact = mpmath.mpf(str(parse(expected).subs(x, sympy.Rational(3, 2)).evalf(30)))
        assert abs(value - exact) <= abs(exact) * mpmath.mpf(10) ** -12


def test_reasons_of_the_value_checks() -> None:
    reasons = {text: value_faults(parse(text)) for text in
               ("sqrt(x)", "1/x", "exp(x**2)", "beta[1.0]", "0*x + 2", "x", "1e-9*tanh(x)", "silu(x)")}  # fmt: skip
    assert reasons == {
        "sqrt(x)": ("not finite",),
        "1/x": ("not finite",),
        "exp(x**2)": ("explodes",),
        "beta[1.0]": ("constant",),
        "0*x + 2": ("constant",),
        "x": (),
        "1e-9*tanh(x)": (),
        "silu(x)": (),
    }
    with np.errstate(all="ignore"):
        batch = np.stack([CHECK_POINTS, np.full(CHECK_POINTS.shape, 2.0), CHECK_POINTS * 1e9, np.sqrt(CHECK_POINTS)])
    assert fault_codes(batch).tolist() == [-1, 2, 1, 0]


@pytest.mark.parametrize(
    "text",
    [
        "silu(x)",
        "log(x)",
        "alpha[1.0]*x*sigmoid(beta[0.5]*x)",
        "alpha[2.0] - sigmoid(alpha[2.0])",
        "max(a[0.1]*x, b[0.2]*x, c[0.3]*x**2, d[0.4], k[0.5]*sin(x))",  # more than those whose every order is tried
    ],
)
def test_a_function_tells_the_fingerprint_of_its_negative(text: str) -> None:
    expr = parse(text)
    assert fingerprint_of_negative(expr) == fingerprint(-expr)
