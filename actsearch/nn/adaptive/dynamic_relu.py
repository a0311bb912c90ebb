"""Dynamic ReLU: the greatest of K linear pieces whose slopes and offsets are computed from the whole input."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from actsearch.compiler.compiled import CompiledActivation, compile
from actsearch.errors import ActivationError, suggest
from actsearch.nn.adaptive._context import ContextActivation, LazyContext, Start, by_row, pooled

START = "relu"
Variant = Literal["A", "B", "C"]
_VARIANTS = ("A", "B", "C")
_MOST_PIECES = 6  # the formula doubles with every piece

# Temperature of the attention map and its greatest value relative to its mean: the paper's tau = 10 and gamma = HW/3.
_TEMPERATURE, _CAP = 10.0, 3.0


class DynamicReLU(ContextActivation):
    """y_c = max_k (a_c^k(x) x_c + b_c^k(x)), shape in = shape out; it starts as relu.

    A small network reads the mean of the input over positions: linear C -> C/reduction, relu, linear, 2 sigmoid - 1.
    Its outputs, within (-1, 1), move the coefficients: a^k = alpha^k + lambda_a da^k and b^k = beta^k + lambda_b db^k,
    with alpha = (1, 0, ..., 0) and beta = 0. Its last layer starts at zero, so that the module starts as relu, exactly.

    - variant A: one set of coefficients an example, 2K outputs;
    - variant B: one for each channel of an example, 2KC outputs;
    - variant C: B, and the result is multiplied by a map over positions, softmax(z / 10) with z a linear function of
      the channels. The paper caps the map at 1 and gives it the mean 1/3 at most; here it is three times that (mean 1,
      cap 3), since otherwise it would start as relu / 3.

    The mean is over all positions: in a causal sequence model each would see the future.

    Args:
        n_channels: number of channels C; None: told by the first input.
        variant: "A", "B" or "C".
        n_pieces: K, from 2 to 6.
        reduction: C / reduction hidden units, at least one. Re-implementations have 4, other sources say 8.
        lambda_a: how far slopes move.
        lambda_b: how far offsets move.
        channel_dim: dimension of the input that counts channels; 1 for (N, C), (N, C, L), (N, C, H, W) and
            (N, C, D, H, W), -1 for (N, L, C). Dimension 0 is the batch.
        seed: of the draws of the hidden layer's weights.
        backend: as for :func:`actsearch.compile`.

    Raises:
        ActivationError: a setting out of its range; at a call: the input's channels do not match.

    Reference: Chen et al. 2020, "Dynamic ReLU", arXiv:2003.10027.

    Example:
        >>> DynamicReLU(4)(torch.tensor([[-1.0, 0.0, 2.0, -3.0]])).tolist()
        [[0.0, 0.0, 2.0, 0.0]]
    """

    squeeze_weight: nn.Parameter
    squeeze_bias: nn.Parameter
    excite_weight: nn.Parameter
    excite_bias: nn.Parameter
    spatial_weight: nn.Parameter
    spatial_bias: nn.Parameter

    def __init__(
        self,
        n_channels: int | None = None,
        variant: Variant = "B",
        *,
        n_pieces: int = 2,
        reduction: int = 4,
        lambda_a: float = 1.0,
        lambda_b: float = 0.5,
        channel_dim: int = 1,
        seed: int = 0,
        backend: str = "auto",
    ) -> None:
        super().__init__(n_channels, channel_dim, seed)
        if variant not in _VARIANTS:
            raise ActivationError(
                f"there is no variant {variant!r} of dynamic_relu{suggest(str(variant).upper(), _VARIANTS)} (A, B, C)"
            )
        if not 2 <= n_pieces <= _MOST_PIECES:
            raise ActivationError(f"n_pieces is {n_pieces}; dynamic_relu has from 2 to {_MOST_PIECES} pieces")
        if reduction < 1:
            raise ActivationError(f"reduction is {reduction}; it divides the number of channels and is at least 1")
        self.variant: Variant = variant
        self.n_pieces = n_pieces
        self.reduction = reduction
        self.lambda_a = lambda_a
        self.lambda_b = lambda_b
        self.pieces = _pieces(n_pieces, backend)
        self._make_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation, of the shape and dtype of ``x``."""
        second = self._channels_second(x)
        coefficients = [by_row(part, part.numel()) for part in self.coefficients(second)]
        rows = second.shape[0] * (1 if self.variant == "A" else second.shape[1])
        y = self.pieces(by_row(second, rows), *coefficients).reshape(second.shape)
        if self.variant == "C":
            y = y * self.attention(second)
        return y.movedim(1, self.channel_dim)

    def coefficients(self, x: Tensor) -> list[Tensor]:
        """Return a^1, ..., a^K, b^1, ..., b^K for an input with channels second; each (N, C), for A (N, 1)."""
        hidden = F.relu(F.linear(pooled(x), self.squeeze_weight, self.squeeze_bias))
        moved = torch.tanh(F.linear(hidden, self.excite_weight, self.excite_bias) / 2)  # 2 sigmoid - 1
        n_pieces = self.n_pieces
        parts = moved.reshape(x.shape[0], 2 * n_pieces, moved.shape[1] // (2 * n_pieces)).unbind(1)
        slopes = [(self.lambda_a * part + 1) if k == 0 else self.lambda_a * part for k, part in enumerate(parts)]
        return [*slopes[:n_pieces], *(self.lambda_b * part for part in parts[n_pieces:])]

    def attention(self, x: Tensor) -> Tensor:
        """Return variant C's map over positions for an input with channels second, (N, 1, ...), in (0, 3]."""
        flat = x.flatten(2) if x.ndim > 2 else x.unsqueeze(2)
        scores = torch.einsum("ncp,c->np", flat, self.spatial_weight) + self.spatial_bias
        shares = torch.softmax(scores / _TEMPERATURE, dim=1) * flat.shape[2]
        return shares.clamp(max=_CAP).reshape(x.shape[0], 1, *x.shape[2:])

    def starts(self, n_channels: int) -> Mapping[str, Start]:
        """Return shape and start of every parameter."""
        hidden = max(1, n_channels // self.reduction)
        n_outputs = 2 * self.n_pieces * (1 if self.variant == "A" else n_channels)
        made: dict[str, Start] = {
            "squeeze_weight": ((hidden, n_channels), None),
            "squeeze_bias": ((hidden,), 0.0),
            "excite_weight": ((n_outputs, hidden), 0.0),
            "excite_bias": ((n_outputs,), 0.0),
        }
        if self.variant == "C":
            made |= {"spatial_weight": ((n_channels,), 0.0), "spatial_bias": ((), 0.0)}
        return made

    def channels_of_state(self) -> int:
        """Return the number of channels that loaded parameters are for."""
        return self.squeeze_weight.shape[1]

    def extra_repr(self) -> str:
        """Return variant, pieces and channels."""
        return f"{self.variant}, n_pieces={self.n_pieces}, reduction={self.reduction}, {super().extra_repr()}"


class LazyDynamicReLU(LazyContext, DynamicReLU):
    """A :class:`DynamicReLU` before its first input tells the number of channels."""

    cls_to_become = DynamicReLU


def make(
    variant: Variant = "B",
    n_pieces: int = 2,
    reduction: int = 4,
    lambda_a: float = 1.0,
    lambda_b: float = 0.5,
    seed: int = 0,
    n_channels: int | None = None,
    channel_dim: int = 1,
    backend: str = "auto",
) -> nn.Module:
    """Return a :class:`DynamicReLU`."""
    kind = LazyDynamicReLU if n_channels is None else DynamicReLU
    return kind(
        n_channels,
        variant,
        n_pieces=n_pieces,
        reduction=reduction,
        lambda_a=lambda_a,
        lambda_b=lambda_b,
        channel_dim=channel_dim,
        seed=seed,
        backend=backend,
    )


@cache
def _pieces(n_pieces: int, backend: str) -> CompiledActivation:
    """Return the greatest of the pieces as a compiled function of x, a1, ..., aK, b1, ..., bK.

    Ties go to the later piece: the slope at zero is relu's, and of pieces that start equal only one moves, so that they
    do not stay equal.
    """
    pieces = [f"(a{k}[{float(k == 1)}]*x + b{k}[0.0])" for k in range(1, n_pieces + 1)]
    greatest = pieces[-1]
    for piece in reversed(pieces[:-1]):
        greatest = f"({piece} if {piece} > {greatest} else {greatest})"
    return compile(greatest, backend)
