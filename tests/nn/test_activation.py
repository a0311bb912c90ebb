"""The activation module: parameters, constraints, channels, and every way torch moves a module about."""

import copy
import pickle

import pytest
import sympy
import torch
from torch import nn
from torch.func import functional_call, stack_module_state

from actsearch.errors import ActivationError
from actsearch.expr.text import parse
from actsearch.nn.activation import Activation
from actsearch.nn.lazy import LazyActivation
from actsearch.nn.make import make

SWISH = "x * sigmoid(beta[1.5] * x)"
PER_CHANNEL = "max(x, slope[0.25, real, channel] * x)"
MIXED = "scale[0.5, positive] * tanh(x) + mix[0.3, unit, channel] * x"


def points(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3))


def test_parameters_stand_under_their_names_and_get_gradients():
    module = Activation(SWISH)
    assert {name: value.item() for name, value in module.named_parameters()} == {"beta": 1.5}
    x = points(4, 3)
    module(x).sum().backward()
    swish = x * torch.sigmoid(module.beta.detach() * x)
    expected = (x * swish * (1 - torch.sigmoid(1.5 * x))).sum()
    assert module.beta.grad == pytest.approx(expected.item(), rel=1e-5)
    assert torch.allclose(module(x), swish)


def test_constrained_parameters_are_trained_raw_and_read_constrained():
    module = Activation("scale[0.5, positive] * tanh(x) + mix[0.3, unit] * x")
    assert set(module.state_dict()) == {"raw_mix", "raw_scale"}
    assert module.scale.item() == pytest.approx(0.5)
    assert module.mix.item() == pytest.approx(0.3)
    with torch.no_grad():
        module.raw_scale.fill_(-50.0)
        module.raw_mix.fill_(4.0)
    assert 0 < module.scale.item() < 1e-20
    assert 0.9 < module.value("mix").item() < 1
    with pytest.raises(ActivationError, match=r"no parameter 'mux' \(its parameters: mix, scale\)"):
        module.value("mux")
    with pytest.raises(AttributeError):
        module.mux  # noqa: B018


@pytest.mark.parametrize("start", [1e-6, 0.5, 1.0, 40.0, 900.0])
def test_a_positive_parameter_starts_where_it_was_told(start):
    assert Activation(f"a[{start}, positive] * x").double().a.item() == pytest.approx(start, rel=1e-5)


def test_a_parameter_named_like_a_module_method_gets_an_underscore():
    module = Activation("train[2.0] * x + half[3.0, positive]")
    assert set(module.state_dict()) == {"train_", "raw_half_"}
    assert module.train() is module
    assert module.half_.item() == pytest.approx(3.0)


def test_channels_along_any_dimension():
    slopes = torch.tensor([0.0, 1.0, 2.0])
    for shape, dim in [((5, 3), 1), ((2, 3, 4, 4), 1), ((2, 7, 3), -1), ((3,), 0)]:
        module = make(PER_CHANNEL, n_channels=3, channel_dim=dim)
        with torch.no_grad():
            module.slope.copy_(slopes)
        x = points(*shape)
        along = torch.movedim(torch.maximum(torch.movedim(x, dim, -1), slopes * torch.movedim(x, dim, -1)), -1, dim)
        assert torch.equal(module(x), along)


def test_channels_that_do_not_match_are_told_with_the_fix():
    module = make(PER_CHANNEL, n_channels=64)
    with pytest.raises(ActivationError, match=r"32 channels .*parameters for 64; make it with n_channels=32"):
        module(torch.zeros(2, 32, 8))
    with pytest.raises(ActivationError, match=r"n_channels=10 or channel_dim=2"):
        module(torch.zeros(2, 10, 64))
    with pytest.raises(ActivationError, match=r"shape \(64,\) and so no dimension 1"):
        module(torch.zeros(64))
    with pytest.raises(ActivationError, match=r"shape \(64,\) and so no dimension 1"):
        make(PER_CHANNEL)(torch.zeros(64))
    with pytest.raises(ActivationError, match="n_channels is 0"):
        make(PER_CHANNEL, n_channels=0)


