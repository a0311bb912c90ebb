"""Gaussian moments against the published table, closed forms and SciPy."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr

from actsearch.expr.moments import gain, moments, moments_of_function
from actsearch.expr.text import parse

# f, mean, E f^2, gain, gain of the centred f, E f'^2, gain for the gradient: fine trapezoid quadrature, four digits
TABLE = [
    ("relu", 0.3989, 0.5000, 1.4142, 1.7129, 0.5000, 1.4142),
    ("max(x, 0.01 * x)", 0.3950, 0.5000, 1.4141, 1.7048, 0.5000, 1.4141),
    ("elu", 0.1605, 0.6449, 1.2452, 1.2708, 0.6681, 1.2234),
    ("selu", 0.0, 1.0000, 1.0000, 1.0000, 1.0716, 0.9660),
    ("silu", 0.2066, 0.3558, 1.6765, 1.7872, 0.3795, 1.6233),
    ("gelu", 0.2821, 0.4252, 1.5335, 1.7009, 0.4559, 1.4811),
    ("mish", 0.2404, 0.4523, 1.4868, 1.5920, 0.4791, 1.4448),
    ("softplus", 0.8061, 0.9212, 1.0419, 1.9191, 0.2934, 1.8462),
    ("tanh", 0.0, 0.3943, 1.5925, 1.5925, 0.4644, 1.4674),
    ("sigmoid", 0.5000, 0.2934, 1.8462, 4.8013, 0.0448, 4.7226),
    ("relu(x)**2", 0.5000, 1.5000, 0.8165, 0.8944, 2.0000, 0.7071),
    ("sin(x)", 0.0, 0.4323, 1.5209, 1.5209, 0.5677, 1.3273),
    ("x + sin(x)**2", 0.4323, 1.3074, 0.8746, 0.9447, 1.4998, 0.8165),
    ("gelu(x) + 0.1 * sin(x)", 0.2821, 0.4902, 1.4283, 1.5606, 0.5222, 1.3839),
    ("erf(x)", 0.0, 0.4646, 1.4672, 1.4672, 0.5694, 1.3252),
    ("softsign", 0.0, 0.1830, 2.3375, 2.3375, 0.2277, 2.0958),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0])
def test_the_published_table_is_reproduced_to_its_digits(row):
    text, mean, mean_square, gain_, centred_gain, slope_square, slope_gain = row
    result = moments(text)
    assert result.mean == pytest.approx(mean, abs=5.1e-5)
    assert result.mean_square == pytest.approx(mean_square, abs=5.1e-5)
    assert result.gain == pytest.approx(gain_, abs=5.1e-5)
    assert 1 / result.standard_deviation == pytest.approx(centred_gain, abs=5.1e-5)
    assert result.derivative_mean_square == pytest.approx(slope_square, abs=5.1e-5)
    assert result.derivative_gain == pytest.approx(slope_gain, abs=5.1e-5)


@pytest.mark.parametrize(
    ("text", "mean", "mean_square"),
    [
        ("exp(x)", math.exp(0.5), math.exp(2)),
        ("exp(3 * x)", math.exp(4.5), math.exp(18)),
        ("x**4", 3.0, 105.0),
        ("sin(20 * x)", 0.0, 0.5 * (1 - math.exp(-800))),
        ("cos(x) - x", math.exp(-0.5), 1 + 0.5 * (1 + math.exp(-2))),
        ("exp(x**2 / 8)", (1 - 1 / 4) ** -0.5, (1 - 1 / 2) ** -0.5),
    ],
)
def test_smooth_functions_agree_with_closed_forms(text, mean, mean_square):
    result = moments(text)
    assert result.mean == pytest.approx(mean, rel=1e-10, abs=1e-12)
    assert result.mean_square == pytest.approx(mean_square, rel=1e-10)


@pytest.mark.parametrize("at", [0.37, 0.2501, 0.001, -1.00001, 0.4999999, 2.0, 6.0])
def test_kinks_and_jumps_are_found_wherever_they_lie(at):
    step = moments(f"1 if x > {at} else 0")
    assert step.mean == pytest.approx(ndtr(-at), abs=1e-10)
    assert step.derivative_mean_square == 0
    bend = moments(f"abs(x - {at})")
    assert bend.mean_square == pytest.approx(1 + at**2, abs=1e-10)
    assert bend.derivative_mean_square == pytest.approx(1, abs=1e-10)
    box = moments(f"1 if (x > {at} and x < {at + 0.2}) else 0")
    assert box.mean == pytest.approx(ndtr(at + 0.2) - ndtr(at), abs=1e-10)


def test_agrees_with_scipy_on_a_kinked_product():
    expr = "max(x, sigmoid(x)) * min(1.3, abs(x + 0.3))"
    points = [-1.6, -0.3, 0.659, 1.0]

    def integrand(z):
        value = max(z, 1 / (1 + math.exp(-z))) * min(1.3, abs(z + 0.3))
        return value**2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    ends = [-12, *sorted(points), 12]
    expected = sum(quad(integrand, a, b, epsabs=1e-13)[0] for a, b in pairwise(ends))
    assert moments(expr).mean_square == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("text", ["1 / x", "exp(x**2)", "log(x)", "sqrt(x - 1)", "exp(exp(x))"])
def test_no_finite_moment_is_nan(text):
    result = moments(text)
    assert math.isnan(result.mean)
    assert math.isnan(result.mean_square)
    assert math.isnan(gain(text))


def test_an_integrable_pole_has_moments_and_its_derivative_none():
    result = moments("log(abs(x))")
    assert result.mean == pytest.approx(-(np.euler_gamma + math.log(2)) / 2, abs=1e-10)
    assert math.isnan(result.derivative_mean_square)


def test_constants():
    assert moments("2 + 0 * x").mean == pytest.approx(2, abs=1e-12)
    assert moments("2 + 0 * x").standard_deviation < 1e-6
    assert gain(parse("0 * x")) == math.inf


def test_parameters_start_values_or_given_ones():
    expr = parse("max(x, a[0.25] * x) + b[0.0]")
    assert moments(expr).mean_square == pytest.approx((1 + 0.25**2) / 2, abs=1e-10)
    given = moments(expr, [-1.0, 2.0])
    assert given.mean == pytest.approx(2 + math.sqrt(2 / math.pi), abs=1e-10)
    with pytest.raises(ValueError, match=r"2 parameter values are needed \(a, b\), got 1"):
        moments(expr, [1.0])


def test_a_plain_function_has_moments_too():
    assert moments_of_function(np.tanh).mean_square == pytest.approx(moments("tanh(x)").mean_square, abs=1e-12)
