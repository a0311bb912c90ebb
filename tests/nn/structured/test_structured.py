"""What is no elementwise formula: definitions, shapes, torch's tools, and sentences for misuse."""

import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from actsearch.errors import ActivationError
from actsearch.nn.features import n_features_out
from actsearch.nn.make import make, structured

GATES = {
    "glu": torch.sigmoid,
    "reglu": F.relu,
    "geglu": F.gelu,
    "swiglu": F.silu,
    "bilinear": lambda b: b,
}
RANDOM = ("rrelu", "alpha_dropout")
FIXED = [name for name in structured() if name not in RANDOM]


def inputs(*shape, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize(("shape", "channel_dim"), [((3, 6), 1), ((3, 6, 5), 1), ((2, 4, 3, 2), 1), ((2, 5, 6), -1)])
def test_gated_units_are_their_definitions(name, shape, channel_dim):
    x = inputs(*shape)
    a, b = x.chunk(2, channel_dim)
    assert torch.allclose(make(name, channel_dim=channel_dim)(x), a * GATES[name](b), atol=1e-12)
    swapped = make(name, channel_dim=channel_dim, gate_first=True)(x)
    assert torch.allclose(swapped, b * GATES[name](a), atol=1e-12)


def test_glu_is_torchs():
    x = inputs(3, 8)
    assert torch.allclose(make("glu")(x), F.glu(x, 1), atol=1e-12)


@pytest.mark.parametrize("gate", ["x * sigmoid(b[1.5] * x)", "p[0.3, channel] * x", nn.Tanh(), "dynamic_relu"], ids=str)
def test_any_activation_gates(gate):
    x = inputs(4, 6, 3, dtype=torch.float32)
    module = make("glu", gate=gate)
    a, b = x.chunk(2, 1)
    y = module(x)
    assert y.shape == (4, 3, 3)
    assert torch.allclose(y, a * module.gate(b))
    if module.gate is not gate:
        y.square().sum().backward()
        assert all(parameter.grad is not None for parameter in module.gate.parameters())
        assert list(module.gate.parameters())


@pytest.mark.parametrize("n_pieces", [2, 3])
def test_maxout_is_its_definition(n_pieces):
    x = inputs(2, 6, 4)
    y = make("maxout", n_pieces=n_pieces)(x)
    for c in range(6 // n_pieces):
        assert torch.equal(y[:, c], torch.stack([x[:, n_pieces * c + k] for k in range(n_pieces)]).amax(0))
    last = make("maxout", n_pieces=n_pieces, channel_dim=-1)(x.transpose(1, 2))
    assert torch.equal(last.transpose(1, 2), y)


def test_crelu_is_its_definition():
    x = inputs(2, 3, 4)
    assert torch.equal(make("crelu")(x), torch.cat([x.relu(), (-x).relu()], 1))
    assert torch.equal(make("crelu", activation=nn.ELU(), channel_dim=-1)(x), torch.cat([F.elu(x), F.elu(-x)], -1))


def test_heads_are_torchs_over_the_channels():
    x = inputs(2, 3, 4)
    assert torch.allclose(make("softmax")(x).sum(1), torch.ones(2, 4, dtype=torch.float64))
    assert torch.allclose(make("log_softmax", channel_dim=-1)(x).exp().sum(-1), torch.ones(2, 3, dtype=torch.float64))


def test_rrelu_draws_slopes_in_training_only():
    torch.manual_seed(0)
    module, x = make("rrelu", lower=0.1, upper=0.5), -torch.ones(20_000)
    slopes = -module(x)
    assert slopes.min() >= 0.1
    assert slopes.max() <= 0.5
    # mean 0.3 and standard deviation 0.4 / sqrt(12) of a uniform law, each within 5 standard errors
    assert slopes.mean().item() == pytest.approx(0.3, abs=5 * 0.1155 / 20_000**0.5)
    assert slopes.std().item() == pytest.approx(0.1155, rel=0.03)
    assert torch.allclose(module.eval()(x), torch.full_like(x, -0.3))
    assert torch.equal(module(-x), -x)


def test_alpha_dropout_keeps_what_selu_keeps():
    torch.manual_seed(0)
    x = torch.randn(200_000)
    kept, plain = make("alpha_dropout", p=0.2)(F.selu(x)), F.dropout(F.selu(x), 0.2)
    assert kept.mean().item() == pytest.approx(0, abs=0.02)
    assert kept.var().item() == pytest.approx(1, abs=0.03)
    assert plain.var().item() > 1.2
    whole = make("alpha_dropout", p=0.5, whole_channels=True)(torch.ones(1, 200, 7))
    assert torch.equal(whole, whole[..., :1].expand_as(whole))
    assert torch.equal(make("alpha_dropout").eval()(x), x)


@pytest.mark.parametrize("name", structured())
def test_features_out_are_the_features_that_come_out(name):
    module = make(name)
    for n_features in (4, 8):
        x = inputs(3, n_features, dtype=torch.float32)
        assert module(x).shape == (3, n_features_out(module, n_features))


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_dtypes_copies_and_state(name, dtype):
    state = torch.get_rng_state()
    module = make(name).to(dtype)
    assert torch.equal(torch.get_rng_state(), state)
    x = inputs(3, 6, 2, dtype=dtype)
    y = module(x)
    assert y.dtype == dtype
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), make(name)):
        other.load_state_dict(module.state_dict())
        assert torch.equal(other(x), y)


