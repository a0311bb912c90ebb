import pickle

import mpmath
import pytest
import sympy
from mpmath import mpf
from sympy.core.function import ArgumentIndexError

from actsearch.expr import functions as f
from actsearch.expr.functions import x
from actsearch.expr.whole import Whole

WHOLE = sorted(Whole.__subclasses__(), key=lambda function: function.__name__)
POINTS = ["-1000", "-37.5", "-3.25", "-0.7", "-1e-12", "1e-30", "0.3", "2.125", "3", "41", "1000"]


def naive(name, t):
    """The textbook formula, in far more digits than anything cancels."""
    e = mpmath.exp
    return {
        "sigmoid": lambda: 1 / (1 + e(-t)),
        "log_sigmoid": lambda: -mpmath.log(1 + e(-t)),
        "softplus": lambda: mpmath.log(1 + e(t)),
        "silu": lambda: t / (1 + e(-t)),
        "normal_cdf": lambda: normal_cdf(t),
        "gelu": lambda: t * normal_cdf(t),
        "relu": lambda: max(t, mpf(0)),
        "elu": lambda: t if t > 0 else e(t) - 1,
        "selu": lambda: mpf(1.0507009873554805) * (t if t > 0 else mpf(1.6732632423543772) * (e(t) - 1)),
        "softsign": lambda: t / (1 + abs(t)),
        "hard_sigmoid": lambda: min(max(t / 6 + mpf(1) / 2, mpf(0)), mpf(1)),
        "mish": lambda: t * mpmath.tanh(mpmath.log(1 + e(t))),
        "bessel_i0e": lambda: e(-abs(t)) * mpmath.besseli(0, t),
        "bessel_i1e": lambda: e(-abs(t)) * mpmath.besseli(1, t),
        "expm1": lambda: e(t) - 1,
        "log1p": lambda: mpmath.log(1 + t),
        "log_cosh": lambda: mpmath.log((e(t) + e(-t)) / 2),
    }[name]()


def normal_cdf(t):
    """By the incomplete gamma function: 1 + erf would need 217,148 digits at -1000."""
    with mpmath.workdps(100):
        upper = mpmath.gammainc(mpf(1) / 2, t * t / 2) / (2 * mpmath.sqrt(mpmath.pi))
        return upper if t < 0 else 1 - upper


def defined(name, point):
    return name != "log1p" or float(point) > -1


def points(name):
    return [sympy.Rational(point) for point in POINTS if defined(name, point)]


def as_mpf(rational):
    return mpf(rational.p) / rational.q


@pytest.mark.parametrize("function", WHOLE)
def test_evaluation_is_right_to_50_digits_in_the_tails(function):
    for point in points(function.__name__):
        value = function(point).evalf(50)
        with mpmath.workdps(1000):
            truth = naive(function.__name__, as_mpf(point))
            got = mpf(sympy.Float(value, 60)._mpf_)
            assert abs(got - truth) <= abs(truth) * mpf(10) ** -49, point


@pytest.mark.parametrize("function", WHOLE)
def test_the_derivative_is_the_slope_of_the_function(function):
    for point in points(function.__name__):
        if point == 3 or abs(point) > 40 or abs(point) < 1e-6:
            continue  # kinks, and tails whose slope is far below the differences taken here
        slope = function(x).diff(x).subs(x, point).evalf(30)
        with mpmath.workdps(40):
            truth = mpmath.diff(lambda t: naive(function.__name__, t), as_mpf(point))
            assert abs(mpf(slope._to_mpmath(130)) - truth) < 1e-15, point


@pytest.mark.parametrize("function", WHOLE)
def test_the_elementary_form_is_the_same_function_without_our_classes(function):
    elementary = function(x).rewrite("elementary")
    assert not elementary.atoms(Whole)
    tolerance = 1e-14 if elementary.atoms(sympy.Float) else 1e-35
    for point in (sympy.Rational(-7, 10), sympy.Rational(31, 10)):
        assert abs(elementary.subs(x, point).evalf(40) - function(point).evalf(40)) < tolerance


@pytest.mark.parametrize("function", WHOLE)
def test_a_whole_function_stays_whole_and_survives_pickling(function):
    expr = sympy.expand(2 * x * function(3 * x + 1) + function(x))
    assert expr.atoms(function) == {function(x), function(3 * x + 1)}
    assert pickle.loads(pickle.dumps(expr)) == expr


