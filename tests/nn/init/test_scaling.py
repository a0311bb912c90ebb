"""Gains, and initialisation of whole networks."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from actsearch.errors import ActivationError
from actsearch.expr.moments import moments, moments_of_function
from actsearch.nn.init import gain, initialise
from actsearch.nn.known import ROWS
from actsearch.nn.make import make
from actsearch.nn.swap import swap
from tests.nn import swap_models as models

SETTINGS = [nn.LeakyReLU(0.3), nn.PReLU(init=0.4), nn.RReLU(0.1, 0.3), nn.ELU(1.7), nn.CELU(0.6), nn.GELU("tanh")]
SETTINGS += [nn.Hardtanh(-2.0, 0.5), nn.Softplus(beta=2.0)]


@pytest.mark.parametrize("module", [*[row.module() for row in ROWS], *SETTINGS], ids=repr)
def test_the_known_formula_is_what_torch_computes(module):
    row = next(row for row in ROWS if row.module is type(module))
    x = torch.linspace(-7, 7, 201, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(make(row.expression(module))(x), module.double().eval()(x), atol=1e-12)


def test_gain_of_everything_that_can_be_named():
    expected = moments("silu").gain
    for spec in ("silu", "x * sigmoid(x)", make("silu"), nn.SiLU(), F.silu, lambda x: x * torch.sigmoid(x)):
        assert gain(spec) == pytest.approx(expected, rel=1e-7)
    assert gain(models.Swish()) == pytest.approx(expected, rel=1e-7)
    for name in ("relu", "tanh", "selu"):
        assert gain(name) == pytest.approx(nn.init.calculate_gain(name), rel=0.35)
    assert gain(nn.LeakyReLU(0.2)) == pytest.approx(nn.init.calculate_gain("leaky_relu", 0.2), rel=1e-9)


def test_gain_follows_what_was_learned():
    module = make("a[1.0] * x")
    with torch.no_grad():
        module.a.fill_(4.0)
    assert gain(module) == pytest.approx(0.25)
    per_channel = make("a[1.0, channel] * x", n_channels=2)
    with torch.no_grad():
        per_channel.a.copy_(torch.tensor([1.0, 7.0]))
    assert gain(per_channel) == pytest.approx(1 / 5)


@pytest.mark.parametrize("spec", ["0 * x", "1 / x", "exp(x**2)", nn.Linear(3, 3), nn.Softmax(dim=0)])
def test_what_has_no_gain_says_so(spec):
    with pytest.raises(ActivationError, match=r"no gain|not a function of one tensor"):
        gain(spec)


def deep(activation, depth=8, width=200):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 10))


@pytest.mark.parametrize("spec", ["relu", "silu", "tanh", "cos(x) - x", "selu"])
def test_a_deep_network_keeps_its_scale(spec):
    torch.manual_seed(0)
    model = deep(lambda: make(spec, normalise=True))
    report = initialise(model)
    assert [round(row.gain, 6) for row in report.layers] == [1.0] * 9
    plain = deep(lambda: make(spec))
    initialise(plain)
    x = torch.randn(100, 200)
    for model_, low, high in [(model, 0.6, 1.6), (plain, 0.4, 2.5)]:
        out = model_[:-2](x)
        assert low < out.square().mean().item() < high


def test_draws_are_the_same_whatever_the_activation():
    first, second = deep(nn.ReLU, 2), deep(lambda: make("x * sigmoid(b[1.0] * x)"), 2)
    torch.manual_seed(5)
    a = initialise(first)
    torch.manual_seed(5)
    b = initialise(second.double())
    for one, other, row, row_ in zip(first[::2], second[::2], a.layers, b.layers, strict=True):
        ours = one.weight.double() / row.deviation
        assert torch.allclose(ours, other.weight / row_.deviation, atol=1e-5)
        assert not other.bias.any()
    assert a.layers[1].gain == pytest.approx(math.sqrt(2))
    assert b.layers[1].gain == pytest.approx(gain("silu"))


def test_an_example_tells_which_activation_comes_first():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(8, 2)  # registered first, used last
            self.conv = nn.Conv2d(1, 2, 3, padding=1)
            self.second = nn.Conv2d(2, 2, 3, padding=1)
            self.normed = nn.Linear(8, 8)
            self.norm = nn.LayerNorm(8)

        def forward(self, x):
            x = F.max_pool2d(F.leaky_relu(self.conv(x), 0.5), 2)
            x = torch.tanh(self.second(x)).flatten(1)
            x = F.gelu(self.normed(self.norm(x)))
            return self.head(F.dropout(x, training=self.training))

    model = Net()
    report = initialise(model, torch.zeros(1, 1, 4, 4))
    assert model.training
    gains = {row.name: (row.after, row.gain) for row in report.layers}
    assert gains["conv"] == ("", 1.0)
    assert gains["second"] == ("leaky_relu", pytest.approx(gain("max(x, 0.5 * x)")))
    assert gains["normed"] == ("", 1.0)
    assert gains["head"] == ("gelu", pytest.approx(gain("gelu")))
    assert "leaky_relu" in str(report)
    assert max(map(len, str(report).splitlines())) <= 80


def test_swapped_residual_networks_are_followed():
    model = models.ResNet()
    swap(model, "silu")
    report = initialise(model, torch.zeros(2, 1, 6, 6))
    after = {row.name: row.after for row in report.layers}
    assert after == {
        "stem.0": "",
        "blocks.0.conv1": "silu(x)",
        "blocks.0.conv2": "silu(x)",
        "blocks.1.conv1": "silu(x)",
        "blocks.1.conv2": "silu(x)",
        "fc": "silu(x)",
    }


def test_weights_have_the_deviation_that_is_told():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv1d(8, 300, 5, groups=2), nn.ReLU(), nn.ConvTranspose2d(30, 40, 4, stride=2))
    report = initialise(model)
    assert [row.fan_in for row in report.layers] == [20, 120]
    assert model[0].weight.std().item() == pytest.approx(1 / math.sqrt(20), rel=0.03)
    assert model[2].weight.std().item() == pytest.approx(math.sqrt(2 / 120), rel=0.03)


def test_what_cannot_be_set_is_left_and_named():
    tied = nn.Linear(4, 4)
    other = nn.Linear(4, 4)
    other.weight = tied.weight
    model = nn.Sequential(tied, nn.ReLU(), other, weight_norm(nn.Linear(4, 4)), nn.LazyLinear(3))
    report = initialise(model)
    assert [row.name for row in report.layers] == ["0"]
    assert report.left == ("2", "3", "4")
    assert "3" in str(report)
    with pytest.raises(ActivationError, match="no linear or convolutional layer"):
        initialise(nn.Sequential(nn.ReLU()))


def test_moments_of_a_torch_function_are_those_of_the_formula():
    def f(x):
        return F.elu(torch.from_numpy(np.ascontiguousarray(x))).numpy()

    assert moments_of_function(f).mean_square == pytest.approx(moments("elu").mean_square, abs=1e-12)


def test_glorot_lecun_and_uniform_weights():
    torch.manual_seed(0)
    for method, expected in (
        ("he", math.sqrt(2 / 400)),
        ("glorot", math.sqrt(2 * 2 / (400 + 100))),
        ("lecun", math.sqrt(1 / 400)),
    ):
        for distribution in ("normal", "uniform"):
            model = nn.Sequential(nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 100))
            report = initialise(model, method=method, distribution=distribution)
            assert report.method == method
            assert report.layers[1].deviation == pytest.approx(expected)
            assert model[2].weight.std().item() == pytest.approx(expected, rel=0.02)
            limit = model[2].weight.abs().max().item() / expected
            assert (limit <= math.sqrt(3)) == (distribution == "uniform")
    # Glorot's own form: uniform up to sqrt(6 / (n_in + n_out)) for a gain of 1
    initialise(model := nn.Sequential(nn.Linear(300, 500)), method="glorot", distribution="uniform")
    assert model[0].weight.abs().max().item() == pytest.approx(math.sqrt(6 / 800), rel=1e-3)


def test_fans_of_convolutions_under_glorot():
    model = nn.Sequential(nn.Conv2d(8, 16, 3, groups=2), nn.ConvTranspose1d(6, 4, 5), nn.Conv1d(4, 12, 4, stride=2))
    deviations = [row.deviation for row in initialise(model, method="glorot").layers]
    assert deviations == pytest.approx([math.sqrt(2 / (36 + 72)), math.sqrt(2 / (30 + 20)), math.sqrt(2 / (16 + 24))])


@pytest.mark.parametrize("method", ["he", "glorot", "lecun", "lsuv", "autoinit", "edge_of_chaos"])
def test_every_method_is_reproducible_and_shows_a_table(method):
    model, x = deep(nn.Tanh, 3, 20), torch.randn(30, 20)
    shown = []
    for _ in range(2):
        torch.manual_seed(3)
        shown.append((repr(initialise(model, x, method=method)), model[2].weight.detach().clone()))
    assert shown[0][0] == shown[1][0]
    assert torch.equal(shown[0][1], shown[1][1])
    lines = shown[0][0].splitlines()
    assert len(lines) == 5
    assert max(map(len, lines)) <= 80
    assert "Tanh" in lines[2]


def test_misuse_gets_a_sentence():
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ActivationError, match="no method 'glorott'; did you mean 'glorot'"):
        initialise(model, method="glorott")
    with pytest.raises(ActivationError, match=r"'he' has no setting 'sigma_b'.*settings: distribution"):
        initialise(model, sigma_b=1.0)
    with pytest.raises(ActivationError, match="distribution is 'cauchy'"):
        initialise(model, distribution="cauchy")
