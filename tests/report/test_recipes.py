"""What docs/export.md says of timm and transformers, against the way these call an activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import actsearch
from actsearch.nn.activation import Activation


class Found(actsearch.Activation):
    def __init__(self, inplace: bool = False) -> None:
        super().__init__("x*sigmoid(1.5*x)")


class Block(nn.Module):
    """As timm's blocks do: the class is called with ``inplace`` where it may work in place, and without elsewhere."""

    def __init__(self, act_layer: Callable[..., nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.act1, self.act2 = act_layer(inplace=True), act_layer()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act2(self.second(self.act1(self.first(x))))


class Table(dict[str, Any]):
    """As transformers' table does: an entry is a class, or a class and its keyword arguments; looking up makes one."""

    def __getitem__(self, key: str) -> nn.Module:
        content = super().__getitem__(key)
        kind, settings = content if isinstance(content, tuple) else (content, {})
        return kind(**settings)


def learnable(inplace: bool = False) -> nn.Module:
    return actsearch.make("x*sigmoid(beta[1.0, channel]*x)")


def test_act_layer_as_a_class_and_as_a_function() -> None:
    x = torch.randn(2, 3, 8, 8)
    for act_layer, n_learned in ((Found, 0), (learnable, 8)):
        block = Block(act_layer)
        block(x).sum().backward()
        learned = [p for act in (block.act1, block.act2) for p in act.parameters()]
        assert sum(p.numel() for p in learned) == n_learned
        assert all(p.grad is not None for p in block.parameters())


def test_a_class_pickles_copies_and_loads() -> None:
    import copy
    import pickle

    x = torch.randn(5)
    for twin in (copy.deepcopy(Found()), pickle.loads(pickle.dumps(Found()))):
        assert torch.equal(twin(x), Found()(x))
    Block(Found).load_state_dict(Block(nn.ReLU).state_dict())


def test_an_entry_of_the_table_of_names() -> None:
    table = Table(relu=nn.ReLU, found=(Activation, {"spec": "x*sigmoid(1.5*x)"}), class_alone=Found)
    x = torch.randn(5)
    assert torch.equal(table["found"](x), table["class_alone"](x))
    assert table["found"] is not table["found"]
