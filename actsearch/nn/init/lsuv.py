"""LSUV: orthonormal weights, scaled layer by layer until outputs have variance 1 for a batch of data."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from actsearch.errors import ActivationError
from actsearch.nn.init.layers import fan_in, layers_of, report, row, settable, sources
from actsearch.nn.init.result import Initialisation


def lsuv(model: nn.Module, example: Any, tolerance: float = 0.1, max_rounds: int = 10) -> Initialisation:
    """Give weight layers orthonormal weights, and scale each until its output's variance is within tolerance of 1.

    One run of the model in evaluation mode does it: every layer is scaled as the run comes to it, and what follows sees
    the scaled output. A layer that is used several times is scaled at its first use.

    Args:
        model: any module.
        example: a batch of real inputs, or a tuple of arguments.
        tolerance: allowed distance of the variance from 1.
        max_rounds: how often a layer is rescaled at most.

    Raises:
        ActivationError: no example, no weight layers, or a layer whose outputs are constant or not finite.

    Reference: Mishkin and Matas 2016, "All You Need Is a Good Init", arXiv:1511.06422.
    """
    if example is None:
        raise ActivationError("lsuv scales layers by what they give for data; pass a batch as example=...")
    layers = layers_of(model)
    before = sources(model, example)
    chosen = dict(settable(layers))
    for layer in chosen.values():
        _orthonormal(layer)
    scaling = _Scaling({layer: name for name, layer in chosen.items()}, tolerance, max_rounds)
    handles = [layer.register_forward_hook(scaling) for layer in chosen.values()]
    mode, state = model.training, torch.get_rng_state()
    try:
        model.eval()
        with torch.no_grad():
            model(*example) if isinstance(example, tuple) else model(example)
    finally:
        model.train(mode)
        torch.set_rng_state(state)
        for handle in handles:
            handle.remove()
    done = [
        row(name, layer, before.get(layer), layer.weight.detach().double().square().mean().sqrt().item()
            * math.sqrt(fan_in(layer)))
        for name, layer in chosen.items()
        if layer in scaling.scaled
    ]  # fmt: skip
    return report(done, layers, "lsuv")


class _Scaling:
    """A forward hook that scales a layer when it first runs."""

    def __init__(self, names: dict[nn.Module, str], tolerance: float, max_rounds: int) -> None:
        self.names = names
        self.tolerance = tolerance
        self.max_rounds = max_rounds
        self.scaled: set[nn.Module] = set()

    def __call__(self, layer: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        """Return the output after scaling."""
        if layer in self.scaled:
            return output
        self.scaled.add(layer)
        for _ in range(self.max_rounds):
            variance = output.double().var().item()
            if not (math.isfinite(variance) and variance > 0):
                raise ActivationError(
                    f"lsuv cannot scale {self.names[layer]!r}: the variance of its outputs for the example is "
                    f"{variance:g}; use a batch of several different, finite inputs"
                )
            if abs(variance - 1) < self.tolerance:
                break
            layer.weight.div_(math.sqrt(variance))
            output = layer.forward(*inputs)
        return output


def _orthonormal(layer: Any) -> None:
    """Fill weights with orthonormal rows or columns, drawn on the CPU from the global generator; biases with zeros."""
    weight = torch.empty(layer.weight.shape, dtype=torch.float32)
    nn.init.orthogonal_(weight)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if layer.bias is not None:
            layer.bias.zero_()
