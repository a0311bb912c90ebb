"""Whether a tensor is as plain as kernels need it."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode


def is_plain(x: torch.Tensor) -> bool:
    """Whether ``x`` is a strided tensor of no subclass that can be read, outside every transform and trace."""
    return (
        not torch.compiler.is_compiling()  # first: a trace can look no further
        and type(x) in (torch.Tensor, torch.nn.Parameter)
        and x.layout == torch.strided
        and has_memory(x)
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
        and _get_current_dispatch_mode() is None
        and not torch._C._get_tracing_state()
    )


def has_memory(x: torch.Tensor) -> bool:
    """Whether the numbers of ``x`` can be read: it is no batch of gradients, no lazy zeros, no lazy change of sign."""
    return torch._C._has_storage(x) and not x.is_neg() and not x._is_zerotensor()
