"""The C kernels of a population's members at one place of the net, called with the addresses of their slices."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from actsearch.compiler import python_op
from actsearch.compiler.c_backend import NAMES, Loops, load, printable
from actsearch.compiler.c_source import BLOCK
from actsearch.expr.program import lower
from actsearch.nn.activation import Activation

_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_int64


@dataclass(frozen=True)
class _Piece:
    """A part of a slice whose sums a kernel adds up: where it begins, in bytes, and how large it is."""

    begin: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class _Member:
    """Who has kernels: the C functions, the sizes of a whole slice and its pieces, and where its sums are."""

    number: int
    value: Callable[..., None]
    slopes: Callable[..., None]
    sizes: tuple[int, ...]
    pieces: tuple[_Piece, ...]
    parameters: tuple[nn.Parameter, ...]
    first_sum: int


class Kernels:
    """Kernels for stacks of one type and shape.

    An activation has them where its program can be printed in C, and its parameters are numbers as they are trained,
    without a constraint: either one for the layer each, or one for each channel. Sums over a slice are those of the
    single fit, to the bit.

    Args:
        members: everybody's activation at one place; None is padding.
        x: a stack, shape (K, ...).

    Attributes:
        served: the numbers of the members that have kernels.
        parameters: what those learn, member by member.
    """

    def __init__(self, members: dict[int, Activation | None], x: Tensor) -> None:
        self._members: list[_Member] = []
        self._n_sums = 0
        for number, part in members.items():
            if part is not None and (member := self._member(number, part, x)) is not None:
                self._members.append(member)
                self._n_sums += sum(parameter.numel() for parameter in member.parameters)
        self.served = {member.number for member in self._members}
        self.parameters = [parameter for member in self._members for parameter in member.parameters]
        self._n_pieces = max((len(member.pieces) for member in self._members), default=0)

    def value(self, x: Tensor, y: Tensor) -> None:
        """Write the functions at ``x`` into the slices of ``y``; both are contiguous."""
        step, a, b = x.stride(0) * x.element_size(), x.data_ptr(), y.data_ptr()
        for member in self._members:
            at = member.number * step
            member.value(a + at, b + at, _table(member.parameters), *member.sizes)

    def slopes(self, x: Tensor, gradient: Tensor, result: Tensor) -> list[Tensor]:
        """Write the gradients in ``x`` into ``result``, and return those of ``parameters``."""
        step, wide = x.stride(0) * x.element_size(), torch.finfo(torch.float64).bits // 8
        a, b, c = x.data_ptr(), gradient.data_ptr(), result.data_ptr()
        sums = torch.zeros(2, self._n_pieces, self._n_sums, dtype=torch.float64)  # and what they are too large by
        s, r = sums[0].data_ptr(), sums[1].data_ptr()
        for member in self._members:
            table = _table(member.parameters)
            for row, piece in enumerate(member.pieces):
                at = member.number * step + piece.begin
                into = (row * self._n_sums + member.first_sum) * wide
                rest = () if len(piece.sizes) == 1 else (r + into,)
                member.slopes(a + at, b + at, c + at, table, s + into, *rest, *piece.sizes)
        if not self.parameters:
            return []
        total = python_op.summed(sums[0] - sums[1]).to(self.parameters[0].dtype)
        parts = torch.split(total, [parameter.numel() for parameter in self.parameters])
        return [part.view(parameter.shape) for part, parameter in zip(parts, self.parameters, strict=True)]

    def _member(self, number: int, part: Activation, x: Tensor) -> _Member | None:
        dim = _channel_dim(part, x[number])
        loops = None if dim is None else _loops(part, x, dim >= 0)
        if dim is None or loops is None:
            return None
        sizes = (x[number].numel(),) if dim < 0 else tuple(python_op.sizes(x[number], dim))
        outer, row = (sizes[0], 1) if dim < 0 else (sizes[0], sizes[1] * sizes[2])
        size = outer if not part.slots else BLOCK if dim < 0 else python_op.rows_of_group(outer, row)
        begins = range(0, outer, size) if outer else ()
        pieces = tuple(
            _Piece(begin * row * x.element_size(), (min(size, outer - begin), *sizes[1:])) for begin in begins
        )
        value, slopes = _functions(loops, len(sizes))
        return _Member(
            number, value, slopes, sizes, pieces, tuple(getattr(part, slot.raw) for slot in part.slots), self._n_sums
        )


def _channel_dim(part: Activation, x: Tensor) -> int | None:
    """Return the dimension of a slice that counts channels; -1: parameters are one number each; None: no kernels."""
    if type(part) is not Activation or any(slot.parameter.constraint != "real" for slot in part.slots):
        return None
    if any(parameter.dtype != x.dtype or x.dtype == torch.bfloat16 for parameter in part.parameters()):
        return None  # kernels read float32 there
    channels = {slot.per_channel for slot in part.slots}
    if channels != {True}:
        return None if True in channels else -1
    dim = part.channel_dim % x.dim() if -x.dim() <= part.channel_dim < x.dim() else None
    return dim if dim is not None and x.shape[dim] == part.n_channels else None


def _loops(part: Activation, x: Tensor, channels: bool) -> Loops | None:
    if part.compiled.backend not in ("c", "auto") or x.device.type != "cpu" or x.dtype not in NAMES:
        return None
    program = lower(part.expr)
    return load(program, NAMES[x.dtype], channels) if printable(program) else None


def _functions(loops: Loops, n_sizes: int) -> tuple[Any, Any]:
    # libraries stay loaded, and addresses right, for the life of the process
    n_sums = 1 if n_sizes == 1 else 2
    counts = [_COUNT] * n_sizes
    value = ctypes.CFUNCTYPE(None, *[_POINTER] * 3, *counts)(loops.value)
    slopes = ctypes.CFUNCTYPE(None, *[_POINTER] * (4 + n_sums), *counts)(loops.slopes)
    return value, slopes


def _table(parameters: Sequence[nn.Parameter]) -> Any:
    return (_POINTER * len(parameters))(*(p.data_ptr() for p in parameters)) if parameters else None
