"""An activation whose number of channels is told by its first input, with torch's protocol for lazy modules."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter, is_lazy

from actsearch.nn.activation import Activation, Slot, check_channel_dim
from actsearch.nn.constraints import raw_start


class LazyActivation(LazyModuleMixin, Activation):
    """An :class:`Activation` with parameters per channel before the first input; it becomes one at its first call.

    Parameters per channel are ``torch.nn.parameter.UninitializedParameter`` until a call or a state dict gives them
    their shape. As with torch's own lazy modules, run one forward pass before counting parameters.
    """

    cls_to_become = Activation

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        with warnings.catch_warnings():
            # torch calls its lazy modules, here since 1.8, a new feature
            warnings.filterwarnings("ignore", message="Lazy modules are a new feature")
            super().__init__(*args, **kwargs)

    def initialize_parameters(self, x: Tensor) -> None:
        """Give the parameters per channel their shape and start values."""
        check_channel_dim(x, self.channel_dim)
        with torch.no_grad():
            for slot in self.slots:
                raw = self._raw(slot)
                if is_lazy(raw):
                    raw.materialize((x.shape[self.channel_dim],))
                    raw.fill_(raw_start(slot.parameter))

    def _start(self, slot: Slot, n_channels: int | None) -> nn.Parameter:
        if slot.per_channel:
            return UninitializedParameter()  # type: ignore[return-value] # torch types it as no Parameter
        return super()._start(slot, n_channels)
