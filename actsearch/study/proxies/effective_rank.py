"""Effective rank of what activations hand on: how many directions a batch still fills, before training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from actsearch.nn.trace import is_activation
from actsearch.study.proxies._start import Start

BETTER = "high"
NEEDS_NET = True


def measure(start: Start) -> float:
    """Return the effective rank of the activations' outputs for a batch, mean over the net's activations: a count.

    Of an (examples, features) matrix it is exp(entropy of its singular values, scaled to sum 1): from 1 to the smaller
    side. NaN where an output is not finite, or the net has no activation.

    References:
        Roy and Vetterli 2007, "The effective rank". Husistein, Reiher, Eckhoff 2025, "NEAR", arXiv:2408.08776, which
        sums it over layers, before and after activations.
    """
    outputs: list[Tensor] = []

    def note(module: Any, inputs: Any, output: Tensor) -> None:
        outputs.append(output.detach().flatten(1).double())

    hooks = [part.register_forward_hook(note) for part in start.net.module.modules() if is_activation(part)]
    try:
        with torch.no_grad():
            start.net.loss()
    finally:
        for hook in hooks:
            hook.remove()
    if not outputs or not all(output.isfinite().all() for output in outputs):
        return float("nan")
    return sum(_effective_rank(output) for output in outputs) / len(outputs)


def _effective_rank(matrix: Tensor) -> float:
    values = torch.linalg.svdvals(matrix)
    if values[0] == 0:
        return 0.0
    p = values / values.sum()
    return torch.special.entr(p).sum().exp().item()
