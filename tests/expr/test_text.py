import ast
import contextlib

import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actsearch.errors import ExprError
from actsearch.expr import Parameter, catalog, format, parse, x
from actsearch.expr.bounds import MAX_DEPTH, MAX_TEXT
from actsearch.expr.primitives import PRIMITIVES
from actsearch.expr.reading import _METHODS

beta = Parameter("beta", 1.0)


@pytest.mark.parametrize(
    ("text", "expr"),
    [
        ("x", x),
        ("  -x ", -x),
        ("+x", x),
        ("x * sigmoid(beta[1.0] * x)", x * PRIMITIVES["sigmoid"].build(beta * x)),
        ("beta[1.0, positive, channel]", Parameter("beta", 1.0, "positive", "channel")),
        ("beta[0.5, channel, unit]", Parameter("beta", 0.5, "unit", "channel")),
        ("beta[-2]", Parameter("beta", -2.0)),
        ("beta[1/3]", Parameter("beta", 1 / 3)),
        ("x**2/3 - 0.5", x**2 / 3 - sympy.Float(0.5)),
        ("1_000*x + 0x10", 1000 * x + 16),
        ("2*pi + e", 2 * sympy.pi + sympy.E),
        ("2**-x", 2 ** (-x)),
        ("-x**2", -(x**2)),
        ("x/2/3", x / 6),
        ("x/(2*exp(x))", x * sympy.exp(-x) / 2),
        ("x - (3 - x)", 2 * x - 3),
        ("max(x, 0)", sympy.Max(x, 0)),
        ("x if x > 0 else 0", sympy.Piecewise((x, x > 0), (0, True))),
        ("x if 0 < x < 1 else 0", sympy.Piecewise((x, (x > 0) & (x < 1)), (0, True))),
        ("1 if not x > 0 else 2", sympy.Piecewise((1, x <= 0), (2, True))),
        ("1 if not (x > 1 or x == 0) else 2", sympy.Piecewise((1, (x <= 1) & sympy.Ne(x, 0)), (2, True))),
        ("1 if x < -1 else x if x < 1 else 2", sympy.Piecewise((1, x < -1), (x, x < 1), (2, True))),
        ("x if 2 > 1 else 1/0 if x > 3 else 2", None),
        ("x if 2 > 1 else 0", x),
        ("x if 2 < 1 else 3", sympy.Integer(3)),
        ("x\n + 1", x + 1),
    ],
)
def test_what_a_text_means(text, expr):
    if expr is None:
        with pytest.raises(ExprError, match="division by zero"):
            parse(text)
        return
    parsed = parse(text)
    # SymPy turns "x > 0" round when it puts a Piecewise in order; the values are what counts there
    assert parsed == expr or all(abs((parsed - expr).subs(x, v)) == 0 for v in (-2, -1, 0, 0.5, 1, 3))


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("x + sillu(x)", "unknown function 'sillu'; did you mean 'silu'?", 4),
        ("x + y", "unknown name 'y'; a parameter is written", 4),
        ("2*silu", "'silu' is a function: write", 2),
        ("x + swish", "'swish' is a function", 4),
        ("sigmoid(x, 2)", "sigmoid takes 1 argument, not 2", 0),
        ("clip(x)", "clip takes 3 arguments, not 1", 0),
        ("1 + max(x)", "max takes two or more arguments, not 1", 4),
        ("swish()", "swish takes 1 argument, not 0", 0),
        ("exp(x=1)", "'='|arguments have no names", 6),
        ("beta[1.0, postive]", "did you mean 'positive'?", 10),
        ("beta[1.0, real, positive]", "a second constraint, 'positive'", 16),
        ("beta[1.0, layer, layer]", "a second granularity", 17),
        ("beta[x]", "a parameter starts at a number", 5),
        ("beta[1.0, 2]", "is expected here", 10),
        ("beta[]", "not a formula", 5),
        ("beta[-1.0, positive]", "is positive and cannot start at -1.0", 0),
        ("x + lambda_[1.0][2.0]", "a parameter is written", 4),
        ("pi[1.0]", "cannot name a parameter", 0),
        ("x * (1/0)", "division by zero", 7),
        ("x / (x - x)", "division by zero", 5),
        ("log(0)", "not finite", 0),
        ("x + sqrt(-1)", "not a real number", 4),
        ("acos(2)", "not a real number", 0),
        ("(-8)**(1/3)", "not a real number", 0),
        ("1e999", "not finite", 0),
        ("2j", "not a real number", 0),
        ("True", "True is not a real number", 0),
        ("None", "None is not a real number", 0),
        ("x < 1", "a comparison outside a condition", 0),
        ("x and x", "'and' or 'or' outside a condition", 0),
        ("not x", "a condition belongs before 'else'", 0),
        ("1 if x else 2", "a condition is a comparison", 5),
        ("1 if x is 2 else 2", "only < <= > >= == != compare", 5),
        ("1 if x in x else 2", "only < <= > >= == != compare", 5),
        ("x // 2", "the operators of a formula are", 0),
        ("x ^ 2", "does not belong", 2),
        ("x % 2", "'%' does not belong", 2),
        ("x y", "not a formula", 2),
        ("(x", "not a formula", 0),
        ("x)", "not a formula", 1),
        ("x.real", "attribute has no place", 0),
        ("x.__class__.__base__", "attribute has no place", 0),
        ("sin(x).diff(x)", "only a name can be called", 0),
        ("(x, x)", "tuple has no place", 0),
        ("[x]", "list has no place", 0),
        ("[x for x in x]", "listcomp has no place", 0),
        ("max(*x)", "starred has no place", 4),
        ("x = 2", "not a formula", 2),
        ("lambda x: x", "':' does not belong", 8),
        ("(y := x)", "':' does not belong", 3),
        ("{x}", "'{' does not belong", 0),
        ("'x'", "does not belong", 0),
        ('f"{x}"', "does not belong", 1),
        ("__import__('os')", "does not belong", 11),
        ("__import__(os)", "unknown name 'os'|unknown function '__import__'", None),
        ("eval(x)", "unknown function 'eval'", 0),
        ("x;x", "';' does not belong", 1),
        ("x # no", "'#' does not belong", 2),
        ("x\\\n+1", "does not belong", 1),
        ("x\0", "does not belong", 1),
        ("х", "does not belong", 0),  # a Cyrillic letter
        ("ｘ + 1", "does not belong", 0),  # full width, which Python would read as x
        ("x + 𝟏", "does not belong", 4),
        ("x\u202e", "does not belong", 1),
        ("yield", "not a formula", 0),
        ("await x", "await has no place|not a formula", 0),
        ("...", "Ellipsis is not a real number", 0),
    ],
)
def test_a_fault_is_named_and_shown(text, message, column):
    with pytest.raises(ExprError, match=message) as caught:
        parse(text)
    _, shown, marker = str(caught.value).split("\n")
    assert len(shown) == len(text) + 2
    if column is not None:
        assert marker == " " * (column + 2) + "^"


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_text(text):
    with pytest.raises(ExprError, match="empty"):
        parse(text)


