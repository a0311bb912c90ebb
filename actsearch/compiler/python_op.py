"""The torch op for machines without a C++ compiler: the same kernels, called through ctypes on one thread.

It splits work as ``kernel_op.cpp`` does, so both give the same bits.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from actsearch.compiler.c_source import BLOCK
from actsearch.compiler.eager import has_memory

if TYPE_CHECKING:
    from actsearch.compiler.c_backend import Loops, Second

_GROUPS, _ROWS, _GRAIN = 64, 4, 32768  # as kernel_op.cpp has them
_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_int64


def run(loops: Loops, second: Second, dim: int, x: torch.Tensor, parameters: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the function at ``x``.

    Args:
        loops: of the kind that ``dim`` asks for.
        second: the derivative that can be differentiated itself.
        dim: what :func:`channel_dim` says.
        x: a plain tensor of the CPU.
        parameters: the same.
    """
    y: torch.Tensor = _Run.apply(loops, second, dim, x, *parameters)  # type: ignore[no-untyped-call]
    return y


def channel_dim(x: torch.Tensor, parameters: Sequence[torch.Tensor]) -> int | None:
    """Return the dimension of ``x`` along which parameters vary: -1 when none does, None when it is not one."""
    found = -1
    for p in parameters:
        for i, size in enumerate(p.shape):
            d = x.dim() - p.dim() + i
            if size == 1:
                continue
            if size == 0 or d < 0 or size != x.shape[d] or found not in (-1, d):
                return None
            found = d
    return found


class _Run(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loops: Loops, second: Second, dim: int, x: torch.Tensor, *parameters: torch.Tensor) -> Any:
        ctx.save_for_backward(x, *parameters)
        ctx.loops, ctx.second, ctx.dim = loops, second, dim
        x = _readable(x, dim)
        arrays = _arrays(x, parameters, dim)
        y = torch.empty_like(x)
        if dim < 0:
            _call(loops.value, [x, y, _table(arrays)], [x.numel()])
        else:
            _call(loops.value, [x, y, _table(arrays)], _sizes(x, dim))
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, *parameters = ctx.saved_tensors
        if torch.is_grad_enabled() or not has_memory(grads[0]):
            return (None, None, None, *ctx.second(x, grads[0], *parameters))
        x = _readable(x, ctx.dim)
        g = grads[0].to(x.dtype)
        g = g if g.stride() == x.stride() else torch.empty_like(x).copy_(g)
        arrays, gx = _arrays(x, parameters, ctx.dim), torch.empty_like(x)
        if not parameters:
            _call(ctx.loops.slopes, [x, g, gx, None, None], [x.numel()])
            return None, None, None, gx
        parts = (_blocks if ctx.dim < 0 else _groups)(ctx, x, g, gx, arrays)
        total = _summed(parts).view(len(parameters), -1)
        sums = [one if p.numel() > 1 else _summed(one.view(-1, 1)) for p, one in zip(parameters, total, strict=True)]
        return (
            None,
            None,
            None,
            gx,
            *(one.to(p.dtype).view(p.shape) for p, one in zip(parameters, sums, strict=True)),
        )


def _blocks(ctx: Any, x: torch.Tensor, g: torch.Tensor, gx: torch.Tensor, arrays: list[torch.Tensor]) -> torch.Tensor:
    pieces = [_pieces(tensor, (x.numel(),), BLOCK) for tensor in (x, g, gx)]
    parts = torch.zeros(len(pieces[0]), len(arrays), dtype=torch.float64)
    table = _table(arrays)
    for row, (a, b, c) in enumerate(zip(*pieces, strict=True)):
        _call(ctx.loops.slopes, [a, b, c, table, parts[row]], [a.numel()])
    return parts


def _groups(ctx: Any, x: torch.Tensor, g: torch.Tensor, gx: torch.Tensor, arrays: list[torch.Tensor]) -> torch.Tensor:
    outer, channels, inner = _sizes(x, ctx.dim)
    size = _rows_of_group(outer, channels * inner)
    pieces = [_pieces(tensor, (outer, channels * inner), size) for tensor in (x, g, gx)]
    parts = torch.zeros(len(pieces[0]), len(arrays) * channels, dtype=torch.float64)
    rests = torch.zeros_like(parts)
    table = _table(arrays)
    for row, (a, b, c) in enumerate(zip(*pieces, strict=True)):
        _call(ctx.loops.slopes, [a, b, c, table, parts[row], rests[row]], [a.shape[0], channels, inner])
    return parts - rests


def _pieces(tensor: torch.Tensor, shape: tuple[int, ...], size: int) -> tuple[torch.Tensor, ...]:
    """Return the memory of a dense tensor, as ``shape``, in pieces of ``size`` rows; none when it is empty."""
    return torch.split(tensor.as_strided((tensor.numel(),), (1,)).view(shape), size) if tensor.numel() else ()


def _readable(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Return ``x`` where its memory can be read straight through, else a contiguous copy."""
    dense = x.is_contiguous() or (_is_dense(x) and (dim < 0 or x.stride(dim) == 1))
    return x if dense else x.contiguous()


def _is_dense(x: torch.Tensor) -> bool:
    """Whether the elements fill their memory, in some order of dimensions."""
    expected = 1
    for stride, size in sorted((stride, size) for stride, size in zip(x.stride(), x.shape, strict=True) if size != 1):
        if stride != expected:
            return False
        expected *= size
    return True


def _rows_of_group(outer: int, row: int) -> int:
    """Return how many of ``outer`` rows, each of ``row`` elements, a kernel by channel adds up in one call."""
    return max(1, -(-outer // _GROUPS), -(-_GRAIN // row) if row else 1, min(outer, _ROWS))


def _sizes(x: torch.Tensor, dim: int) -> list[int]:
    """Return (outer, channels, inner) of a dense tensor whose dimension ``dim`` counts channels."""
    if not x.is_contiguous():  # channels last
        return [x.numel() // x.shape[dim], x.shape[dim], 1]
    outer, inner = x.shape[:dim].numel(), x.shape[dim + 1 :].numel()
    return [outer, x.shape[dim], inner]


def _arrays(x: torch.Tensor, parameters: Sequence[torch.Tensor], dim: int) -> list[torch.Tensor]:
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    flat = [p.detach().to(dtype).reshape(-1) for p in parameters]
    return [p.expand(x.shape[dim]).contiguous() if dim >= 0 and p.numel() == 1 else p.contiguous() for p in flat]


def _table(arrays: Sequence[torch.Tensor]) -> Any:
    return (_POINTER * max(1, len(arrays)))(*(array.data_ptr() for array in arrays))


def _call(address: int, tensors: Sequence[Any], counts: Sequence[int]) -> None:
    function = ctypes.CFUNCTYPE(None, *[_POINTER] * len(tensors), *[_COUNT] * len(counts))(address)
    pointers = [
        t.data_ptr() if isinstance(t, torch.Tensor) else ctypes.cast(t, _POINTER) if t is not None else None
        for t in tensors
    ]
    function(*pointers, *counts)


def _summed(parts: torch.Tensor) -> torch.Tensor:
    """Return the sum over the first dimension in its order, compensated (Neumaier)."""
    total, rest = parts.new_zeros(parts.shape[1]), None
    for part in parts:
        s = total + part
        lost = torch.where(total.abs() >= part.abs(), (total - s) + part, (part - s) + total)
        lost = torch.where(torch.isfinite(s), lost, 0.0)
        rest = lost if rest is None else rest + lost
        total = s
    return total if rest is None else total + rest
