"""Meta-ACON: a smooth maximum of two lines per channel whose sharpness is computed from the whole input."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actsearch.compiler.compiled import CompiledActivation, compile
from actsearch.errors import ActivationError
from actsearch.nn.adaptive._context import ContextActivation, LazyContext, Start, by_row, pooled

START = "x*sigmoid(x/2)"


class MetaACON(ContextActivation):
    """(p1 - p2) x sigmoid(beta (p1 - p2) x) + p2 x with beta from the input; it starts as x sigmoid(x / 2).

    p1 and p2 are learned per channel. beta = sigmoid(norm(W2 norm(W1 m))) for each channel of an example, where m is
    the input's mean over positions and norm is a batch normalisation. The authors draw p1 and p2 from N(0, 1); here
    they start at 1 and 0, and the last normalisation's scale at 0, so that the start is known: beta = 1/2 everywhere.

    In training an output depends on the other examples of its batch, through the normalisations.

    Args:
        n_channels: number of channels C; None: told by the first input.
        reduction: r; max(r, C / r) hidden units.
        momentum: of the running statistics, as in ``torch.nn.BatchNorm1d``.
        eps: added to variances.
        channel_dim: dimension of the input that counts channels; -1 for (N, L, C). Dimension 0 is the batch.
        seed: of the draws of W1 and W2.
        backend: as for :func:`actsearch.compile`.

    Raises:
        ActivationError: a setting out of its range; at a call: the input's channels do not match, or a batch of one
            example in training.

    Reference: Ma et al. 2021, "Activate or Not: Learning Customized Activation", arXiv:2009.04759.

    Example:
        >>> module = MetaACON(3)
        >>> x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
        >>> torch.allclose(module(x), x * torch.sigmoid(x / 2))
        True
    """

    p1: nn.Parameter
    p2: nn.Parameter
    squeeze_weight: nn.Parameter
    squeeze_bias: nn.Parameter
    excite_weight: nn.Parameter
    excite_bias: nn.Parameter
    statistics = ("squeeze_norm_mean", "squeeze_norm_variance", "excite_norm_mean", "excite_norm_variance")

    def __init__(
        self,
        n_channels: int | None = None,
        *,
        reduction: int = 16,
        momentum: float = 0.1,
        eps: float = 1e-5,
        channel_dim: int = 1,
        seed: int = 0,
        backend: str = "auto",
    ) -> None:
        super().__init__(n_channels, channel_dim, seed)
        if reduction < 1:
            raise ActivationError(f"reduction is {reduction}; it divides the number of channels and is at least 1")
        self.reduction = reduction
        self.momentum = momentum
        self.eps = eps
        self.curve = _curve(backend)
        self._make_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation, of the shape and dtype of ``x``."""
        second = self._channels_second(x)
        n_examples, n_channels = second.shape[:2]
        if n_examples == 0:
            return x.clone()
        p1, p2 = (p.expand(n_examples, n_channels).reshape(1, -1, 1) for p in (self.p1, self.p2))
        beta = by_row(self.sharpness(second), n_examples * n_channels)
        y = self.curve(by_row(second, n_examples * n_channels), beta, p1, p2)
        return y.reshape(second.shape).movedim(1, self.channel_dim)

    def sharpness(self, x: Tensor) -> Tensor:
        """Return beta for an input with channels second, (N, C), in (0, 1)."""
        if self.training and x.shape[0] == 1:
            raise ActivationError(
                "meta_acon normalises over the batch and cannot be trained on one example at a time; use larger "
                "batches, or acon_c, whose beta is a parameter"
            )
        hidden = self._norm(F.linear(pooled(x), self.squeeze_weight, self.squeeze_bias), "squeeze")
        return torch.sigmoid(self._norm(F.linear(hidden, self.excite_weight, self.excite_bias), "excite"))

    def starts(self, n_channels: int) -> Mapping[str, Start]:
        """Return shape and start of every parameter and statistic."""
        hidden = max(self.reduction, n_channels // self.reduction)
        made: dict[str, Start] = {"p1": ((n_channels,), 1.0), "p2": ((n_channels,), 0.0)}
        for layer, n_in, n_out, scale in (("squeeze", n_channels, hidden, 1.0), ("excite", hidden, n_channels, 0.0)):
            made |= {
                f"{layer}_weight": ((n_out, n_in), None),
                f"{layer}_bias": ((n_out,), 0.0),
                f"{layer}_norm_weight": ((n_out,), scale),
                f"{layer}_norm_bias": ((n_out,), 0.0),
                f"{layer}_norm_mean": ((n_out,), 0.0),
                f"{layer}_norm_variance": ((n_out,), 1.0),
            }
        return made

    def channels_of_state(self) -> int:
        """Return the number of channels that loaded parameters are for."""
        return self.p1.shape[0]

    def extra_repr(self) -> str:
        """Return reduction and channels."""
        return f"reduction={self.reduction}, {super().extra_repr()}"

    def _norm(self, x: Tensor, layer: str) -> Tensor:
        mean, variance, weight, bias = (
            getattr(self, f"{layer}_norm_{part}") for part in ("mean", "variance", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, weight, bias, self.training, self.momentum, self.eps)


class LazyMetaACON(LazyContext, MetaACON):
    """A :class:`MetaACON` before its first input tells the number of channels."""

    cls_to_become = MetaACON


def make(
    reduction: int = 16,
    momentum: float = 0.1,
    eps: float = 1e-5,
    seed: int = 0,
    n_channels: int | None = None,
    channel_dim: int = 1,
    backend: str = "auto",
) -> nn.Module:
    """Return a :class:`MetaACON`."""
    kind = LazyMetaACON if n_channels is None else MetaACON
    return kind(
        n_channels,
        reduction=reduction,
        momentum=momentum,
        eps=eps,
        channel_dim=channel_dim,
        seed=seed,
        backend=backend,
    )


@cache
def _curve(backend: str) -> CompiledActivation:
    """Return the curve as a compiled function of x, beta, p1, p2."""
    line = "(p1[1.0] - p2[0.0])*x"
    return compile(f"{line}*sigmoid(beta[1.0]*{line}) + p2[0.0]*x", backend)
