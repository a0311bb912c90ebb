"""Gated linear units: one half of the channels, multiplied by a function of the other half."""

from __future__ import annotations

import sympy
import torch
from torch import Tensor, nn

from actsearch.errors import ActivationError
from actsearch.nn.activation import check_channel_dim
from actsearch.nn.make import make as make_activation


class GLU(nn.Module):
    """y = a * f(b), where a is the first and b the second half of the channels: (N, 2C, ...) -> (N, C, ...).

    With f = sigmoid it is GLU, with relu ReGLU, gelu GEGLU, silu SwiGLU, and with the identity the bilinear unit; f may
    be any activation, learnable ones included.

    It halves the channels, so the layer before it needs twice as many outputs; at equal parameters a gated network is
    2/3 as wide.

    Args:
        gate: f: catalog name, text, SymPy expression, adaptive family, or a module.
        channel_dim: dimension that is halved; -1 for (batch, time, channel).
        gate_first: b is the first half and a the second, as some checkpoints have it.
        n_channels: channels of the *output*, for gates with parameters per channel; None: told by the first input.
        backend: as for :func:`actsearch.compile`.

    Raises:
        ActivationError: an unknown gate; at a call: the number of channels is odd.

    References:
        Dauphin et al. 2017, "Language Modeling with Gated Convolutional Networks", arXiv:1612.08083.
        Shazeer 2020, "GLU Variants Improve Transformer", arXiv:2002.05202.

    Example:
        >>> GLU("relu")(torch.tensor([[1.0, 2.0, 3.0, -4.0]]))
        tensor([[3., 0.]])
    """

    mixes_channels = True

    def __init__(
        self,
        gate: sympy.Expr | str | nn.Module = "sigmoid",
        *,
        channel_dim: int = 1,
        gate_first: bool = False,
        n_channels: int | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        self.channel_dim = channel_dim
        self.gate_first = gate_first
        if not isinstance(gate, nn.Module):
            gate = make_activation(gate, n_channels=n_channels, channel_dim=channel_dim, backend=backend)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """Return the gated half, of the dtype of ``x``."""
        check_channel_dim(x, self.channel_dim)
        half = self.n_features_out(x.shape[self.channel_dim])
        first, second = torch.split(x, half, self.channel_dim)
        value, gate = (second, first) if self.gate_first else (first, second)
        return value * self.gate(gate)

    def n_features_out(self, n_features: int) -> int:
        """Return half of the channels.

        Raises:
            ActivationError: their number is odd.
        """
        if n_features % 2:
            raise ActivationError(
                f"a gated unit halves its channels and cannot take {n_features}, an odd number; give the layer before "
                f"it {n_features + 1} outputs, or say which dimension counts channels with channel_dim=..."
            )
        return n_features // 2

    def extra_repr(self) -> str:
        """Return the dimension that is halved."""
        return f"channel_dim={self.channel_dim}" + (", gate_first=True" if self.gate_first else "")


def make(
    gate: sympy.Expr | str | nn.Module = "sigmoid",
    gate_first: bool = False,
    n_channels: int | None = None,
    channel_dim: int = 1,
    backend: str = "auto",
) -> nn.Module:
    """Return a :class:`GLU`."""
    return GLU(gate, channel_dim=channel_dim, gate_first=gate_first, n_channels=n_channels, backend=backend)
