import copy
import pickle

import pytest
import sympy

from actsearch.errors import ExprError
from actsearch.expr import Parameter, parameters_of, x

FIELDS = [
    ("beta", 1.0, "real", "layer"),
    ("beta", 2.0, "real", "layer"),
    ("beta", 1.0, "positive", "layer"),
    ("beta", 0.5, "unit", "layer"),
    ("beta", 1.0, "real", "channel"),
    ("gamma", 1.0, "real", "layer"),
]


def test_all_fields_belong_to_equality_and_hash():
    parameters = [Parameter(*fields) for fields in FIELDS]
    assert len(set(parameters)) == len(FIELDS)
    for fields, parameter in zip(FIELDS, parameters, strict=True):
        assert Parameter(*fields) == parameter
        assert hash(Parameter(*fields)) == hash(parameter)
        assert sum(other == parameter for other in parameters) == 1


@pytest.mark.parametrize("fields", FIELDS)
def test_copies_and_pickles_keep_all_fields(fields):
    expr = x * Parameter(*fields) + 1
    for copied in (pickle.loads(pickle.dumps(expr)), copy.deepcopy(expr)):
        assert copied == expr
        (parameter,) = parameters_of(copied)
        assert (parameter.name, parameter.start, parameter.constraint, parameter.granularity) == fields


def test_a_parameter_is_not_the_symbol_of_its_name():
    assert Parameter("beta") != sympy.Symbol("beta", real=True)
    assert sympy.Symbol("beta", real=True) is sympy.Symbol("beta", real=True)
    assert not isinstance(sympy.Symbol("beta", positive=True), Parameter)


def test_sympy_knows_what_the_constraint_says():
    assert Parameter("a").is_real
    assert Parameter("a").is_positive is None
    assert sympy.sqrt(Parameter("a", 1, "positive") ** 2) == Parameter("a", 1, "positive")
    assert Parameter("a", 0.5, "unit").is_positive


def test_substitution_and_derivatives_work():
    beta = Parameter("beta", 1.0)
    assert (x * beta).subs(beta, 3) == 3 * x
    assert (x * beta**2).diff(beta) == 2 * x * beta
    assert (x * beta).xreplace({x: 2 * x}) == 2 * x * beta


def test_minus_zero_is_zero():
    assert hash(Parameter("a", -0.0)) == hash(Parameter("a", 0.0))
    assert repr(Parameter("a", -0.0).start) == "0.0"


def test_the_order_is_by_name():
    a, b, b1 = Parameter("a"), Parameter("b"), Parameter("b_1")
    assert parameters_of(b1 * x + b * a) == (a, b, b1)
    assert parameters_of(x) == ()


def test_two_parameters_of_one_name_are_refused():
    with pytest.raises(ExprError, match="two different parameters are both named 'a'"):
        parameters_of(Parameter("a", 1.0) * x + Parameter("a", 2.0))


@pytest.mark.parametrize("name", ["", "x", "pi", "e", "_a", "1a", "a b", "lambda", "α", "a" * 41, "a.b", None, "a\n"])
def test_bad_names_are_refused(name):
    with pytest.raises(ExprError, match="cannot name a parameter"):
        Parameter(name)


@pytest.mark.parametrize(
    ("start", "constraint"),
    [
        (float("nan"), "real"),
        (float("inf"), "real"),
        (0.0, "positive"),
        (-1.0, "positive"),
        (0.0, "unit"),
        (1.0, "unit"),
        (True, "real"),
        ("1", "real"),
        (None, "real"),
        (1j, "real"),
        (10**400, "real"),
    ],
)
def test_bad_starts_are_refused(start, constraint):
    with pytest.raises(ExprError, match="start"):
        Parameter("a", start, constraint)


def test_bad_words_get_the_nearest_one():
    with pytest.raises(ExprError, match="did you mean 'positive'"):
        Parameter("a", 1.0, "positve")
    with pytest.raises(ExprError, match="did you mean 'channel'"):
        Parameter("a", 1.0, "real", "chanel")
