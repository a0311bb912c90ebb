"""Log-softmax, for the heads of classifiers that must give log-probabilities."""

from __future__ import annotations

from torch import nn


def make(channel_dim: int = 1) -> nn.Module:
    """Return ``torch.nn.LogSoftmax`` over the channels: x_c - log sum_k exp(x_k), at most 0, shape in = shape out.

    It belongs with ``torch.nn.NLLLoss``; ``torch.nn.CrossEntropyLoss`` takes logits.
    """
    return nn.LogSoftmax(channel_dim)