@pytest.mark.parametrize("function", WHOLE)
def test_the_value_at_zero_is_exact(function):
    assert function.at_zero is not None
    assert function(0) == function.at_zero
    assert abs(function.at_zero.evalf(30) - sympy.Float(str(naive(function.__name__, mpf(0))), 30)) < 1e-14


@pytest.mark.parametrize("function", WHOLE)
def test_signs_that_sympy_is_told_are_true(function):
    for point in points(function.__name__):
        value = function(point).evalf(20)
        assert {"positive": value > 0, "negative": value < 0, "nonnegative": value >= 0}.get(
            function.sign_of_values, True
        )


@pytest.mark.parametrize("function", [w for w in WHOLE if w is not f.log1p])
def test_a_real_argument_gives_a_real_value(function):
    assert function(x).is_real
    assert function(sympy.Symbol("z")).is_real is None


def test_log1p_is_real_where_it_is_known_to_be():
    assert f.log1p(x).is_real is None
    assert f.log1p(x**2).is_real
    assert f.log1p(sympy.Symbol("p", positive=True)).is_real


def test_a_second_derivative_stays_in_stable_functions():
    assert f.silu(x).diff(x, 2).atoms(sympy.exp) == set()
    assert f.softplus(x).diff(x) == f.sigmoid(x)
    assert f.log_sigmoid(x).diff(x) == f.sigmoid(-x)


def test_derivatives_at_kinks_are_torchs():
    assert f.relu(x).diff(x).subs(x, 0) == 0
    assert f.hard_sigmoid(x).diff(x).subs(x, 3) == 0
    assert f.hard_sigmoid(x).diff(x).subs(x, -3) == 0
    assert f.elu(x).diff(x).subs(x, 0) == 1
    assert f.bessel_i1e(x).diff(x).subs(x, 0) == sympy.Rational(1, 2)
    assert not f.relu(x).diff(x, 2).has(sympy.DiracDelta, sympy.Heaviside)


def test_the_chain_rule_goes_through():
    assert f.sigmoid(2 * x).diff(x) == 2 * f.sigmoid(2 * x) * f.sigmoid(-2 * x)


def test_rewriting_in_exp_and_piecewise():
    assert f.silu(x).rewrite(sympy.exp) == x / (1 + sympy.exp(-x))
    assert f.relu(x).rewrite(sympy.Piecewise).has(sympy.Piecewise)


def test_limits_are_found():
    assert sympy.limit(f.silu(x), x, -sympy.oo) == 0
    assert sympy.limit(f.gelu(x) / x, x, sympy.oo) == 1
    assert sympy.limit(f.softplus(x) - x, x, sympy.oo) == 0


@pytest.mark.parametrize("function", WHOLE)
def test_latex_puts_the_power_before_the_argument(function):
    plain, squared = sympy.latex(function(x)), sympy.latex(function(x) ** 2)
    assert plain == rf"{function.latex_name}\left(x\right)"
    assert squared == rf"{function.latex_name}^{{2}}\left(x\right)"


def test_a_float_argument_is_evaluated_as_sympy_does():
    assert f.sigmoid(sympy.Float(0.5)) == sympy.Float(0.6224593312018546)


def test_a_huge_argument_is_evaluated():
    assert f.gelu(-(sympy.Integer(10) ** 300)).evalf(20) < 0
    assert f.sigmoid(-(10**30)).evalf(5) > 0
    assert abs(f.mish(10**300).evalf(20) / 10**300 - 1) < 1e-19


def test_the_far_left_tail_of_the_normal_distribution_joins_on():
    near, far = -(sympy.Integer(2) ** 60), -(sympy.Integer(2) ** 60 + 1)
    with mpmath.workdps(120):
        for t in (near, far):
            truth = mpmath.log(mpmath.erfc(mpf(int(-t)) / mpmath.sqrt(2)) / 2)
            got = mpmath.log(mpf(f.normal_cdf(t).evalf(60)._mpf_))
            assert abs(got - truth) < mpf(10) ** -55


def test_only_the_one_argument_can_be_differentiated():
    with pytest.raises(ArgumentIndexError):
        f.sigmoid(x).fdiff(2)


def test_a_complex_number_is_left_alone():
    assert f.sigmoid(sympy.I).evalf() == f.sigmoid(sympy.I)
