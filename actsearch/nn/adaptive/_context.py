"""What activations share whose parameters are computed from the whole input: pooling, lazy shapes, fixed draws."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from actsearch.errors import ActivationError
from actsearch.nn.activation import check_channel_dim

#: Shape of a parameter and its start: a number, or None for draws from N(0, 1 / fan_in).
Start = tuple[tuple[int, ...], float | None]


class ContextActivation(nn.Module):
    """Base of the activations with a hyper-function: shape in = shape out, parameters from the input's mean.

    Weights are drawn from the module's own ``seed``, so making one takes nothing from torch's random state.

    Args:
        n_channels: number of channels; None: told by the first input, through torch's protocol for lazy modules.
        channel_dim: dimension of the input that counts channels; -1 for (batch, time, channel).
        seed: of the weights' draws.
    """

    #: It is no elementwise function: initialisation measures it on samples, see :func:`actsearch.gain`.
    mixes_channels = True

    #: Which of the names in :meth:`starts` are no parameters: statistics of what was seen.
    statistics: tuple[str, ...] = ()

    def __init__(self, n_channels: int | None, channel_dim: int, seed: int) -> None:
        super().__init__()
        if n_channels is not None and n_channels < 1:
            raise ActivationError(f"n_channels is {n_channels}; an activation has at least one channel")
        self.n_channels = n_channels
        self.channel_dim = channel_dim
        self.seed = seed

    def starts(self, n_channels: int) -> Mapping[str, Start]:
        """Return shape and start of every parameter and statistic."""
        raise NotImplementedError

    def channels_of_state(self) -> int:
        """Return the number of channels that loaded parameters are for."""
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Set every parameter and statistic to its start."""
        assert self.n_channels is not None
        generator = torch.Generator().manual_seed(self.seed)
        with torch.no_grad():
            for name, (shape, start) in self.starts(self.n_channels).items():
                tensor = getattr(self, name)
                if start is None:
                    draws = torch.randn(shape, generator=generator, dtype=torch.float32)
                    tensor.copy_(draws / math.sqrt(shape[1]))
                else:
                    tensor.fill_(start)

    def _make_parameters(self) -> None:
        lazy = self.n_channels is None
        for name, (shape, _) in self.starts(self.n_channels or 1).items():
            tensor: Any  # torch types its lazy ones as no tensors
            if name in self.statistics:
                tensor = _LazyBuffer() if lazy else torch.empty(shape)
                self.register_buffer(name, tensor)
            else:
                tensor = UninitializedParameter() if lazy else nn.Parameter(torch.empty(shape))
                self.register_parameter(name, tensor)
        if not lazy:
            self.reset_parameters()

    def _channels_second(self, x: Tensor) -> Tensor:
        """Return the input with channels as dimension 1.

        Raises:
            ActivationError: too few dimensions, or another number of channels than the parameters are for.
        """
        check_input(x, self.channel_dim)
        if x.shape[self.channel_dim] != self.n_channels:
            raise ActivationError(
                f"the input has {x.shape[self.channel_dim]} channels (shape {tuple(x.shape)}, "
                f"channel_dim={self.channel_dim}), but the activation has parameters for {self.n_channels}; make one "
                "for each place where the number differs"
            )
        return x.movedim(self.channel_dim, 1)

    def extra_repr(self) -> str:
        """Return the channels."""
        return f"n_channels={self.n_channels}, channel_dim={self.channel_dim}"


class _LazyBuffer(UninitializedBuffer):
    """Torch's uninitialised buffer, which can be copied as its uninitialised parameter can."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        data: Tensor = self.data
        copied: Any = type(self)
        return memo.setdefault(id(self), copied(device=data.device, dtype=data.dtype))


class LazyContext(LazyModuleMixin, ContextActivation):
    """The mixin of a :class:`ContextActivation` before its first input."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            # torch calls its lazy modules, here since 1.8, a new feature
            warnings.filterwarnings("ignore", message="Lazy modules are a new feature")
            super().__init__(*args, **kwargs)

    def initialize_parameters(self, x: Tensor) -> None:
        """Give the parameters their shapes and starts."""
        if not any(is_lazy(parameter) for parameter in self.parameters()):  # a state dict was loaded
            self.n_channels = self.channels_of_state()
            return
        check_input(x, self.channel_dim)
        self.n_channels = x.shape[self.channel_dim]
        for name, (shape, _) in self.starts(self.n_channels).items():
            getattr(self, name).materialize(shape)
        self.reset_parameters()


def check_input(x: Tensor, channel_dim: int) -> None:
    """Raise ActivationError unless the input has a batch dimension and the channel dimension beside it."""
    check_channel_dim(x, channel_dim)
    if channel_dim in (0, -x.ndim):
        raise ActivationError(
            f"the input has shape {tuple(x.shape)} and its dimension 0 is the batch, so channel_dim={channel_dim} "
            "cannot count channels"
        )


def pooled(x: Tensor) -> Tensor:
    """Return the mean over positions, (N, C, ...) -> (N, C)."""
    return x if x.ndim == 2 else x.flatten(2).mean(2)


def by_row(x: Tensor, n_rows: int) -> Tensor:
    """Return a view (1, n_rows, rest): parameters then vary along one dimension, as C kernels need."""
    return x.reshape(1, n_rows, x.numel() // n_rows if n_rows else 0)
