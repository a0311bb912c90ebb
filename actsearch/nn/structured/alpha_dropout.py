"""Alpha dropout: dropout that keeps mean 0 and variance 1, to be put behind SELU."""

from __future__ import annotations

from torch import nn

from actsearch.errors import ActivationError


def make(p: float = 0.05, whole_channels: bool = False) -> nn.Module:
    """Return ``torch.nn.AlphaDropout``: dropped elements go to SELU's lower limit -1.7581, the rest is moved to match.

    Ordinary dropout sets elements to 0, which is no value that SELU's statistics allow for: behind SELU mean and
    variance would drift from layer to layer. Shape in = shape out; in evaluation it is the identity.

    Args:
        p: probability that an element is dropped; the paper has 0.05 and 0.1.
        whole_channels: drop channels (dimension 1) as a whole.

    Raises:
        ActivationError: p is not within [0, 1).

    Reference: Klambauer et al. 2017, "Self-Normalizing Neural Networks", arXiv:1706.02515.
    """
    if not 0 <= p < 1:
        raise ActivationError(f"p is {p}; a probability from 0 to below 1 is needed")
    return (nn.FeatureAlphaDropout if whole_channels else nn.AlphaDropout)(p)
