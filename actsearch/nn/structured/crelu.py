"""Concatenated ReLU: an activation of the input beside that of its negative."""

from __future__ import annotations

import sympy
import torch
from torch import Tensor, nn

from actsearch.nn.activation import check_channel_dim
from actsearch.nn.make import make as make_activation


class CReLU(nn.Module):
    """y = (f(x), f(-x)) along the channels: (N, C, ...) -> (N, 2C, ...); f is relu unless said otherwise.

    It doubles the channels, so the layer before it needs half as many outputs.

    Args:
        activation: f: catalog name, text, SymPy expression, adaptive family, or a module.
        channel_dim: dimension that is doubled; -1 for (batch, time, channel).
        n_channels: channels of the input, for an f with parameters per channel; None: told by the first input.
        backend: as for :func:`actsearch.compile`.

    Raises:
        ActivationError: an unknown activation; at a call: there is no such dimension.

    Reference: Shang et al. 2016, "Understanding and Improving Convolutional Neural Networks via Concatenated Rectified
    Linear Units", arXiv:1603.05201.

    Example:
        >>> CReLU()(torch.tensor([[1.0, -2.0]])).tolist()
        [[1.0, 0.0, 0.0, 2.0]]
    """

    mixes_channels = True

    def __init__(
        self,
        activation: sympy.Expr | str | nn.Module = "relu",
        *,
        channel_dim: int = 1,
        n_channels: int | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.channel_dim = channel_dim
        if not isinstance(activation, nn.Module):
            activation = make_activation(activation, n_channels=n_channels, channel_dim=channel_dim, backend=backend)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return both signs, of the dtype of ``x``."""
        check_channel_dim(x, self.channel_dim)
        return torch.cat([self.activation(x), self.activation(-x)], self.channel_dim)

    def n_features_out(self, n_features: int) -> int:
        """Return twice the channels."""
        return 2 * n_features

    def extra_repr(self) -> str:
        """Return the dimension that is doubled."""
        return f"channel_dim={self.channel_dim}"


def make(
    activation: sympy.Expr | str | nn.Module = "relu",
    n_channels: int | None = None,
    channel_dim: int = 1,
    backend: str = "auto",
) -> nn.Module:
    """Return a :class:`CReLU`."""
    return CReLU(activation, channel_dim=channel_dim, n_channels=n_channels, backend=backend)
