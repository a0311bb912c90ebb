"""LSUV on batches of data."""

import pytest
import torch
from torch import nn

from actsearch.errors import ActivationError
from actsearch.nn.init import initialise


def batch(*shape, seed=0):
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 1


def outputs_of(model, x):
    """Return the output of every weight layer for a batch, in order of use."""
    seen = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, output: seen.append(output))
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv1d)
    ]
    model.eval()(x)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Sigmoid, nn.Softplus])
def test_every_layer_has_variance_one(activation):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv1d(2, 8, 3), activation(), nn.Conv1d(8, 8, 3), activation(), nn.Dropout(), nn.Flatten(),
        nn.Linear(32, 16), activation(), nn.Linear(16, 4),
    )  # fmt: skip
    x = batch(64, 2, 8)
    report = initialise(model, x, method="lsuv", tolerance=1e-4)
    assert model.training
    assert (report.method, len(report.layers)) == ("lsuv", 4)
    for output in outputs_of(model, x):
        assert output.var().item() == pytest.approx(1, abs=2e-4)
    for row, layer in zip(report.layers, [model[0], model[2], model[6], model[8]], strict=True):
        assert row.deviation == pytest.approx(layer.weight.square().mean().sqrt().item(), rel=1e-5)
    assert report.layers[1].after == activation.__name__


def test_weights_stay_orthogonal():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 20))
    initialise(model, batch(50, 12), method="lsuv")
    wide, tall = model[0].weight.detach(), model[2].weight.detach().T
    for weight in (wide, tall):
        square = weight @ weight.T
        assert torch.allclose(square, square[0, 0] * torch.eye(6), atol=1e-4)


def test_a_layer_used_twice_is_scaled_once_and_one_never_used_is_left():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice, self.never = nn.Linear(5, 5), nn.Linear(5, 5)

        def forward(self, x):
            return self.twice(torch.relu(self.twice(x)))

    model, x = Net(), batch(64, 5)
    report = initialise(model, x, method="lsuv", tolerance=1e-4)
    assert [row.name for row in report.layers] == ["twice"]
    assert report.left == ("never",)
    assert model.twice(x).var().item() == pytest.approx(1, abs=2e-4)


def test_bad_input_gets_a_sentence():
    model = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(ActivationError, match="pass a batch as example"):
        initialise(model, method="lsuv")
    with pytest.raises(ActivationError, match=r"cannot scale '0'.*is 0; use a batch of several"):
        initialise(model, torch.zeros(4, 3), method="lsuv")
    assert not model[0]._forward_hooks
