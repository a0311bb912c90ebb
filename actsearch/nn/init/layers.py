"""Weight layers: their fans, and how their weights are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.utils import parametrize

from actsearch.errors import ActivationError
from actsearch.nn.init.result import Initialisation, Initialised
from actsearch.nn.trace import Source, Weighted, describe, in_flow, in_order

Distribution = Literal["normal", "uniform"]


def layers_of(model: nn.Module) -> dict[str, Any]:
    """Return the weight layers by name, in order of registration.

    Raises:
        ActivationError: there are none.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, Weighted)}
    if not layers:
        raise ActivationError(f"{type(model).__name__} has no linear or convolutional layer to initialise")
    return layers


def settable(layers: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the layers whose weight can be set: not parametrized, not yet without shape, not another layer's too."""
    seen: set[int] = set()
    for name, layer in layers.items():
        if parametrize.is_parametrized(layer, "weight") or nn.parameter.is_lazy(layer.weight):
            continue
        if id(layer.weight) not in seen:
            seen.add(id(layer.weight))
            yield name, layer


def fan_in(layer: Any) -> int:
    """Return how many inputs one output sums; for a transposed convolution, on average."""
    if getattr(layer, "transposed", False):
        return max(1, layer.weight[:, 0].numel() // (layer.groups * math.prod(layer.stride)))
    return max(1, layer.weight[0].numel())


def fan_out(layer: Any) -> int:
    """Return how many outputs one input goes to; for a strided convolution, on average."""
    if isinstance(layer, nn.Linear):
        return layer.out_features
    if layer.transposed:
        return max(1, layer.weight[0].numel())
    return max(1, layer.weight[:, 0].numel() // (layer.groups * math.prod(layer.stride)))


def draw(layer: Any, deviation: float, distribution: Distribution = "normal", bias_deviation: float = 0.0) -> None:
    """Fill weights with the global generator, drawn as float32 on the CPU whatever the layer's device and dtype."""
    shape = layer.weight.shape
    if distribution == "normal":
        draws = torch.randn(shape, dtype=torch.float32)
    else:  # uniform on [-sqrt(3), sqrt(3)] has variance 1
        draws = (2 * torch.rand(shape, dtype=torch.float32) - 1) * math.sqrt(3)
    with torch.no_grad():
        layer.weight.copy_(draws * deviation)
        if layer.bias is not None:
            layer.bias.zero_()
            if bias_deviation:
                layer.bias.copy_(torch.randn(layer.bias.shape, dtype=torch.float32) * bias_deviation)


def sources(model: nn.Module, example: Any) -> dict[nn.Module, Source]:
    """Return the activation before each weight layer, from one run if there is an example."""
    return in_order(model) | (in_flow(model, example) if example is not None else {})


def row(name: str, layer: Any, source: Source, factor: float) -> Initialised:
    """Return what was set for a layer whose weights have the deviation factor / sqrt(fan_in)."""
    n_inputs = fan_in(layer)
    return Initialised(name, describe(source), n_inputs, factor, factor / math.sqrt(n_inputs))


def report(done: list[Initialised], layers: Mapping[str, Any], method: str) -> Initialisation:
    """Return what was set, and the names of the layers that were not."""
    names = {initialised.name for initialised in done}
    return Initialisation(tuple(done), tuple(name for name in layers if name not in names), method)
