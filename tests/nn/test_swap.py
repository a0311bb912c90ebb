"""Swapping activations of models as people write them."""

import copy
import pickle
import subprocess
import sys
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from actsearch.errors import ActivationError, SwapError
from actsearch.nn.activation import Activation
from actsearch.nn.swap import swap
from tests.nn import swap_models as models

VECTOR_MODELS = [models.Functional, models.Inherited, models.InPlace, models.Stored]
pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


def vector():
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(1))


def image():
    return torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(1))


def silu(x):
    return x * torch.sigmoid(x)


@pytest.mark.parametrize("kind", VECTOR_MODELS)
def test_every_place_is_replaced_and_computes_the_new_function(kind):
    model = kind()
    names = set(model.state_dict())
    assert swap(model, "silu") == kind.n_places
    assert type(model) is kind
    assert set(model.state_dict()) == names
    assert sum(isinstance(module, Activation) for module in model.modules()) == kind.n_places
    assert torch.allclose(model(vector()), model.expected(vector(), silu), atol=1e-6)
    with pytest.raises(SwapError, match="no activation"):
        swap(model, "gelu", old="elu")


@pytest.mark.parametrize("kind", VECTOR_MODELS)
def test_swapped_models_copy_and_pickle(kind):
    model = kind()
    swap(model, "x * sigmoid(beta[1.5] * x)")
    expected = model(vector())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(vector()), expected)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.zero_()
        # a copy that still called the original's submodules would not notice
        assert torch.equal(other(vector()), other.expected(vector(), lambda x: x * 0.5))
        assert torch.equal(model(vector()), expected)


@pytest.mark.parametrize("kind", VECTOR_MODELS)
def test_a_second_swap_reaches_all_places_again(kind):
    model = kind()
    swap(model, "silu")
    assert swap(model, "gelu") == kind.n_places
    assert torch.allclose(model(vector()), model.expected(vector(), F.gelu), atol=1e-6)
    assert swap(model, nn.Identity, old=["gelu"]) == kind.n_places
    assert torch.allclose(model(vector()), model.expected(vector(), lambda x: x), atol=1e-6)


def test_swapping_in_two_steps_keeps_the_first():
    model = models.Functional()
    assert swap(model, "x", old="relu") == 5
    assert swap(model, "x", old=["gelu", F.leaky_relu, nn.Mish, "SiLU"]) == 4
    assert torch.allclose(model(vector()), model.expected(vector(), lambda x: x), atol=1e-6)


@pytest.mark.parametrize("kind", [models.Functional, models.Stored])
def test_swapped_models_compile_and_export(kind):
    model = kind()
    swap(model, "x * sigmoid(beta[1.5] * x)")
    expected = model(vector())
    assert torch.allclose(torch.compile(model, fullgraph=True, backend="eager")(vector()), expected)
    if kind is models.Stored:
        exported = torch.export.export(model, (vector(),))
        assert torch.allclose(exported.module()(vector()), expected)


def test_private_and_inherited_code_compiles():
    model = models.Inherited()
    swap(model, "silu")
    assert torch.allclose(torch.compile(model, fullgraph=True, backend="eager")(vector()), model(vector()))


def test_gradients_flow_through_in_place_statements():
    model = models.InPlace()
    swap(model, "tanh")
    x = vector().double().requires_grad_()
    assert torch.autograd.gradcheck(model.double(), (x,))


def test_residual_network_keeps_checkpoints_and_weights():
    model, original = models.ResNet(), models.ResNet()
    original.load_state_dict(model.state_dict())
    assert swap(model, "gelu") == models.ResNet.n_places
    model.load_state_dict(original.state_dict(), strict=True)
    model.eval(), original.eval()
    assert not torch.allclose(model(image()), original(image()))
    swap(model, "relu")
    assert torch.allclose(model(image()), original(image()), atol=1e-6)
    buffer = pickle.dumps(model)
    assert torch.equal(pickle.loads(buffer)(image()), model(image()))


