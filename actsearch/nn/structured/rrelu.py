"""Randomised leaky ReLU: a random slope for every negative element in training, the mean slope in evaluation."""

from __future__ import annotations

import math

from torch import nn

from actsearch.errors import ActivationError


def make(lower: float = 1 / 8, upper: float = 1 / 3) -> nn.Module:
    """Return ``torch.nn.RReLU``: x for x >= 0, a x below, a ~ U(lower, upper) in training, else (lower + upper) / 2.

    Shape in = shape out; in training it takes numbers from torch's global random state.

    Args:
        lower: the smallest slope; the paper divides by numbers from 3 to 8.
        upper: the largest slope.

    Raises:
        ActivationError: not 0 <= lower <= upper, both finite.

    Reference: Xu et al. 2015, "Empirical Evaluation of Rectified Activations in Convolutional Network",
    arXiv:1505.00853.
    """
    if not 0 <= lower <= upper < math.inf:
        raise ActivationError(f"rrelu has slopes from lower={lower} to upper={upper}; 0 <= lower <= upper is needed")
    return nn.RReLU(lower, upper)
