"""The autograd function that launches Triton kernels: forward saves the input and the parameters, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from actsearch.compiler.eager import has_memory

if TYPE_CHECKING:
    from actsearch.compiler.triton_backend import TritonKernels

_BLOCK = 1024  # elements of a program, eight a thread
_GROUPS = 4096  # programs that leave partial sums, at most; more take several blocks each
_WIDE = 2**30  # elements from which positions are counted in 64 bits: a block may end beyond the tensor
_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}


@dataclass(frozen=True)
class Layout:
    """How the memory of a dense tensor is read: (outer, channels, inner)."""

    size: int
    channels: int
    inner: int

    @property
    def rows(self) -> int:
        """Elements of one channel."""
        return self.size // self.channels

    @property
    def flags(self) -> dict[str, Any]:
        """What every kernel is told besides."""
        return {"WIDE": self.size >= _WIDE, **_OPTIONS}


def _layout(x: torch.Tensor, dim: int) -> Layout:
    return Layout(x.numel(), 1, 1) if dim < 0 else Layout(x.numel(), x.shape[dim], x.stride(dim))


class Run(torch.autograd.Function):
    """``Run.apply(kernels, dim, x, *parameters)``; the parameters vary along ``dim`` of x, -1 for none of them."""

    @staticmethod
    def forward(ctx: Any, kernels: TritonKernels, dim: int, x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        """Return the values."""
        ctx.save_for_backward(x, *parameters)
        ctx.kernels, ctx.dim = kernels, dim
        x, y = _readable(x)
        if x.numel():
            layout = _layout(x, dim)
            arrays = [p.contiguous() for p in parameters]
            with _device_of(x):
                kernels.module(x.dtype).value[(_parts(x.numel(), _BLOCK),)](
                    x, y, *arrays, x.numel(), layout.channels, layout.inner, *_varying(arrays), _BLOCK, **layout.flags
                )
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Return the gradients in x and in each parameter."""
        x, *parameters = ctx.saved_tensors
        g, kernels = grads[0], ctx.kernels
        if kernels.served and not torch.is_grad_enabled() and has_memory(g):
            try:
                return None, None, *_slopes(kernels, ctx.dim, x, g, parameters)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # as in the forward pass
                kernels.fail(error)
        return None, None, *kernels.second(x, g, *parameters)


def _slopes(
    kernels: TritonKernels, dim: int, x: torch.Tensor, g: torch.Tensor, parameters: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    x, dx = _readable(x)
    if not x.numel():
        return dx, *(torch.zeros_like(p) for p in parameters)
    g = g.to(x.dtype)
    g = g if g.stride() == x.stride() else torch.empty_like(x).copy_(g)
    layout, module = _layout(x, dim), kernels.module(x.dtype)
    with _device_of(x):
        if not parameters:
            module.slopes[(_parts(x.numel(), _BLOCK),)](x, g, dx, x.numel(), _BLOCK, **layout.flags)
            return (dx,)
        arrays = [p.contiguous() for p in parameters]
        columns = min(_power_of_two(2 * layout.channels - 1), _power_of_two(max(1, 64 // layout.inner)))
        across, blocks = _parts(layout.channels, columns), _parts(layout.rows, _BLOCK // columns)
        steps = _parts(blocks, max(1, _GROUPS // across))
        groups = _parts(blocks, steps)
        sums = x.new_empty((len(arrays), groups, layout.channels), dtype=torch.float64)
        module.slopes[(across, groups)](
            x, g, dx, sums, *arrays, layout.rows, layout.channels, layout.inner, steps, groups, *_varying(arrays),
            layout.channels == 1, layout.inner == 1, _BLOCK // columns, columns, **layout.flags,
        )  # fmt: skip
        results = [torch.empty_like(p) for p in arrays]
        module.total[(_parts(layout.channels, 32), len(arrays))](
            sums, *results, *_varying(arrays), groups, layout.channels, **_OPTIONS
        )
    return dx, *results


def _readable(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``x``, copied where its elements do not fill their memory, and an empty tensor of the same layout."""
    y = torch.empty_like(x)
    if y.stride() == x.stride():
        return x, y
    return x.contiguous(), torch.empty_like(x, memory_format=torch.contiguous_format)


def _device_of(x: torch.Tensor) -> AbstractContextManager[Any]:
    """Return the context in which the GPU of ``x`` is the current one."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def _varying(arrays: Sequence[torch.Tensor]) -> list[bool]:
    return [p.numel() > 1 for p in arrays]


def _parts(n: int, size: int) -> int:
    return -(-n // size)


def _power_of_two(n: int) -> int:
    """Return the largest power of two that is not above ``n``."""
    return 1 << (n.bit_length() - 1)
