"""AutoInit: rules against samples, and whole networks that keep mean 0 and variance 1."""

import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from actsearch.errors import ActivationError
from actsearch.nn.init import initialise
from actsearch.nn.init.propagation import Signal, maximum, mixture, of_function, of_module
from actsearch.nn.make import make
from tests.nn import swap_models as models

SIGNAL = Signal(0.6, 1.7)
MODULES = [
    nn.GELU(), nn.Tanh(), nn.Dropout(0.3), nn.AlphaDropout(0.2), nn.AvgPool1d(4), nn.AvgPool2d((2, 3)), nn.MaxPool1d(3),
    nn.MaxPool2d(2), nn.AdaptiveAvgPool1d(5), nn.AdaptiveMaxPool1d(10), nn.BatchNorm1d(6), nn.LayerNorm(60),
    nn.GroupNorm(2, 6), nn.RMSNorm(60), nn.Flatten(), make("swiglu"), make("maxout"),
]  # fmt: skip


def sample(signal, *shape, seed=0):
    z = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return signal.mean + math.sqrt(signal.variance) * z


@pytest.mark.parametrize("module", MODULES, ids=lambda module: repr(module)[:20])
def test_rules_of_modules_against_samples(module):
    torch.manual_seed(0)
    shape = (150, 6, 12, 12) if "2d" in type(module).__name__ else (700, 6, 60)
    x = sample(SIGNAL, *shape)
    y = module(x)
    told = of_module(module, SIGNAL, x.numel(), y.numel())
    assert told.mean == pytest.approx(y.mean().item(), abs=0.02)
    assert told.variance == pytest.approx(y.var().item(), rel=0.03)


@pytest.mark.parametrize(
    "function",
    [
        torch.add, torch.sub, torch.mul, lambda a, b: a + 0.5 * b, lambda a, b: torch.add(a, b, alpha=0.3),
        lambda a, b: 1 - a, lambda a, b: a - 2.0, lambda a, b: a / 4, lambda a, b: 3 * a, lambda a, b: -a,
        lambda a, b: torch.cat([a, b, a]), lambda a, b: a.mean(1), lambda a, b: a.sum(1) / 60,
        lambda a, b: F.dropout(a, 0.4), lambda a, b: F.avg_pool1d(a, 3), lambda a, b: F.adaptive_avg_pool1d(a, 6),
        lambda a, b: F.max_pool1d(a, 2), lambda a, b: torch.stack([a, b]) * 2,
        lambda a, b: a.clone().add_(b), lambda a, b: 2 - b.flip(0),
    ],
)  # fmt: skip
def test_rules_of_functions_against_samples(function):
    """A network of one function: what AutoInit takes its result for is told by the scale of the layer behind it."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.LazyLinear(1)

        def forward(self, x):
            return self.last(function(F.tanh(x), F.relu(x + 1)))

    torch.manual_seed(0)
    # independent arguments, as the rules take them
    a, b = sample(Signal(0, 1), 400, 6, 60), sample(Signal(0, 1), 400, 6, 60, seed=1)
    y = function(torch.tanh(a), torch.relu(b + 1))
    model = Net()
    model(torch.zeros(4, 6, 60))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = initialise(model, torch.zeros(4, 6, 60), method="autoinit")
    assert report.layers[0].gain == pytest.approx(y.square().mean().item() ** -0.5, rel=0.02)


def test_elementwise_functions_without_a_rule_are_integrated():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            x = torch.sin(self.first(x) ** 2)
            return self.last(torch.exp(-self.second(x).square()))

    report = initialise(Net(), torch.zeros(2, 4), method="autoinit")
    # E z^4 = 3; then the sine of a normal variable of mean 1 and variance 2, which z^2 is not, but is taken for
    sine = 0.5 - 0.5 * math.cos(2) * math.exp(-4)
    assert report.layers[1].gain == pytest.approx(sine**-0.5, rel=1e-6)
    assert report.layers[2].gain == pytest.approx(math.exp(-1), rel=1e-6)  # E exp(u)^2 for u ~ N(-1, 2)


def test_maximum_and_mixture():
    # the greater of two standard normals has mean 1/sqrt(pi) and variance 1 - 1/pi
    greatest = maximum(Signal(0, 1), 2)
    assert greatest.mean == pytest.approx(math.pi**-0.5, rel=1e-6)
    assert greatest.variance == pytest.approx(1 - 1 / math.pi, rel=1e-6)
    assert maximum(Signal(2, 9), 1).variance == pytest.approx(9)
    assert mixture([Signal(1, 0), Signal(-1, 0)], [1, 1]) == Signal(0, 1)
    assert of_function("matmul", [SIGNAL, SIGNAL], (), {}, 1) is None


def variances(model, x):
    seen = []
    hooks = [
        m.register_forward_hook(lambda m, i, y: seen.append(y.var().item()))
        for m in model.modules()
        if isinstance(m, nn.Linear | nn.Conv2d)
    ]
    model(x)
    for hook in hooks:
        hook.remove()
    return seen


DEAR = [pytest.param(text, marks=pytest.mark.slow) for text in ("silu", "sigmoid", "x + x**2/4", "cos(x) - x")]


@pytest.mark.parametrize("activation", ["relu", "softplus", *DEAR])
def test_a_deep_chain_keeps_variance_one_where_hes_gain_need_not(activation):
    torch.manual_seed(1)
    layers = [layer for _ in range(6) for layer in (nn.Linear(300, 300), make(activation), nn.Dropout(0.2))]
    model = nn.Sequential(*layers, nn.Linear(300, 300))
    report = initialise(model, method="autoinit")
    assert len(report.layers) == 7
    with torch.no_grad():
        seen = variances(model, torch.randn(300, 300))
    assert all(0.5 < variance < 2 for variance in seen)


def test_residual_networks_are_followed():
    """Each block adds its branch to the stream; He's rule for the layer behind the sum takes it for an activation."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.ModuleList(nn.Linear(400, 400) for _ in range(6))
            self.head = nn.Linear(400, 400)

        def forward(self, x):
            for layer in self.inner:
                x = x + F.relu(layer(x))
            return self.head(x)

    torch.manual_seed(0)
    model, x = Net(), torch.randn(200, 400)
    report = initialise(model, x, method="autoinit")
    factors = [row.gain for row in report.layers]
    assert factors == sorted(factors, reverse=True)  # the stream grows
    assert factors[1] == pytest.approx(1.5**-0.5, rel=1e-6)  # 1 of the data, 1/2 of the relu
    with torch.no_grad():
        assert all(0.6 < variance < 1.6 for variance in variances(model, x))


