"""Maxout: the greatest of every K neighbouring channels."""

from __future__ import annotations

from torch import Tensor, nn

from actsearch.errors import ActivationError
from actsearch.nn.activation import check_channel_dim


class Maxout(nn.Module):
    """y_c = max(x_{Kc}, ..., x_{Kc + K - 1}): (N, KC, ...) -> (N, C, ...).

    With the linear layer before it, it is the convex piecewise linear unit of the paper. It divides the channels by K.
    Where values tie, the gradient is shared equally.

    Args:
        n_pieces: K, at least 2.
        channel_dim: dimension whose neighbours compete; -1 for (batch, time, channel).

    Raises:
        ActivationError: K is below 2; at a call: K does not divide the channels.

    Reference: Goodfellow et al. 2013, "Maxout Networks", arXiv:1302.4389.

    Example:
        >>> import torch
        >>> Maxout(2)(torch.tensor([[1.0, 2.0, -3.0, -4.0]]))
        tensor([[ 2., -3.]])
    """

    mixes_channels = True

    def __init__(self, n_pieces: int = 2, *, channel_dim: int = 1) -> None:
        super().__init__()
        if n_pieces < 2:
            raise ActivationError(f"n_pieces is {n_pieces}; maxout chooses between at least 2")
        self.n_pieces = n_pieces
        self.channel_dim = channel_dim

    def forward(self, x: Tensor) -> Tensor:
        """Return the greatest of each group, of the dtype of ``x``."""
        check_channel_dim(x, self.channel_dim)
        dim = self.channel_dim % x.ndim
        n_groups = self.n_features_out(x.shape[dim])
        return x.reshape(*x.shape[:dim], n_groups, self.n_pieces, *x.shape[dim + 1 :]).amax(dim + 1)

    def n_features_out(self, n_features: int) -> int:
        """Return the channels divided by K.

        Raises:
            ActivationError: K does not divide them.
        """
        if n_features % self.n_pieces:
            raise ActivationError(
                f"maxout of {self.n_pieces} pieces cannot take {n_features} channels; give the layer before it "
                f"{-(-n_features // self.n_pieces) * self.n_pieces}, or say which dimension counts channels with "
                "channel_dim=..."
            )
        return n_features // self.n_pieces

    def extra_repr(self) -> str:
        """Return pieces and dimension."""
        return f"n_pieces={self.n_pieces}, channel_dim={self.channel_dim}"


def make(n_pieces: int = 2, channel_dim: int = 1) -> nn.Module:
    """Return a :class:`Maxout`."""
    return Maxout(n_pieces, channel_dim=channel_dim)
