"""Layers that compute for a whole stack give what torch.func.vmap makes of torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from actsearch.compiler import c_op
from actsearch.tasks import _population_layers
from actsearch.tasks._population_layers import take_over

LAYERS = {
    "linear": (lambda: nn.Linear(5, 3), (7, 5)),
    "linear, wider": (lambda: nn.Linear(40, 18), (33, 40)),
    "linear, no bias": (lambda: nn.Linear(5, 3, bias=False), (7, 5)),
    "linear on a sequence": (lambda: nn.Linear(5, 3), (4, 7, 5)),
    "linear on one example": (lambda: nn.Linear(5, 3), (5,)),
    "linear on no example": (lambda: nn.Linear(5, 3), (0, 5)),
    "norm": (lambda: nn.LayerNorm(5), (7, 5)),
    "norm, wider": (lambda: nn.LayerNorm(67), (9, 67)),
    "norm, no bias": (lambda: nn.LayerNorm(5, bias=False), (7, 5)),
    "norm over two dimensions": (lambda: nn.LayerNorm((7, 5)), (4, 7, 5)),
    "norm, no weights": (lambda: nn.LayerNorm(5, elementwise_affine=False), (7, 5)),
}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


def agree(layer: nn.Module, shape: tuple[int, ...], is_shared: bool, *others: Tensor) -> None:
    """See that a layer gives the same values and gradients before and after it is taken over, under vmap."""
    dtype = next((p.dtype for p in layer.parameters()), torch.get_default_dtype())
    weights = [torch.randn(3, *p.shape, dtype=dtype, requires_grad=True) for p in layer.parameters()]
    x = torch.randn(*(() if is_shared else (3,)), *shape, dtype=dtype, requires_grad=True)

    def one(x: Tensor, weights: list[Tensor], _: Tensor) -> Tensor:
        named = dict(zip(dict(layer.named_parameters()), weights, strict=True))
        return torch.func.functional_call(layer, named, (x, *others))

    def run() -> list[Tensor]:
        y = torch.func.vmap(one, (None if is_shared else 0, 0, 0))(x, weights, torch.arange(3))
        return [y, *torch.autograd.grad(y.square().sum(), [x, *weights])]

    expected = run()
    take_over(layer)
    for found, right in zip(run(), expected, strict=True):
        torch.testing.assert_close(found, right, rtol=TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_with_stacked_weights_are_those_of_vmap(name: str, is_shared: bool, dtype: torch.dtype) -> None:
    c_op.load()  # has what float32 needs, where there is a compiler
    make_layer, shape = LAYERS[name]
    agree(make_layer().to(dtype), shape, is_shared)


@pytest.mark.parametrize("name", ["linear", "norm"])
def test_without_the_op_torch_computes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_op, "ready", lambda: None)
    make_layer, shape = LAYERS[name]
    agree(make_layer(), shape, False)


def test_a_large_layer_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_population_layers, "_LARGEST", 14)
    monkeypatch.setattr(_population_layers, "_op", lambda *_: pytest.fail("asked for"))
    agree(nn.Linear(5, 3), (7, 5), False)


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"ignore_index": 2}, {"reduction": "sum"}])
def test_cross_entropy_is_that_of_vmap(options: dict[str, float | str], is_shared: bool) -> None:
    agree(nn.CrossEntropyLoss(**options), (9, 4), is_shared, torch.arange(9) % 4)


def test_cross_entropy_of_probabilities_is_torchs() -> None:
    agree(nn.CrossEntropyLoss(), (9, 4), False, torch.rand(9, 4).softmax(1))


def test_second_derivatives_are_refused() -> None:
    op = c_op.load()
    if op is None:
        pytest.skip("no C++ compiler")
    weight = torch.randn(2, 3, 5, requires_grad=True)
    for y in (
        op.linear(torch.randn(2, 4, 5), weight, None),
        op.layer_norm(torch.randn(2, 4, 5), weight[:, 0], None, 1e-5),
    ):
        with pytest.raises(RuntimeError, match="no second derivatives"):
            torch.autograd.grad(y.sum(), weight, create_graph=True)