@pytest.mark.parametrize("name", FIXED)
def test_first_and_second_derivatives(name):
    x = inputs(2, 6).requires_grad_()
    assert torch.autograd.gradcheck(make(name), (x,))
    assert torch.autograd.gradgradcheck(make(name), (x,))


@pytest.mark.parametrize("name", RANDOM)
def test_second_derivatives_of_random_ones(name):
    """In training: two passes with the same draws give a slope whose own derivative is zero."""
    module, x = make(name), inputs(50).requires_grad_()
    torch.manual_seed(3)
    (slope,) = torch.autograd.grad(module(x).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), x)
    # y = a x + b with a fixed by the draws: (y^2)'' = 2 a^2, and a = (y^2)' / 2y
    assert torch.isfinite(second).all()
    assert (second >= 0).all()
    assert second.any()


CHEAP = ("swiglu", "maxout", "rrelu")
TRAINED = [name if name in CHEAP else pytest.param(name, marks=pytest.mark.slow) for name in structured()]


@pytest.mark.parametrize("name", TRAINED)
def test_it_trains_in_a_small_network(name):
    torch.manual_seed(0)
    module = make(name)
    model = nn.Sequential(nn.Linear(4, 12), module, nn.Linear(n_features_out(module, 12), 1))
    x = inputs(128, 4, dtype=torch.float32)
    target = (x[:, :1] * x[:, 1:2]).tanh()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(40):
        loss = (model(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) / 5 < 0.85 * losses[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("name", structured())
def test_compile_and_export(name):
    torch.compiler.reset()
    module, x = make(name), inputs(4, 6, dtype=torch.float32)
    training = torch.compile(copy.deepcopy(module), fullgraph=True)(x)
    assert training.shape == module(x).shape
    module.eval()
    assert torch.allclose(torch.compile(module, fullgraph=True)(x), module(x), atol=1e-6)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=2)},))
    larger = inputs(9, 6, dtype=torch.float32)
    assert torch.allclose(exported.module()(larger), module(larger), atol=1e-6)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: make("swiglu")(torch.zeros(2, 5)), "cannot take 5, an odd number; give the layer before it 6"),
        (lambda: make("glu")(torch.zeros(4)), "no dimension 1"),
        (lambda: make("glu", gate="sillu"), "did you mean 'silu'"),
        (lambda: make("maxout", n_pieces=4)(torch.zeros(2, 10)), "4 pieces cannot take 10 .* before it 12"),
        (lambda: make("maxout", n_pieces=1), "n_pieces is 1"),
        (lambda: make("crelu", channel_dim=2)(torch.zeros(2, 5)), "no dimension 2"),
        (lambda: make("rrelu", lower=0.5, upper=0.1), "lower=0.5 to upper=0.1"),
        (lambda: make("alpha_dropout", p=1.0), "p is 1.0"),
        (lambda: make("swiglu", gate="relu"), "swiglu has no setting 'gate'"),
        (lambda: make("swigluu"), "did you mean 'swiglu'"),
        (lambda: n_features_out(nn.ReLU(), 0), "n_features is 0"),
    ],
)
def test_misuse_gets_a_sentence(act, words):
    with pytest.raises(ActivationError, match=words):
        act()
