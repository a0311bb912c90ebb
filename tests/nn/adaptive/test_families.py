"""What every elementwise family promises: its start, its formula, its granularities, its gradients."""

import copy
import pickle

import numpy as np
import pytest
import torch

from actsearch import plugins
from actsearch.errors import ActivationError, ActsearchError
from actsearch.expr import catalog
from actsearch.expr.family import Family, read_family
from actsearch.expr.program import evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.nn.activation import Activation
from actsearch.nn.adaptive._make import canonical, family_file
from actsearch.nn.make import families, make
from actsearch.nn.swap import swap
from actsearch.testing import check_activation

ELEMENTWISE = [name for name in families() if hasattr(family_file(name), "formula")]
GRANULARITIES = ("layer", "channel", "group", "shared")
# every family with every granularity, of which the default tests take a few
ALL = [
    pytest.param(name, granularity, marks=() if granularity == "group" or name == "rational" else pytest.mark.slow)
    for name in ELEMENTWISE
    for granularity in GRANULARITIES
]
ALSO_ROWS = [name for name in ELEMENTWISE if name in catalog.names()]
X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def made(name: str, **settings) -> Activation:
    module = make(Family(name), **{"backend": "reference", "n_channels": 4, **settings}).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # away from the start, where all channels are alike
        for parameter in module.parameters():
            parameter += 0.1 * torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
    return module


def test_every_family_of_the_plan_is_there():
    assert {"rational", "swish_beta", "prelu", "apl", "acon_c", "snake", "mixture", "pwlu", "b_spline", "hermite",
            "fourier"} <= set(ELEMENTWISE)  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_it_starts_where_it_says(name):
    module = make(Family(name), n_channels=1, backend="reference").double()
    formula = module.formula
    x = torch.linspace(formula.low, formula.high, 2001, dtype=torch.float64)[:, None]
    start = evaluate(lower(formula.start), x.numpy())
    # parameters are float32 when they are made
    assert np.abs(module(x).detach().numpy() - start).max() <= formula.max_error + 1e-6 * np.abs(start).max()
    assert f"{formula.max_error:.2g}" in repr(module)


@pytest.mark.parametrize(("name", "granularity"), ALL)
def test_the_learned_expressions_are_the_module(name, granularity):
    module = made(name, granularity=granularity, n_groups=2 if granularity == "group" else None)
    learned = module.to_expr()
    if granularity in ("layer", "shared"):
        columns = [learned] * 4
    else:
        assert len(learned) == {"channel": 4, "group": 2}[granularity]
        columns = [learned[channel * len(learned) // 4] for channel in range(4)]
    values = np.stack([evaluate(lower(expr), X[:, i].numpy()) for i, expr in enumerate(columns)], axis=1)
    assert np.allclose(module(X).detach().numpy(), values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ALSO_ROWS)
def test_a_row_of_the_catalog_of_that_name_is_the_family_as_it_starts(name):
    assert make(name, n_channels=4).expr == make(Family(name), n_channels=4).expr


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in ("rational", "apl") else pytest.mark.slow) for name in ELEMENTWISE],
)
def test_gradients_of_first_and_second_order(name):
    module = made(name, n_channels=2)
    x = X[:2, :2].clone().requires_grad_()
    parameters = tuple(module.parameters())

    def call(x, *values):
        named = dict(zip([key for key, _ in module.named_parameters()], values, strict=True))
        return torch.func.functional_call(module, named, (x,))

    assert torch.autograd.gradcheck(call, (x, *parameters), fast_mode=True)
    assert torch.autograd.gradgradcheck(call, (x, *parameters), fast_mode=True)


@pytest.mark.parametrize("name", ["rational", "b_spline", "mixture"])
def test_channels_last_is_channels_first_turned(name):
    first = made(name, granularity="channel")
    last = made(name, granularity="channel", channel_dim=-1)
    assert torch.equal(last(X.T.reshape(1, 4, 3).transpose(1, 2)), first(X)[None])


def test_groups_are_neighbouring_channels():
    grouped, single = made("rational", granularity="group", n_groups=2), made("rational", granularity="channel")
    for (_, two), (_, four) in zip(grouped.named_parameters(), single.named_parameters(), strict=True):
        four.data = two.data.repeat_interleave(2)
    assert torch.equal(grouped(X), single(X))


def test_parameters_per_channel_wait_for_the_first_input():
    module = make("rational", granularity="channel", backend="reference")
    assert torch.equal(module(torch.zeros(2, 5))[0], module(torch.zeros(1, 5))[0])
    assert (type(module).__name__, module.n_channels, module.a0.shape) == ("Adaptive", 5, (5,))


