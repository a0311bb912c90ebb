"""The nets of the shipped tasks: plain modules around an activation factory.

Weights are drawn as N(0, gain^2 / fan_in), biases are zero (LeCun et al. 1998, "Efficient BackProp", section 4.6, for
gain 1; He et al. 2015, arXiv:1502.01852, for others). A layer that sees data or normalised values has gain 1, one that
sees an activation's output has the gain given. The draws do not depend on gain or activation, so all candidates of a
replicate start from the same weights, scaled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import torch
from torch import nn

MakeActivation = Callable[[], nn.Module]


class MLP(nn.Sequential):
    """Linear layers with an activation after each but the last, and no normalisation layers.

    Input shape (batch, ``sizes[0]``), output shape (batch, ``sizes[-1]``).

    Args:
        activation: returns a fresh activation.
        sizes: features of input, hidden layers and output.
        gain: scale of the weights behind an activation.
    """

    def __init__(self, activation: MakeActivation, sizes: tuple[int, ...], gain: float = 1.0) -> None:
        layers: list[nn.Module] = []
        for index, (n_in, n_out) in enumerate(pairwise(sizes)):
            layers += [activation()] if index else []
            layers.append(drawn(nn.Linear(n_in, n_out), gain if index else 1.0))
        super().__init__(*layers)


class ResidualMLP(nn.Module):
    """Pre-norm residual MLP: ``h + W2 f(W1 norm(h))``, as in transformers.

    Input shape (batch, ``n_in``), output shape (batch, ``n_out``).

    Args:
        activation: returns a fresh activation.
        n_in: input features.
        n_out: output features.
        width: features of the residual stream and of each block's hidden layer.
        n_blocks: number of blocks.
        gain: scale of the weights behind an activation.

    Reference: He et al. 2016, arXiv:1603.05027 (pre-activation); Xiong et al. 2020, arXiv:2002.04745 (pre-norm).
    """

    def __init__(
        self, activation: MakeActivation, n_in: int, n_out: int, width: int, n_blocks: int, gain: float = 1.0
    ) -> None:
        super().__init__()
        self.embed = drawn(nn.Linear(n_in, width), 1.0)
        # each block adds 1/n_blocks of a unit variance, so the stream ends near variance 2 whatever the depth
        scale = gain / math.sqrt(n_blocks)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                drawn(nn.Linear(width, width), 1.0),
                activation(),
                drawn(nn.Linear(width, width), scale),
            )
            for _ in range(n_blocks)
        )
        self.norm = nn.LayerNorm(width)
        self.head = drawn(nn.Linear(width, n_out), 1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (batch, ``n_out``)."""
        stream = self.embed(x)
        for block in self.blocks:
            stream = stream + block(stream)
        return self.head(self.norm(stream))


class Conv1dNet(nn.Sequential):
    """The small CNN of the MNIST-1D paper: three strided convolutions and a linear head, 5,210 weights as published.

    Input shape (batch, 40), output shape (batch, ``n_out``).

    Reference: Greydanus & Kobak 2024, arXiv:2011.14439, and the code beside it.
    """

    def __init__(self, activation: MakeActivation, n_out: int, channels: int = 25, gain: float = 1.0) -> None:
        super().__init__(
            nn.Unflatten(1, (1, -1)),
            drawn(nn.Conv1d(1, channels, 5, stride=2, padding=1), 1.0),
            activation(),
            drawn(nn.Conv1d(channels, channels, 3, stride=2, padding=1), gain),
            activation(),
            drawn(nn.Conv1d(channels, channels, 3, stride=2, padding=1), gain),
            activation(),
            nn.Flatten(),
            drawn(nn.Linear(channels * 5, n_out), gain),
        )


class Conv2dNet(nn.Sequential):
    """A small CNN for 8 x 8 images: three convolutions, the last two strided, and a linear head.

    Input shape (batch, 1, 8, 8), output shape (batch, ``n_out``).
    """

    def __init__(self, activation: MakeActivation, n_out: int, channels: int = 16, gain: float = 1.0) -> None:
        super().__init__(
            drawn(nn.Conv2d(1, channels, 3, padding=1), 1.0),
            activation(),
            drawn(nn.Conv2d(channels, channels, 3, stride=2, padding=1), gain),
            activation(),
            drawn(nn.Conv2d(channels, channels, 3, stride=2, padding=1), gain),
            activation(),
            nn.Flatten(),
            drawn(nn.Linear(channels * 4, n_out), gain),
        )


_Layer = TypeVar("_Layer", nn.Linear, nn.Conv1d, nn.Conv2d)


def drawn(layer: _Layer, gain: float) -> _Layer:
    """Draw the layer's weights from N(0, gain^2 / fan_in), set its biases to zero, and return it."""
    fan_in = layer.weight[0].numel()
    with torch.no_grad():
        layer.weight.normal_().mul_(gain / math.sqrt(fan_in))
        assert layer.bias is not None
        layer.bias.zero_()
    return layer