def test_a_net_with_convolutions_pooling_and_swapped_activations():
    torch.manual_seed(0)
    model = models.ResNet()
    report = initialise(model, torch.zeros(2, 1, 6, 6), method="autoinit")
    assert report.layers[0].name == "stem.0"
    assert report.left == ()
    assert max(map(len, str(report).splitlines())) <= 80


def test_what_is_not_known_is_named():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.last(torch.fft.fft(self.first(x)).real)

    with pytest.warns(UserWarning, match=r"does not know how the function 'fft_fft' changes.*method='lsuv'"):
        initialise(Net(), torch.zeros(2, 4), method="autoinit")
    chain = nn.Sequential(nn.Linear(4, 4), nn.LocalResponseNorm(2), nn.Softmax(1), nn.Linear(4, 4))
    with pytest.warns(UserWarning, match=r"does not know how 2 \(Softmax\)"):
        initialise(chain, method="autoinit")


def test_weights_that_stay_and_data_that_are_not_standard():
    fixed = nn.Linear(8, 8)
    with torch.no_grad():
        fixed.weight.copy_(torch.linspace(-1, 1, 64).reshape(8, 8))
        fixed.bias.fill_(0.5)
    tied = nn.utils.parametrizations.weight_norm(fixed)
    model = nn.Sequential(tied, nn.Linear(8, 8))
    report = initialise(model, method="autoinit", mean=0.3, variance=2.0)
    assert report.left == ("0",)
    mean_square = 8 * tied.weight.square().mean().item() * (2 + 0.09) + 0.25
    assert report.layers[0].gain == pytest.approx(mean_square**-0.5, rel=1e-5)
    alone = initialise(nn.Sequential(nn.Linear(8, 8)), method="autoinit", mean=0.3, variance=2.0)
    assert alone.layers[0].gain == pytest.approx((2 + 0.09) ** -0.5)


def test_a_signal_that_vanishes_gets_a_sentence():
    model = nn.Sequential(nn.Linear(3, 3), make("0*x"), nn.Linear(3, 3))
    with pytest.raises(ActivationError, match="cannot scale '2': the mean square of its input is 0"):
        initialise(model, method="autoinit")
