"""The C backend: kernels for the CPU, built in a tenth of a second, cached on disk, run by one torch op.

A kernel serves a plain CPU tensor of float32, float64 or bfloat16 in eager mode, with parameters that are one number, a
number a channel, or a number an element. Whatever else comes (a transform, a trace, another device or type, parameters
that vary along some of several dimensions) is the reference's.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from actsearch.compiler import c_op, python_op
from actsearch.compiler.build import Compiler, c_compiler, digest, library, notice
from actsearch.compiler.c_branches import united
from actsearch.compiler.c_prelude import prelude
from actsearch.compiler.c_slopes import slopes
from actsearch.compiler.c_source import kernels
from actsearch.compiler.c_templates import TEMPLATES
from actsearch.compiler.eager import is_plain
from actsearch.expr.expand import expand
from actsearch.expr.graph import Program
from actsearch.expr.ops import LEAVES

NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
_SLOTS = {dtype: number for number, dtype in enumerate(NAMES)}  # as kernel_op.cpp numbers them

#: The derivative when it is to be differentiated itself: ``second(x, gradient, *parameters)`` gives all gradients.
Second = Callable[..., Any]


@dataclass(frozen=True)
class Loops:
    """Addresses of the loops of one program, one type, and one kind of parameters."""

    value: int
    slopes: int
    library: ctypes.CDLL = field(repr=False, compare=False)  # kept loaded


class CKernels:
    """The kernels of one program, built when a type is first met, and when parameters first vary along a dimension.

    Args:
        program: what is computed; one output.
        second: the reference's derivative, for a backward that is to be differentiated.

    Attributes:
        served: whether there are kernels for the program.
        run: called as ``run(x, *parameters)``: the function at ``x`` by kernels that have been built, else None. It
            decides that by itself, in the C++ op; only under ``torch.compile`` it must not be called.
    """

    def __init__(self, program: Program, second: Second) -> None:
        self.program = program
        self.second = second
        self.served = printable(program)
        self.run: Callable[..., torch.Tensor | None] = _nothing
        self._handle: int | None = None
        self._made: set[tuple[torch.dtype, bool]] = set()

    def __call__(self, x: torch.Tensor, *parameters: torch.Tensor | float) -> torch.Tensor | None:
        """Return the function at ``x``, by kernels that are built first where they are missing; None without any."""
        if not self.served or not eager(x):
            return None
        tensors = [p if isinstance(p, torch.Tensor) else torch.tensor(p, dtype=torch.float64) for p in parameters]
        if not all(eager(p) for p in tensors):
            return None
        dim = python_op.channel_dim(x, tensors)
        if dim is None:
            return self._by_element(x, tensors)
        loops = self._load(x.dtype, dim >= 0)
        if loops is None:
            return None
        op = c_op.ready()
        if op is None:  # no C++ compiler, or it is still at work: the same kernels through a slower door
            return python_op.run(loops, self.second, dim, x, tensors)
        self._make(op, x.dtype, dim >= 0, loops)
        return self.run(x, *tensors)

    def handle(self, x: torch.Tensor, *parameters: torch.Tensor) -> int | None:
        """Return by what the op's ``run_slices`` knows the kernels for such tensors, built first; None: it does not."""
        if not self.served or not eager(x) or (dim := python_op.channel_dim(x, parameters)) is None:
            return None
        loops, op = self._load(x.dtype, dim >= 0), c_op.ready()
        if loops is None or op is None:
            return None
        return self._make(op, x.dtype, dim >= 0, loops)

    def _load(self, dtype: torch.dtype, channels: bool) -> Loops | None:
        loops = load(self.program, NAMES[dtype], channels)
        self.served = loops is not None
        return loops

    def _make(self, op: Any, dtype: torch.dtype, channels: bool, loops: Loops) -> int:
        """Tell the op the loops, unless it knows them."""
        if self._handle is None:
            self._handle, self.run = op.make_kernel(len(self.program.parameters), self.second)
        if (dtype, channels) not in self._made:
            op.set_loops(self._handle, _SLOTS[dtype], channels, loops.value, loops.slopes)
            self._made.add((dtype, channels))
        return self._handle

    def _by_element(self, x: torch.Tensor, parameters: Sequence[torch.Tensor]) -> torch.Tensor | None:
        """Return the function where parameters have the shape of ``x``: each element is a channel of its own."""
        if x.dim() < 2 or not all(p.numel() == 1 or p.shape == x.shape for p in parameters):
            return None
        y = self(x.reshape(-1), *(p.reshape(-1) for p in parameters))
        return None if y is None else y.reshape(x.shape)


def _nothing(*_: Any) -> None:
    return None


def eager(x: torch.Tensor) -> bool:
    """Whether ``x`` is a plain CPU tensor of a type that has kernels, outside every transform and trace."""
    return is_plain(x) and x.dtype in NAMES and x.device.type == "cpu"


@lru_cache(maxsize=4096)
def printable(program: Program) -> bool:
    """Whether every operation has a C template."""
    nodes = (*expand(united(program)).nodes, *expand(slopes(program)).nodes)
    return all(node.op in TEMPLATES or node.op in LEAVES for node in nodes)


@lru_cache(maxsize=4096)
def load(program: Program, dtype: str, channels: bool = False) -> Loops | None:
    """Return the loops of a program, built first where they are not in the cache; None without a compiler.

    Args:
        program: what is computed.
        dtype: the name of the type.
        channels: for parameters of a number a channel, instead of those of one number each.
    """
    compiler = c_compiler()
    if compiler is None:
        return None
    name, text = source_of(program, dtype, channels)
    return _loops(build_parts(compiler, dtype, [text]), name, "_channel" if channels else "")


@lru_cache(maxsize=256)  # asked for by who fetches kernels, and again by who loads them
def source_of(program: Program, dtype: str, channels: bool = False) -> tuple[str, str]:
    """Return a name that stands for the program, and its C source under that name.

    Args:
        program: what is computed.
        dtype: the name of the type.
        channels: the loops for parameters of a number a channel, instead of those for one number each.
    """
    text = kernels("NAME", united(program), slopes(program), dtype, channels)
    name = f"k{digest(text, dtype)}"
    return name, text.replace("NAME_", f"{name}_")


def library_of(compiler: Compiler, dtype: str, parts: Sequence[str]) -> tuple[str, str]:
    """Return the key and the source of the library that holds ``parts``."""
    source = "\n".join([prelude(dtype, parts, compiler.vectors), *parts])
    return digest(source, compiler.identity, *compiler.command, *compiler.flags, *compiler.libraries), source


def build_parts(compiler: Compiler, dtype: str, parts: Sequence[str]) -> Path | None:
    """Return the library that holds ``parts``, built where it is missing; None when that fails."""
    key, source = library_of(compiler, dtype, parts)
    return library(key, lambda text: [*compiler.command, *compiler.flags, str(text), *compiler.libraries], source, ".c")


def _loops(path: Path | None, name: str, kind: str) -> Loops | None:
    if path is None:
        return None
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:
        notice(f"a kernel could not be loaded, torch operations serve instead ({error})")
        return None
    value, slopes = (_address(loaded, f"{name}_{loop}{kind}") for loop in ("value", "slopes"))
    return Loops(value, slopes, loaded)


def _address(loaded: ctypes.CDLL, name: str) -> int:
    address = ctypes.cast(getattr(loaded, name), ctypes.c_void_p).value
    assert address is not None
    return address