@pytest.mark.parametrize("text", [None, 3, b"x", ["x"], x])
def test_what_is_no_text(text):
    with pytest.raises(ExprError, match="a formula is a text"):
        parse(text)


def test_a_long_text_is_shown_around_the_fault():
    text = "x + " * 200 + "yy" + " + x" * 200
    with pytest.raises(ExprError) as caught:
        parse(text)
    _, shown, marker = str(caught.value).split("\n")
    assert len(shown) < 140
    assert shown[marker.index("^") :].startswith("yy")


BOMBS = {
    "a tower of powers": "9**9**9**9",
    "a large power": "9**99999",
    "a power of a power": "((3*x)**1000)**1000",
    "an exponent": "x**10**10",
    "a float exponent": "x**1e10",
    "a computed exponent": "x**exp(20)",
    "a negative exponent": "x**-99999",
    "exponents that add up": "x**900*x**900",
    "a tower of exponentials": "exp(exp(exp(exp(9))))",
    "a number beyond float64": "1e300*1e300*x",
    "a float that underflows": "1e-300*1e-300*x",
    "a float that underflows inside": "gelu_tanh(pi*2.2250738585e-313)",
    "a branch without a real value": "-sqrt(x if x < -x else 2*pi - 7)",
    "a huge integer": "9" * 5000,
    "a large integer": "9" * 400,
    "a long text": "x+" * MAX_TEXT + "x",
    "many parts": "x+" * 2500 + "x",
    "brackets": "(" * 300 + "x" + ")" * 300,
    "more brackets": "(" * 4900 + "x" + ")" * 4900,
    "open brackets": "(" * 5000,
    "calls": "sin(" * 300 + "x" + ")" * 300,
    "signs": "-" * 3900 + "x",
    "nots": "1 if " + "not " * 3900 + "x > 0 else 1",
    "powers to the right": "**".join("x" * 1900),
    "subscripts": "x" + "[0]" * 900,
    "a formula that doubles": "gelu_tanh(" * 50 + "x" + ")" * 50,
    "a formula that doubles in text": "telu(" * 50 + "x" + ")" * 50,
    "an overflow inside mpmath": "erfc(1e300)",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(name):
    with pytest.raises(ExprError):
        parse(BOMBS[name])


LARGE = {
    "nested functions": "sigmoid(" * 49 + "x" + ")" * 49,
    "many terms": "+".join(f"sin({i}*x)" for i in range(400)),
    "many factors": "*".join(f"(x+{i})" for i in range(400)),
    "a large max": "max(" + ",".join(f"x**{i}*sin({i}*x)" for i in range(1, 200)) + ")",
    "the absolute value of a large polynomial": "abs((x + 1)**1000 - x**999)",
    "nested absolute values": "abs(" * 15 + "x" + "".join(f"-{i}*sin(x))" for i in range(15)),
    "many conditions": "x if " + " and ".join(f"x > {i}" for i in range(400)) + " else 1",
    "a polynomial's root": "sqrt((x**100 + x**99 - x**2 - 1)**2)",
    "constants": "+".join(f"sqrt({p})*log({p})" for p in range(2, 200)) + "+x",
    "a large product of roots": "*".join(f"({p}+sqrt({p + 1}))" for p in range(2, 60)) + "*x",
    "many choices": "".join(f"x*{i} if x > {i} else " for i in range(100)) + "x",
    "many comparisons": "1 if " + " < ".join("x" * 900) + " else 2",
    "roots that SymPy takes together in two steps": "((2/3)**(-3/2))**(1/2)*x",
    "signs": "-" * 30 + "x",
    "a power that SymPy moves into its branches": "-(x if x < x else x + x)**2",
    "a quotient that SymPy takes out of abs in two steps": "abs(c[2.5, positive]/x)",
    "powers below powers": "1/(x+" * 15 + "x" + ")**2" * 15,
}


@pytest.mark.parametrize("name", LARGE)
def test_what_is_large_but_allowed_goes_there_and_back(name):
    expr = parse(LARGE[name])
    assert parse(format(expr)) == expr


def test_the_depth_allowed_is_the_depth_that_round_trips():
    inner = MAX_DEPTH - 1
    expr = parse("sin(" * inner + "x" + ")" * inner)
    assert parse(format(expr)) == expr
    with pytest.raises(ExprError, match="nested more than"):
        parse("sin(" * MAX_DEPTH + "x" + ")" * MAX_DEPTH)


def test_names_and_functions_let_a_rule_have_arguments():
    a, b = sympy.symbols("a b", real=True)
    assert parse("a*sigmoid(b)", {"a": a, "b": b}) == a * PRIMITIVES["sigmoid"].build(b)
    assert parse("x + a", {"a": x**2, "x": sympy.Integer(3)}) == x**2 + 3
    with pytest.raises(ExprError, match="did you mean 'alpha'"):
        parse("alhpa", {"alpha": a})


def test_functions_are_called_inner_first_and_left_to_right():
    calls = []

    def unary(argument):
        calls.append(argument)
        return argument + len(calls)

    assert parse("unary(x)*unary(unary(2*x))", functions={"unary": unary}) == (x + 1) * (2 * x + 5)
    assert calls == [x, 2 * x, 2 * x + 2]


def test_a_power_of_a_choice_stays_whole():
    expr = parse("sqrt(x if x > 0 else -pi)")
    assert expr.is_Pow
    assert parse(format(expr)) == expr
    with pytest.raises(ExprError, match=r"not finite .* in some part of"):
        parse("x/(0 if x > 0 else 1)")


def test_a_choice_can_decide_another():
    expr = parse("step(-(x if x < pi else pi))")
    assert parse(format(expr)) == expr
    assert [expr.subs(x, v) for v in (-1, 0, 1, 4)] == [1, 0, 0, 0]
    folded = sympy.Piecewise(*expr.args)  # SymPy folds the inner choice into an ITE
    assert folded != expr
    assert [parse(format(folded)).subs(x, v) for v in (-1, 0, 1, 4)] == [1, 0, 0, 0]


def test_a_space_may_build_what_is_nowhere_finite():
    assert parse("1/a", {"a": sympy.Integer(0)}, finite=False) is sympy.zoo
    assert parse("log(a)", {"a": sympy.Integer(-1)}, finite=False).has(sympy.I)
    with pytest.raises(ExprError, match="cannot be computed"):
        parse("x if a > 0 else 1", {"a": sympy.I}, finite=False)


def test_two_parameters_of_one_name_are_refused():
    with pytest.raises(ExprError, match="two different parameters"):
        parse("beta[1.0] + beta[2.0]")


def test_nothing_is_written_that_cannot_be_read():
    for expr in (sympy.Symbol("y"), sympy.oo, sympy.gamma(x), sympy.I, sympy.Piecewise((x, x > 0)), x > 0):
        with pytest.raises(ExprError):
            format(expr)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("x*sigmoid(beta[1.0]*x)", "x*sigmoid(beta[1.0]*x)"),
        ("1 - x", "1 - x"),
        ("-x*(x+1)/2", "-x*(x + 1)/2"),
        ("x/(1+exp(-x))", "x/(exp(-x) + 1)"),
        ("1/sqrt(x**2+1)/cosh(x)", "1/(sqrt(x**2 + 1)*cosh(x))"),
        ("max(x,0)+0.01*min(x,0)", "0.01*min(0, x) + max(0, x)"),
        ("(x if x>0 else 0)*2", "2*(x if x > 0 else 0)"),
        ("x**(1/3)-x**-2", "x**(1/3) - 1/x**2"),
        ("0.1+1e-7*x", "1e-07*x + 0.1"),
        ("e*exp(2)", "exp(3)"),
        ("b[0.5, channel, unit]*x", "b[0.5, unit, channel]*x"),
    ],
)
def test_how_an_expression_is_written(text, written):
    assert format(parse(text)) == written


