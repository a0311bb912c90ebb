"""Gains and moments against the published table, independent quadrature and samples."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from actsearch.errors import ActivationError
from actsearch.nn.init import gain, moments_of
from actsearch.nn.make import make

# f: mean, E f^2, gain, gain of the centred function, E f'^2, its gain; under N(0, 1), by a fine trapezoid rule
TABLE = {
    "relu": (0.3989, 0.5000, 1.4142, 1.7129, 0.5000, 1.4142),
    "leaky_relu": (0.3950, 0.5000, 1.4141, 1.7048, 0.5000, 1.4141),
    "elu": (0.1605, 0.6449, 1.2452, 1.2708, 0.6681, 1.2234),
    "selu": (0.0, 1.0, 1.0, 1.0, 1.0716, 0.9660),
    "silu": (0.2066, 0.3558, 1.6765, 1.7872, 0.3795, 1.6233),
    "gelu": (0.2821, 0.4252, 1.5335, 1.7009, 0.4559, 1.4811),
    "mish": (0.2404, 0.4523, 1.4868, 1.5920, 0.4791, 1.4448),
    "softplus": (0.8061, 0.9212, 1.0419, 1.9191, 0.2934, 1.8462),
    "tanh": (0.0, 0.3943, 1.5925, 1.5925, 0.4644, 1.4674),
    "sigmoid": (0.5, 0.2934, 1.8462, 4.8013, 0.0448, 4.7226),
    "relu(x)**2": (0.5, 1.5, 0.8165, 0.8944, 2.0, 0.7071),
    "sin(x)": (0.0, 0.4323, 1.5209, 1.5209, 0.5677, 1.3273),
    "x + sin(x)**2": (0.4323, 1.3074, 0.8746, 0.9447, 1.4998, 0.8165),
    "gelu(x) + 0.1*sin(x)": (0.2821, 0.4902, 1.4283, 1.5606, 0.5222, 1.3839),
    "erf(x)": (0.0, 0.4646, 1.4672, 1.4672, 0.5694, 1.3252),
    "softsign": (0.0, 0.1830, 2.3375, 2.3375, 0.2277, 2.0958),
}


@pytest.mark.parametrize("spec", TABLE)
def test_the_published_table(spec):
    mean, mean_square, forward, centred, slope, backward = TABLE[spec]
    moments = moments_of(spec)
    # the table's last digit is rounded: half of it, and for gains what that makes of them
    assert moments.mean == pytest.approx(mean, abs=6e-5)
    assert moments.mean_square == pytest.approx(mean_square, abs=6e-5)
    assert moments.derivative_mean_square == pytest.approx(slope, abs=6e-5)
    assert gain(spec) == pytest.approx(forward, abs=6e-5)
    assert 1 / moments.standard_deviation == pytest.approx(centred, abs=6e-5)
    assert moments.derivative_gain == pytest.approx(backward, abs=6e-5)


def test_hes_gain_for_relu_is_exact():
    assert gain("relu") == pytest.approx(math.sqrt(2), rel=1e-12)
    assert gain(nn.LeakyReLU(0.2)) == pytest.approx(math.sqrt(2 / 1.04), rel=1e-10)


@pytest.mark.parametrize(("mean", "deviation"), [(0.7, 1.3), (-2.0, 0.4)])
@pytest.mark.parametrize(
    "spec", ["gelu", nn.ELU(1.7), F.mish, "x * sigmoid(beta[1.3] * x)"], ids=["gelu", "elu", "mish", "swish"]
)
def test_other_means_and_variances(spec, mean, deviation):
    function = make(spec) if isinstance(spec, str) else spec
    z = torch.linspace(-12, 12, 40_001, dtype=torch.float64)
    weight = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    x = (mean + deviation * z).requires_grad_()
    y = function(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    moments = moments_of(spec, mean, deviation)
    expected = [(weight * values).sum().item() for values in (y, y**2, slope**2)]
    ours = [moments.mean, moments.mean_square, moments.derivative_mean_square]
    np.testing.assert_allclose(ours, expected, rtol=1e-4)  # a kink between two of its points


def test_learned_values_count_and_unshaped_ones_are_at_their_start():
    module = make("a[1.0, channel] * tanh(x)", n_channels=2)
    with torch.no_grad():
        module.a.copy_(torch.tensor([1.0, 3.0]))
    assert moments_of(module).mean_square == pytest.approx(5 * moments_of("tanh").mean_square, rel=1e-9)
    assert gain(make("max(x, 0) + a[0.25, channel]*min(x, 0)")) == pytest.approx(math.sqrt(2 / 1.0625), rel=1e-9)


@pytest.mark.parametrize(
    ("spec", "mean_square"),
    [
        ("dynamic_relu", 0.5),
        ("glu", 0.2934),  # E a^2 E f(b)^2
        ("swiglu", 0.3558),
        ("bilinear", 1.0),
        ("crelu", 0.5),
        ("maxout", 1.0),  # the greater of two: mean 1/sqrt(pi), variance 1 - 1/pi
    ],
)
def test_what_mixes_channels_is_sampled(spec, mean_square):
    state = torch.get_rng_state()
    assert moments_of(spec).mean_square == pytest.approx(mean_square, rel=0.015)
    assert gain(make(spec)) == gain(make(spec))
    assert torch.equal(torch.get_rng_state(), state)


def test_meta_acon_is_measured_at_its_start():
    assert moments_of("meta_acon").mean_square == pytest.approx(moments_of("x*sigmoid(x/2)").mean_square, rel=0.015)


def test_dynamic_relu_that_has_learned_is_measured_as_it_is():
    module = make("dynamic_relu", n_channels=8)
    with torch.no_grad():
        module.excite_bias[8:16] = -100.0  # the second slope of every channel: 0 - 1
    assert moments_of(module).mean_square == pytest.approx(1.0, rel=0.02)  # |x|


def test_bad_input_gets_a_sentence():
    with pytest.raises(ActivationError, match="deviation is 0"):
        moments_of("relu", deviation=0)
    with pytest.raises(ActivationError, match="not elementwise"):
        gain(nn.Softmax(dim=0))
    with pytest.raises(ActivationError, match="Softmax is not a function of one tensor"):
        gain("softmax")
    with pytest.raises(ActivationError, match="no gain: its mean square under"):
        gain("0*x")
