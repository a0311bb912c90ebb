"""Dynamic ReLU and Meta-ACON: against plain references, at their starts, through torch's tools, and misused."""

import copy
import pickle

import pytest
import torch
from torch import nn

from actsearch import testing
from actsearch.errors import ActivationError
from actsearch.nn.adaptive.dynamic_relu import DynamicReLU
from actsearch.nn.adaptive.meta_acon import MetaACON
from actsearch.nn.make import make
from tests.nn import context_reference as reference

SHAPES = [(3, 6), (3, 6, 5), (3, 6, 4, 3), (2, 6, 3, 2, 2)]
VARIANTS = ["A", "B", "C"]


def shaken(module, seed=0):
    """Move every parameter off its start, so that coefficients differ between examples and channels."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    return module


def inputs(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def modules(n_channels=6):
    return [*(DynamicReLU(n_channels, variant) for variant in VARIANTS), MetaACON(n_channels, reduction=4)]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_dynamic_relu_is_relu_at_its_start(variant, shape):
    x = inputs(*shape).index_fill(0, torch.tensor([0]), 0.0).requires_grad_()
    module = make("dynamic_relu", variant=variant)
    y = module(x)
    assert torch.allclose(y, x.relu(), atol=1e-7)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert torch.allclose(slope, (x > 0).float(), atol=1e-6)


@pytest.mark.parametrize("n_pieces", [2, 4])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_dynamic_relu_is_the_formula_of_the_paper(variant, shape, n_pieces):
    module = shaken(DynamicReLU(6, variant, n_pieces=n_pieces, reduction=2, lambda_a=0.7, lambda_b=0.3))
    x = inputs(*shape)
    state = module.state_dict()
    assert state["squeeze_weight"].shape == (3, 6)
    assert len(state["excite_bias"]) == 2 * n_pieces * (1 if variant == "A" else 6)
    expected = reference.dynamic_relu(x, state, variant=variant, n_pieces=n_pieces, lambda_a=0.7, lambda_b=0.3)
    assert torch.allclose(module(x), expected, atol=1e-5)


def test_gradients_of_all_parameters_are_those_of_the_reference():
    module = shaken(DynamicReLU(6, "C", reduction=2)).double()
    x = inputs(3, 6, 5, dtype=torch.float64).requires_grad_()
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in module.named_parameters()}
    expected = reference.dynamic_relu(x, leaves, variant="C", n_pieces=2)
    ours = torch.autograd.grad(module(x).square().sum(), [x, *module.parameters()])
    theirs = torch.autograd.grad(expected.square().sum(), [x, *leaves.values()])
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_pieces_that_start_equal_part():
    module = DynamicReLU(4, n_pieces=3)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    module(inputs(8, 4) - 1).square().sum().backward()
    module(inputs(8, 4) - 1).sum().backward()
    optimizer.step()
    _, second, third, *_ = module.coefficients(inputs(8, 4))
    assert not torch.allclose(second, third)


def test_meta_acon_is_the_formula_of_the_paper():
    for shape in SHAPES:
        module, x = shaken(MetaACON(6)), inputs(*shape)
        assert torch.allclose(module(x), reference.meta_acon(x, module.state_dict()), atol=1e-5)


def test_meta_acon_starts_as_a_swish_and_keeps_statistics():
    module, x = make("meta_acon"), inputs(64, 6)
    assert torch.allclose(module(x), x * torch.sigmoid(x / 2), atol=1e-6)
    shaken(module)
    for _ in range(80):
        module(x)
    trained = module(x)
    # running variances are unbiased, batch variances are not: with 64 examples they differ by 1.6 %, twice
    assert torch.allclose(module.eval()(x), trained, atol=0.06)
    assert not torch.equal(module.squeeze_norm_mean, torch.zeros(16))
    assert torch.allclose(module(x[:1]), module(x)[:1], atol=1e-6)  # in evaluation an example stands for itself


@pytest.mark.parametrize("name", ["dynamic_relu", "meta_acon"])
def test_channels_last_is_channels_first_transposed(name):
    first = shaken(make(name, n_channels=6))
    last = make(name, n_channels=6, channel_dim=-1)
    last.load_state_dict(first.state_dict())
    x = inputs(4, 6, 5)
    assert torch.allclose(last(x.transpose(1, 2)).transpose(1, 2), first(x), atol=1e-6)


@pytest.mark.parametrize("settings", [{"variant": v} for v in VARIANTS] + [{}], ids=str)
def test_the_public_suite(settings):
    name = "dynamic_relu" if settings else "meta_acon"
    testing.check_activation(lambda: make(name, **settings))
    testing.check_activation(lambda: make(name, n_channels=4, **settings))


@pytest.mark.parametrize("module", modules(2), ids=lambda module: f"{type(module).__name__}{module.extra_repr()[:2]}")
def test_second_derivatives(module):
    module = shaken(copy.deepcopy(module)).double()
    x = inputs(2, 2, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradgradcheck(module, (x,))


@pytest.mark.parametrize("name", ["dynamic_relu", "meta_acon"])
def test_a_lazy_module_loads_a_state_and_draws_the_same_again(name):
    trained = shaken(make(name, n_channels=6))
    lazy = make(name)
    lazy.load_state_dict(trained.state_dict())
    x = inputs(4, 6, 3)
    assert torch.equal(lazy(x), trained(x))
    assert lazy.n_channels == 6
    assert type(lazy) is type(trained)
    again, other = make(name), make(name, seed=1)
    again(x), other(x)
    assert torch.equal(again.squeeze_weight, make(name, n_channels=6).squeeze_weight)
    assert not torch.equal(again.squeeze_weight, other.squeeze_weight)
    for another in (copy.deepcopy(make(name)), pickle.loads(pickle.dumps(make(name)))):
        assert type(another) is type(make(name))
        assert torch.equal(another(x), again(x))


@pytest.mark.slow
@pytest.mark.parametrize("module", modules(), ids=lambda module: f"{type(module).__name__}{module.extra_repr()[:2]}")
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3, 3)], ids=str)
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_compile_and_export(module, shape):
    torch.compiler.reset()
    module = shaken(copy.deepcopy(module)).eval()
    x = inputs(*shape)
    compiled = torch.compile(module, fullgraph=True, backend="inductor")
    assert torch.allclose(compiled(x), module(x), atol=1e-5)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=2)},))
    larger = inputs(7, *shape[1:])
    assert torch.allclose(exported.module()(larger), module(larger), atol=1e-5)


def test_it_learns_what_relu_cannot():
    """A channel-wise target max(0.5 x, -x): dynamic ReLU has the slopes, a fixed relu has not."""
    x = inputs(256, 4)
    target = torch.maximum(0.5 * x, -x)
    module = DynamicReLU(4)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    losses = []
    for _ in range(90):
        loss = (module(x) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx((x.relu() - target).square().mean().item(), rel=1e-5)
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize(
    ("make_it", "shape", "words"),
    [
        (lambda: DynamicReLU(4, "b"), None, "no variant 'b'.*did you mean 'B'"),
        (lambda: DynamicReLU(4, n_pieces=1), None, "n_pieces is 1; dynamic_relu has from 2 to 6"),
        (lambda: DynamicReLU(4, reduction=0), None, "reduction is 0"),
        (lambda: MetaACON(4, reduction=0), None, "reduction is 0"),
        (lambda: DynamicReLU(0), None, "n_channels is 0"),
        (lambda: DynamicReLU(4), (2, 5, 4), "the input has 5 channels .* parameters for 4"),
        (lambda: DynamicReLU(4), (4,), "no dimension 1"),
        (lambda: make("dynamic_relu", channel_dim=-2), (4, 3), "dimension 0 is the batch"),
        (lambda: MetaACON(4), (1, 4), "cannot be trained on one example at a time"),
        (lambda: make("dynamic_relu", kind="A"), None, "dynamic_relu has no setting 'kind'"),
        (lambda: make("dynamic_rel"), None, "did you mean 'dynamic_relu'"),
    ],
)
def test_misuse_gets_a_sentence(make_it, shape, words):
    with pytest.raises(ActivationError, match=words):
        make_it()(torch.zeros(shape))


def test_swap_puts_one_into_a_network():
    from actsearch.nn.swap import swap

    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 8, 3), nn.ReLU())
    assert swap(model, "dynamic_relu") == 2
    x = inputs(2, 1, 8, 8)
    y = model(x)
    assert (model[1].n_channels, model[3].n_channels) == (4, 8)
    assert torch.allclose(y, nn.Sequential(model[0], nn.ReLU(), model[2], nn.ReLU())(x), atol=1e-6)