# --- random texts ---

_numbers = st.one_of(
    st.integers(0, 10**6).map(str),
    st.floats(0, 1e12, allow_nan=False).map(repr),
    st.floats(0, 2).map(repr),
    st.tuples(st.integers(1, 99), st.integers(1, 99)).map(lambda pair: f"({pair[0]}/{pair[1]})"),
)
_parameters = st.sampled_from(
    ["beta[1.0]", "a[0.25, channel]", "c[2.5, positive]", "g[0.5, unit, channel]", "d[-1e-05]"]
)
_leaves = st.one_of(st.just("x"), st.just("x"), st.just("pi"), st.just("e"), _numbers, _parameters)
_unary_names = st.sampled_from([row.name for row in PRIMITIVES.values() if row.arity == 1] + ["swish", "gelu_tanh"])
_comparisons = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])


def _grow(inner):
    def n_ary(name):
        return st.lists(inner, min_size=2, max_size=4).map(lambda parts: f"{name}({', '.join(parts)})")

    condition = st.builds(lambda a, op, b: f"{a} {op} {b}", inner, _comparisons, inner)
    conditions = st.one_of(
        condition,
        condition.map(lambda c: f"not {c}"),
        st.builds(lambda a, word, b: f"({a}) {word} ({b})", condition, st.sampled_from(["and", "or"]), condition),
    )
    return st.one_of(
        st.builds(lambda a, op, b: f"({a}) {op} ({b})", inner, st.sampled_from("+-*/"), inner),
        st.builds(lambda a, op, b, op2, c: f"({a}){op}({b}){op2}({c})", inner, st.sampled_from("+-*/"), inner,
                  st.sampled_from("+-*/"), inner),
        st.builds(lambda a, n: f"({a})**{n}", inner, st.sampled_from(["2", "3", "-1", "(1/2)", "0.5", "(-3/2)", "x"])),
        st.builds(lambda name, a: f"{name}({a})", _unary_names, inner),
        n_ary("max"),
        n_ary("min"),
        inner.map(lambda a: f"-({a})"),
        st.builds(lambda a, c, b: f"(({a}) if {c} else ({b}))", inner, conditions, inner),
    )  # fmt: skip