def test_learnable_places_have_parameters_of_their_own_that_train():
    model = models.ResNet()
    n_before = len(list(model.parameters()))
    swap(model, "x * sigmoid(beta[1.0] * x)")
    assert len(list(model.parameters())) == n_before + models.ResNet.n_places
    assert {name for name in model.state_dict() if "beta" in name} == {
        "stem.2.beta",
        "blocks.0.relu.beta",
        "blocks.0.activation_0.beta",
        "blocks.1.relu.beta",
        "blocks.1.activation_0.beta",
        "activation_0.beta",
    }
    model(image()).square().sum().backward()
    assert all(parameter.grad is not None for name, parameter in model.named_parameters() if "beta" in name)


def test_lazy_channels_find_their_number_at_each_place():
    model = models.ResNet()
    swap(model, "max(x, a[0.1, channel] * x)")
    model(image())
    assert model.blocks[0].activation_0.n_channels == 4


def test_dtype_device_and_mode_follow_the_model():
    model = models.ResNet().double().eval()
    swap(model, "x * sigmoid(beta[1.0] * x)")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}
    assert not any(module.training for module in model.modules())


def test_transformer_layers_leave_their_fused_path():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    x, padding = torch.randn(3, 5, 8), torch.zeros(3, 5, dtype=torch.bool)
    padding[:, 4] = True
    before = model(x, src_key_padding_mask=padding)
    assert swap(model, "tanh") == 2
    with torch.no_grad():
        fast = model(x, src_key_padding_mask=padding)
    slow = model(x, src_key_padding_mask=padding)
    assert torch.allclose(fast, slow, atol=1e-6)
    assert not torch.allclose(fast[:, :4], before[:, :4], atol=1e-3)
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))


def test_attention_and_recurrent_gates_are_left_alone():
    model = nn.Sequential(nn.LSTM(4, 4), nn.MultiheadAttention(4, 2))
    with pytest.raises(SwapError, match="it has none that is known"):
        swap(model, "silu")


def test_gates_are_named_when_nothing_was_replaced():
    with pytest.raises(SwapError, match=r"Gates was replaced: it has sigmoid, tanh \(2 places\); name what .* old="):
        swap(models.Gates(), "silu")
    model = models.Gates()
    assert swap(model, nn.Identity, old=("tanh", torch.sigmoid)) == 3
    assert torch.equal(model(vector()), vector() ** 3)


def test_activations_of_ones_own_are_named_by_class_and_function():
    with pytest.raises(SwapError, match="sigmoid"):
        swap(models.Own(), "relu")
    model = models.Own()
    assert swap(model, nn.Identity, old=[models.Swish, models.my_swish]) == 2
    assert torch.equal(model(vector()), vector())
    assert swap(model, "relu", old=nn.Identity) == 2
    assert torch.equal(model(vector()), F.relu(vector()))


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (models.Dynamic, "getattr(F, name)"),
        (models.DynamicTable, "self.table[name]"),
        (models.DefaultArgument, "default of an argument"),
        (models.StoredLambda, "make it a method"),
        (models.LostDecorator, "the decorator `tagged(tag)` of LostDecorator.forward cannot be applied again"),
    ],
)
def test_a_line_that_cannot_be_followed_is_named_and_nothing_changes(kind, line):
    model = nn.Sequential(kind(), nn.ReLU())
    with pytest.raises(SwapError, match=r"swap_models\.py:\d+") as error:
        swap(model, "silu")
    assert line in str(error.value)
    assert isinstance(model[1], nn.ReLU)


def test_scripted_models_are_refused_and_scripted_parts_without_activations_are_not():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
        harmless = torch.jit.script(nn.Linear(2, 2))
    with pytest.raises(SwapError, match=r"0 is a scripted module .* it computes relu; swap before scripting"):
        swap(nn.Sequential(scripted), "silu")
    assert swap(nn.Sequential(harmless, nn.ReLU()), "silu") == 1


def test_code_without_source_is_named():
    names = {"nn": nn, "F": F, "__name__": "typed_at_a_prompt"}
    exec(
        "class Hidden(nn.Module):\n    def forward(self, x):\n        return F.relu(x)\n",
        names,
    )
    with pytest.raises(SwapError, match=r"source of Hidden\.forward cannot be read .* names relu"):
        swap(names["Hidden"](), "silu")


