"""Times that can be compared on a machine with other work: the smallest of many, taken in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd, inf
from typing import Any

import sympy
import torch

from actsearch.expr.parameters import parameters_of

Function = Callable[..., torch.Tensor]

_CHANNELS = 64  # at most, of the input of a formula with parameters per channel
_LEAST_ROUNDS, _MOST_ROUNDS = 7, 2000
_IN_A_ROW = {"cuda": 20}  # calls in one timing: waiting for a GPU costs more than a small kernel


@dataclass(frozen=True)
class Inputs:
    """What a function is called with.

    Attributes:
        x: shape (elements,), or (elements / channels, channels) where a parameter is per channel; wants a gradient.
        gradient: of the result, like ``x``.
        parameters: at their start values; each wants a gradient.
    """

    x: torch.Tensor
    gradient: torch.Tensor
    parameters: tuple[torch.Tensor, ...]

    def forward(self, function: Function) -> Callable[[], torch.Tensor]:
        """Return a forward."""
        return lambda: function(self.x, *self.parameters)

    def backward(self, function: Function) -> Callable[[], Any]:
        """Return a backward, of a forward that is done now."""
        y = function(self.x, *self.parameters)
        return lambda: self._gradients(y, keep=True)

    def both(self, function: Function) -> Callable[[], Any]:
        """Return a forward and a backward."""
        return lambda: self._gradients(function(self.x, *self.parameters))

    def copy(self) -> Callable[[], Any]:
        """Return ``y.copy_(x)``."""
        x, y = self.x.detach(), torch.empty_like(self.x)
        return lambda: y.copy_(x)

    def saved(self, function: Function) -> list[torch.Tensor]:
        """Return the tensors that a forward keeps for its backward, each memory once."""
        found: dict[int, torch.Tensor] = {}

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            return found.setdefault(tensor.data_ptr(), tensor)

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self.forward(function)()
        return list(found.values())

    def _gradients(self, y: torch.Tensor, keep: bool = False) -> Any:
        leaves = (self.x, *self.parameters)
        return torch.autograd.grad(y, leaves, self.gradient, retain_graph=keep, allow_unused=True)


def inputs(expr: sympy.Expr, elements: int, dtype: torch.dtype, device: torch.device) -> Inputs:
    """Return random inputs of a formula; parameters are float32, float64 for a float64 input."""
    channels = gcd(elements, _CHANNELS)
    wanted = parameters_of(expr)
    shape = (elements // channels, channels) if any(p.granularity == "channel" for p in wanted) else (elements,)
    kind = torch.float64 if dtype == torch.float64 else torch.float32
    parameters = tuple(
        torch.full(
            (channels,) if p.granularity == "channel" else (),
            float(p.start),
            dtype=kind,
            device=device,
            requires_grad=True,
        )
        for p in wanted
    )
    # one draw repeated: a normal number takes longer to draw than an activation takes to compute
    draw = torch.randn(min(elements, 2**20), dtype=torch.float32)
    x = draw.repeat(-(-elements // len(draw)))[:elements].view(shape).to(device, dtype)
    return Inputs(x.requires_grad_(), x.detach().flip(0).contiguous(), parameters)


def shortest(functions: Sequence[Callable[[], object]], seconds: float, device: torch.device) -> list[float]:
    """Return the smallest time of a call of each, in seconds, the functions taking turns for about ``seconds``.

    Turns, so that what else the machine does hits all alike; the smallest, because other work only ever adds.
    """
    calls = _IN_A_ROW.get(device.type, 1)
    best = [inf] * len(functions)
    for function in functions:
        function()  # what is made once
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < _LEAST_ROUNDS or (rounds < _MOST_ROUNDS and time.perf_counter() < end):
        rounds += 1
        for place, function in enumerate(functions):
            wait_for(device)
            start = time.perf_counter()
            for _ in range(calls):
                function()
            wait_for(device)
            best[place] = min(best[place], (time.perf_counter() - start) / calls)
    return best


def wait_for(device: torch.device) -> None:
    """Return when the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