formulas = st.recursive(_leaves, _grow, max_leaves=8)
_quiet = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def _there_and_back(text):
    expr = None
    with contextlib.suppress(ExprError):  # 1/0 and the like
        expr = parse(text)
    if expr is not None:
        assert parse(format(expr)) == expr


@settings(_quiet, max_examples=300)
@given(formulas)
def test_formulas_round_trip(text):
    _there_and_back(text)


@pytest.mark.slow
@settings(_quiet, max_examples=8000)
@given(formulas)
def test_many_formulas_round_trip(text):
    _there_and_back(text)


_SIGNS = "( ) ( ) [ ] , + - * / ** . = == < > !="
_WORDS = "x x x 1 2 9 0.5 1e9 1e-9 if else and or not in is for lambda None True pi e positive channel 0x 1j"
_STARTS = "beta[1.0] beta[ max( min( silu( exp( log( swish( sin prelu( __class__ __import__"
_tokens = st.sampled_from([" ", *_SIGNS.split(), *_WORDS.split(), *_STARTS.split()])


@settings(_quiet, max_examples=400)
@given(st.lists(_tokens, max_size=30).map(lambda tokens: " ".join(tokens)))
def test_random_tokens_raise_nothing_but_expr_error(text):
    _there_and_back(text)


@settings(_quiet, max_examples=300)
@given(st.text(max_size=60))
def test_random_characters_raise_nothing_but_expr_error(text):
    _there_and_back(text)


@settings(_quiet, max_examples=300)
@given(formulas, st.data())
def test_damaged_formulas_raise_nothing_but_expr_error(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    _there_and_back(
        text[:start] + data.draw(st.sampled_from(["", "(", ")", "**", "9**9**9", "x", "\0", ","])) + text[end:]
    )


@settings(_quiet, max_examples=200)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_round_trip_to_the_bit(number):
    expr = parse(repr(number)) * x
    if expr != 0:
        assert float(parse(format(expr)).args[0]) == number or number == 1.0
    assert float(parse(repr(number))) == number


def test_no_node_of_the_syntax_tree_is_met_without_a_rule():
    """Whatever expression node Python has or will have, it is built by our own rules or refused."""
    allowed = {"Constant", "Name", "UnaryOp", "BinOp", "Call", "Subscript", "IfExp"}
    assert {node.__name__ for node in _METHODS} == allowed
    assert all(issubclass(node, ast.expr) for node in _METHODS)


def test_every_catalog_name_is_callable():
    for name in catalog.names(aliases=True):
        assert parse(f"{name}(x)") == catalog.get(name).expr
