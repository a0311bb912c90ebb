"""Weights of activations, in which members differ: where they are, and how they are joined.

Autograd and an optimiser take some microseconds for each parameter, however few numbers it has. The activations of a
population have hundreds of parameters: those at one place of the net are made parts of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from actsearch.nn.activation import Activation

LANES = 16  # numbers of a vector of 512 bits: an optimiser's loop rounds what fills none otherwise


@dataclass(frozen=True)
class Own:
    """Where a member's own weight is.

    Attributes:
        parameter: what the optimiser trains: the weight itself, or it and others, joined.
        start: number of the weight's first number there.
        shape: the weight's.
    """

    parameter: nn.Parameter
    start: int
    shape: torch.Size

    @property
    def value(self) -> Tensor:
        """The weight's numbers, a view."""
        return self.of(self.parameter.detach())

    def of(self, tensor: Tensor) -> Tensor:
        """Return the weight's part of what has the parameter's shape, such as its gradient; a view."""
        return tensor.view(-1)[self.start : self.start + self.shape.numel()].view(self.shape)


class Joined(nn.Module):
    """Weights of several activations as one parameter.

    Args:
        weights: (member, activation, name of the weight in it), at least one; of one type, on one device.

    Attributes:
        parameter: all of them, one after the other, and zeros that fill the last vector.
        weights: (member, activation, name).
    """

    def __init__(self, weights: Sequence[tuple[int, Activation, str]]) -> None:
        super().__init__()
        self.weights = tuple(weights)
        numbers = [parameter_of(part, name).detach().reshape(-1) for _, part, name in weights]
        self._shapes = [parameter_of(part, name).shape for _, part, name in weights]
        rest = -sum(map(len, numbers)) % LANES
        self._sizes = [*map(len, numbers), rest]
        self.parameter = nn.Parameter(torch.cat([*numbers, numbers[0].new_zeros(rest)]))

    def owns(self) -> list[Own]:
        """Return where each weight is now."""
        starts = [sum(self._sizes[:number]) for number in range(len(self.weights))]
        return [Own(self.parameter, start, shape) for start, shape in zip(starts, self._shapes, strict=True)]

    def pieces(self) -> tuple[Tensor, ...]:
        """Return each weight's numbers, 1-d, for autograd to follow; a last piece is filling."""
        return torch.split(self.parameter, self._sizes)

    def put(self, number: int, piece: Tensor) -> None:
        """Let an activation compute with a piece."""
        _, part, name = self.weights[number]
        table: dict[str, Any] = part._parameters  # a tensor that autograd follows may stand there, as under vmap
        table[name] = piece.view(self._shapes[number])

    def settle(self) -> None:
        """Give the activations what their weights have become."""
        for (_, part, name), own in zip(self.weights, self.owns(), strict=True):
            part._parameters[name] = nn.Parameter(own.value.clone())


def parameter_of(part: Activation, name: str) -> Tensor:
    """Return an activation's weight."""
    parameter = part._parameters[name]
    assert parameter is not None
    return parameter


def is_formula(part: Activation) -> bool:
    """Whether an activation is its formula at its parameters, and nothing that a derived class makes of it."""
    return type(part).forward is Activation.forward and not part.parameter_noise


def is_joinable(part: Activation) -> bool:
    """Whether an activation's weights can be parts of another parameter: the formula takes them as they are."""
    plain = all(slot.parameter.constraint == "real" for slot in part.slots)
    return plain and is_formula(part) and all(p.requires_grad for p in part.parameters())