def test_lazy_channels_follow_the_first_input():
    module = make(MIXED)
    assert type(module) is LazyActivation
    assert isinstance(module.raw_mix, nn.UninitializedParameter)
    assert "n_channels=None" in repr(module)
    optimiser = torch.optim.Adam(module.parameters())
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), module.double()):
        x = points(2, 6).to(other.raw_scale.dtype)
        y = other(x)
        assert type(other) is Activation
        assert other.raw_mix.shape == (6,)
        assert other.raw_mix.dtype == x.dtype
        assert other.mix.tolist() == pytest.approx([0.3] * 6)
        assert torch.allclose(y, 0.5 * torch.tanh(x) + 0.3 * x)
    module(points(2, 6).double()).sum().backward()
    optimiser.step()
    assert module.mix[0].item() != pytest.approx(0.3, abs=1e-6)


def test_lazy_state_dict_in_all_four_directions():
    known, other = make(MIXED, n_channels=5), make(MIXED)
    with torch.no_grad():
        known.raw_mix.copy_(torch.arange(5.0))
    other.load_state_dict(known.state_dict())
    assert torch.equal(other.raw_mix, torch.arange(5.0))
    x = points(2, 5)
    assert torch.equal(other(x), known(x))
    fresh = make(MIXED)
    fresh.load_state_dict(make(MIXED).state_dict())
    assert fresh(points(2, 4)).shape == (2, 4)
    with pytest.raises(RuntimeError, match="size mismatch"):
        make(MIXED, n_channels=4).load_state_dict(known.state_dict())


def test_to_expr_holds_what_was_learned():
    module = Activation(SWISH)
    with torch.no_grad():
        module.beta.fill_(0.1)
    assert module.to_expr() == parse("x * sigmoid(0.1 * x)")
    assert parse(module.learned) == module.to_expr()
    assert Activation("gelu").to_expr() == parse("gelu(x)")
    per_channel = make(PER_CHANNEL, n_channels=3).double()
    with torch.no_grad():
        per_channel.slope.copy_(torch.tensor([0.0, 0.5, 1.0]))
    expected = [parse(f"max(x, {slope} * x)") for slope in (0.0, 0.5, 1.0)]
    assert [e.subs("x", -2.0).evalf() for e in per_channel.to_expr()] == [e.subs("x", -2.0).evalf() for e in expected]
    assert parse(per_channel.learned) == parse("max(x, 0.5 * x)")
    with pytest.raises(ActivationError, match="has seen no input yet"):
        make(PER_CHANNEL).to_expr()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_learned_values_round_to_the_parameters_in_their_dtype(dtype):
    module = Activation(SWISH).to(dtype)
    with torch.no_grad():
        module.beta.fill_(1 / 3)
    (number,) = module.to_expr().atoms(sympy.Float)
    assert torch.tensor(float(number), dtype=dtype) == module.beta


def test_repr_shows_the_formula():
    assert repr(Activation("silu")) == "Activation(silu(x))"
    assert f"{make(PER_CHANNEL).text}, n_channels=None" in repr(make(PER_CHANNEL))
    assert "n_channels=8, channel_dim=1" in repr(make(PER_CHANNEL, n_channels=8))


@pytest.mark.parametrize("spec", ["gelu", SWISH, PER_CHANNEL, MIXED])
def test_building_leaves_torchs_random_state_alone(spec):
    before = torch.get_rng_state()
    module = make(spec)
    module(torch.ones(2, 3))
    make(spec, normalise=True, n_channels=4)
    assert torch.equal(torch.get_rng_state(), before)


# torch's compiler makes an instance of an autograd function, of which torch's autograd warns
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("spec", [SWISH, MIXED])
def test_transforms_compile_and_export(spec):
    module = make(spec, n_channels=3)
    x = points(5, 3)
    expected = module(x)
    values = {name: value.detach() * 2 for name, value in module.named_parameters()}
    doubled = copy.deepcopy(module)
    doubled.load_state_dict(values)
    assert torch.allclose(functional_call(module, values, (x,)), doubled(x))
    params, buffers = stack_module_state([module, doubled])
    both = torch.func.vmap(lambda p, b: functional_call(module, (p, b), (x,)))(params, buffers)
    assert torch.allclose(both, torch.stack([expected, doubled(x)]))
    assert torch.allclose(torch.compile(module, fullgraph=True, backend="eager")(x), expected)
    assert torch.allclose(torch.export.export(module, (x,)).module()(x), expected)


def test_autocast_and_half_inputs_keep_their_type():
    module = make(MIXED, n_channels=3)
    assert module(points(4, 3).half()).dtype == torch.float16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert nn.Sequential(nn.Linear(3, 3), module)(points(4, 3)).dtype == torch.bfloat16