@pytest.mark.parametrize("name", ["rational", "pwlu"])
@pytest.mark.parametrize("granularity", ["channel", "group"])
def test_copies_state_and_types(name, granularity):
    module = made(name, granularity=granularity, n_groups=2 if granularity == "group" else None)
    other = make(Family(name), granularity=granularity, n_groups=module.n_groups, n_channels=4, backend="reference")
    other.double().load_state_dict(module.state_dict())
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), other):
        assert torch.equal(twin(X), module(X))
        assert repr(twin) == repr(module)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert module.to(dtype)(X.to(dtype)).dtype == dtype


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_normalised_it_starts_with_mean_zero_and_variance_one(name):
    from actsearch.expr.moments import moments

    found = moments(make(Family(name), normalise=True, backend="reference", n_channels=1).expr)
    assert (found.mean, found.mean_square) == pytest.approx((0, 1), abs=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # tracing does what torch itself deprecates
@pytest.mark.parametrize("granularity", ["layer", "channel", "group"])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_compiled_and_exported(name, granularity):
    module = made(name, granularity=granularity, n_groups=2 if granularity == "group" else None)
    torch._dynamo.reset()
    # Inductor's compiler takes ten seconds a function, and what is told from family to family is the graph
    compiled = torch.compile(module, fullgraph=True, backend="inductor" if name == "rational" else "aot_eager")
    x = X.clone().requires_grad_()
    slope, same = (torch.autograd.grad(f(x).sum(), x)[0] for f in (module, compiled))
    assert torch.allclose(compiled(X), module(X))
    assert torch.allclose(slope, same)
    assert torch.allclose(torch.export.export(module, (X,)).module()(X), module(X))


@pytest.mark.slow
@pytest.mark.parametrize("name", ALSO_ROWS)
def test_the_public_suite_where_the_bare_name_is_a_row(name):
    check_activation(lambda: make(Family(name)))


def test_settings_by_text_and_by_keyword_are_one():
    by_text, by_keyword = make("rational(degrees=(3, 2), start=gelu)"), make("rational", degrees=(3, 2), start="gelu")
    assert by_text.text == by_keyword.text
    assert make("rational(start=gelu)", degrees=(3, 2)).text == by_text.text
    assert read_family(by_text.family) == Family("rational", {"degrees": (3, 2), "start": "gelu"})


def test_one_text_for_one_set_of_settings():
    long = read_family("rational(version=A, start=leaky_relu, granularity=channel, degrees=(3, 2))")
    assert canonical(long).text == "rational(degrees=(3, 2), granularity=channel)"
    assert canonical(read_family("dynamic_relu(n_pieces=3, variant=B)")).name == "dynamic_relu"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rationl()", "did you mean 'rational'"),
        ("rational(degree=(5, 4))", "did you mean 'degrees'"),
        ("rational(granularity=chanel)", "did you mean 'channel'"),
        ("rational(granularity=group)", "needs n_groups"),
        ("rational(n_groups=2)", "has no n_groups"),
        ("mixture(bases=(relu,))", "2 to 12 functions"),
        ("mixture(bases=(relu, tanh), weights=(0.5, 0.6))", "the sum 1.1"),
        ("mixture(bases=(relu, tanh), weights=(1.5, -0.5))", "above 0"),
        ("mixture(combination=concave)", "did you mean 'convex'"),
        ("pwlu(n_pieces=1)", "n_pieces=1"),
        ("pwlu(low=2, high=1)", "the range from low=2 to high=1 is empty"),
        ("b_spline(start=log(x))", "not finite at -4"),
        ("b_spline(n_pieces=True)", "n_pieces=True"),
        ("hermite(degree=0)", "the whole|whole number from 1 to 8"),
        ("swish_beta(gamma=1)", "no setting 'gamma'"),
        ("snake(frequency=-1)", "positive"),
    ],
)
def test_wrong_settings_get_one_sentence(text, message):
    with pytest.raises(ActsearchError, match=message) as caught:
        make(text)
    assert "\n" not in str(caught.value)


def test_channels_that_groups_cannot_share():
    with pytest.raises(ActivationError, match="divisors of 4"):
        make("apl(granularity=group, n_groups=3)", backend="reference")(torch.zeros(2, 4))


def test_hermite_and_fourier_have_unit_gain_forward_and_backward():
    from actsearch.expr.moments import moments

    for name in ("hermite", "fourier"):
        for degree in (1, 2, 5):
            found = moments(make(Family(name, {"degree": degree}), backend="reference").expr)
            assert (found.mean_square, found.derivative_mean_square) == pytest.approx((1, 1), abs=1e-5)


def test_an_affine_mixture_is_where_its_weights_say():
    weights = (1.5, -0.75, 0.25)
    module = make("mixture", bases=("relu", "tanh", "x"), combination="affine", weights=weights).double()
    expected = sum(w * f for w, f in zip(weights, (X.relu(), X.tanh(), X), strict=True))
    assert torch.allclose(module(X), expected, atol=1e-6)


def test_a_convex_mixture_stays_convex_and_finite_at_extreme_logits():
    module = make("mixture", bases=("relu", "tanh", "x"), backend="reference")
    with torch.no_grad():
        module.l0 += 200.0
    x = X.float().requires_grad_()
    y = module(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert torch.allclose(y, x.relu(), atol=1e-5)
    assert torch.isfinite(slope).all()


def test_the_folder_is_found_by_listing():
    assert set(families()) == set(plugins.names("actsearch.nn.adaptive"))


@pytest.mark.parametrize("name", [name for name in families() if not hasattr(family_file(name), "formula")])
def test_a_family_that_is_no_formula_starts_where_it_says_and_can_be_normalised(name):
    plain, normalised = (make(name, n_channels=3, normalise=flag).double().eval() for flag in (False, True))
    x = torch.randn(200_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = evaluate(lower(to_expr(family_file(name).START)), x[:2000].numpy())
    assert np.allclose(plain(x[:2000]).detach().numpy(), start, atol=1e-6)
    y = normalised(x)
    assert (y.mean().item(), y.std().item()) == pytest.approx((0, 1), abs=0.01)
    check_activation(lambda: make(name, normalise=True))


def test_swapping_in_a_shared_family_puts_one_module_everywhere():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2), torch.nn.ReLU())
    one, many = copy.deepcopy(model), copy.deepcopy(model)
    assert swap(one, "rational(start=gelu, granularity=shared)") == swap(many, "rational(start=gelu)") == 2
    assert one[1] is one[3]
    assert many[1] is not many[3]
    assert sum(p.numel() for p in one.parameters()) == sum(p.numel() for p in many.parameters()) - 10
    again = copy.deepcopy(one)
    assert again[1] is again[3]