def test_one_instance_under_several_names_becomes_several():
    shared = nn.PReLU()
    model = nn.Sequential(nn.Linear(2, 2), shared, nn.Linear(2, 2), shared)
    assert swap(model, nn.PReLU()) == 2
    assert model[1] is not model[3]
    block = models.Block(2)
    assert swap(nn.Sequential(block, block), "silu") == 2


def test_new_may_be_a_module_a_class_or_a_factory():
    for new in (nn.Tanh(), nn.Tanh, lambda: nn.Tanh()):
        model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.GELU())
        assert swap(model, new) == 2
        assert isinstance(model[1], nn.Tanh)
        assert model[1] is not model[2]


def test_wrong_arguments_are_told_before_the_model_changes():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    for new, message in [
        ("sillu", "did you mean 'silu'"),
        (3, "neither"),
        (F.relu, "cannot be called without arguments"),
        (dict, "gave dict"),
    ]:
        with pytest.raises((SwapError, ActivationError), match=message):
            swap(model, new)
    for old, message in [("rellu", "did you mean 'relu'"), (3, "names no activation"), ([None], "names no activation")]:
        with pytest.raises(SwapError, match=message):
            swap(model, "silu", old=old)
    with pytest.raises(SwapError, match="itself an activation"):
        swap(nn.ReLU(), "silu")
    with pytest.raises(SwapError, match=r"must be an nn\.Module"):
        swap(nn.ReLU, "silu")
    assert isinstance(model[1], nn.ReLU)


def test_a_factory_that_fails_leaves_the_model_alone():
    model = models.ResNet()
    before = repr(model)
    made = []

    def factory():
        made.append(nn.Tanh())
        if len(made) > 3:
            raise RuntimeError("no more")
        return made[-1]

    with pytest.raises(RuntimeError, match="no more"):
        swap(model, factory)
    assert repr(model) == before
    assert "forward" not in vars(model)


def test_torchs_random_state_is_left_alone():
    model = models.ResNet()
    before = torch.get_rng_state()
    swap(model, "x * sigmoid(beta[1.0] * x)")
    assert torch.equal(torch.get_rng_state(), before)


def test_traced_graphs_are_edited():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 6)

        def forward(self, x):
            return torch.tanh(F.relu(self.layer(x), inplace=True).relu())

    model = torch.fx.symbolic_trace(Net())
    assert swap(model, "silu") == 2
    expected = torch.tanh(silu(silu(model.layer(vector()))))
    assert torch.allclose(model(vector()), expected, atol=1e-6)
    assert torch.allclose(pickle.loads(pickle.dumps(model))(vector()), expected, atol=1e-6)


@pytest.mark.slow
def test_a_class_of_a_notebook_survives_into_another_process(tmp_path):
    source = "class Cell(nn.Module):\n    def forward(self, x):\n        return F.relu(x)\n"
    program = f"""
import linecache, pickle, sys, types
import torch
from torch import nn
import torch.nn.functional as F
import actsearch

module = types.ModuleType("cell")
module.__dict__.update(nn=nn, F=F)
sys.modules["cell"] = module
exec(compile({source!r}, "<cell 1>", "exec"), module.__dict__)
if sys.argv[1] == "write":
    linecache.cache["<cell 1>"] = (1, None, {source!r}.splitlines(True), "<cell 1>")
    model = module.Cell()
    assert actsearch.swap(model, "silu") == 1
    pickle.dump(model, open({str(tmp_path / "model")!r}, "wb"))
else:
    model = pickle.load(open({str(tmp_path / "model")!r}, "rb"))
    assert torch.allclose(model(torch.ones(1)), F.silu(torch.ones(1)))
"""
    for step in ("write", "read"):
        subprocess.run([sys.executable, "-c", program, step], check=True)


def test_lightning_modules_keep_their_hooks():
    from lightning.pytorch import LightningModule
    from lightning.pytorch.utilities.model_helpers import is_overridden

    class Lit(LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 6)

        def forward(self, x):
            return F.relu(self.layer(x))

        def training_step(self, batch, index):
            return self.encode(batch).sum()

        def encode(self, x):
            return self(x).relu()

    model = Lit()
    assert swap(model, "silu") == 2
    assert is_overridden("training_step", model)
    assert torch.allclose(model.training_step(vector(), 0), silu(silu(model.layer(vector()))).sum())
