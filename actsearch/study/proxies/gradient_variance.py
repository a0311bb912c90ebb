"""Gradient variance at depth: how much the gradient grows or fades from layer to layer, in the net itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from actsearch.nn.trace import Weighted
from actsearch.study.proxies._start import Start

BETTER = "low"
NEEDS_NET = True


def measure(start: Start) -> float:
    """Return |slope| of ln E g^2 over the net's weight layers in the order they are run: in natural logarithms a layer.

    g is the gradient of the batch's mean loss in a layer's output, before any training. In a wide net between linear
    maps the slope is -ln chi of :mod:`actsearch.study.proxies.edge_of_chaos`; norms and shortcuts change it. NaN for a
    net with fewer than two weight layers; infinite where a gradient is zero or not finite.

    References:
        Schoenholz et al. 2017, arXiv:1611.01232, section 5. Glorot and Bengio 2010, "Understanding the difficulty of
        training deep feedforward neural networks", for measuring it.
    """
    outputs: list[Tensor] = []

    def note(module: Any, inputs: Any, output: Tensor) -> None:
        outputs.append(output)

    hooks = [part.register_forward_hook(note) for part in start.net.module.modules() if isinstance(part, Weighted)]
    try:
        loss = start.net.loss()
    finally:
        for hook in hooks:
            hook.remove()
    if len(outputs) < 2:
        return float("nan")
    gradients = torch.autograd.grad(loss, outputs, allow_unused=True)
    squares = np.array([0.0 if g is None else g.double().square().mean().item() for g in gradients])
    if not (np.isfinite(squares).all() and squares.min() > 0):
        return float("inf")
    return abs(float(np.polyfit(np.arange(len(squares)), np.log(squares), 1)[0]))
