"""Softmax, for the heads of classifiers that must give probabilities."""

from __future__ import annotations

from torch import nn


def make(channel_dim: int = 1) -> nn.Module:
    """Return ``torch.nn.Softmax`` over the channels: exp(x_c) / sum_k exp(x_k), in (0, 1), shape in = shape out.

    To train a classifier, leave it out: ``torch.nn.CrossEntropyLoss`` takes logits.

    Reference: Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network Outputs".
    """
    return nn.Softmax(channel_dim)
