"""The C backend: kernels for the CPU, built in a tenth of a second, cached on disk, run by one torch op.

A kernel serves a plain CPU tensor of float32, float64 or bfloat16 in eager mode. Whatever else comes (a transform, a
trace, another device or type, parameters that vary along two dimensions) is the reference's.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import _get_current_dispatch_mode

from actsearch.compiler import c_op, python_op
from actsearch.compiler.build import Compiler, c_compiler, digest, library, notice
from actsearch.compiler.c_source import kernels, prelude
from actsearch.compiler.c_templates import TEMPLATES
from actsearch.expr.differentiate import gradient
from actsearch.expr.expand import expand
from actsearch.expr.graph import Program
from actsearch.expr.ops import LEAVES

NAMES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
_LOOPS = ("value", "slopes", "value_channel", "slopes_channel")

#: The derivative when it is to be differentiated itself: ``second(x, gradient, *parameters)`` gives all gradients.
Second = Callable[..., Any]


@dataclass(frozen=True)
class Loops:
    """Addresses of the loops of one program and one type; 0 where there is none."""

    value: int
    slopes: int
    value_channel: int
    slopes_channel: int
    library: ctypes.CDLL = field(repr=False, compare=False)  # kept loaded


class CKernels:
    """The kernels of one program, built for a type when it is first met.

    Args:
        program: what is computed; one output.
        second: the reference's derivative, for a backward that is to be differentiated.
    """

    def __init__(self, program: Program, second: Second) -> None:
        self.program = program
        self.second = second
        self.served = printable(program)
        self._made: dict[torch.dtype, Any] = {}

    def __call__(self, x: torch.Tensor, *parameters: torch.Tensor | float) -> torch.Tensor | None:
        """Return the function at ``x``, None where a kernel does not serve."""
        if not self.served or not eager(x):
            return None
        tensors = [p if isinstance(p, torch.Tensor) else torch.tensor(p, dtype=torch.float64) for p in parameters]
        if not all(eager(p) for p in tensors):
            return None
        run = self._made.get(x.dtype)
        if run is None:
            run = self._make(x.dtype)
            if run is None:
                return None
        return run(x, tensors)

    def _make(self, dtype: torch.dtype) -> Any:
        loops = load(self.program, NAMES[dtype])
        if loops is None:
            self.served = False
            return None
        op = c_op.ready()
        if op is None:  # no C++ compiler, or it is still at work: the same kernels through a slower door
            return lambda x, tensors: python_op.run(loops, self.second, x, tensors)
        kernel = op.make_kernel(loops.value, loops.slopes, loops.value_channel, loops.slopes_channel, self.second)
        self._made[dtype] = lambda x, tensors: op.run(x, tensors, kernel)
        return self._made[dtype]


def eager(x: torch.Tensor) -> bool:
    """Whether ``x`` is a plain CPU tensor of a type that has kernels, outside every transform and trace."""
    return (
        type(x) in (torch.Tensor, torch.nn.Parameter)
        and x.dtype in NAMES
        and x.device.type == "cpu"
        and x.layout == torch.strided
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
        and _get_current_dispatch_mode() is None
        and not torch._C._get_tracing_state()
    )


@lru_cache(maxsize=4096)
def printable(program: Program) -> bool:
    """Whether every operation has a C template."""
    nodes = (*expand(program).nodes, *expand(gradient(program)).nodes)
    return all(node.op in TEMPLATES or node.op in LEAVES for node in nodes)


@lru_cache(maxsize=4096)
def load(program: Program, dtype: str) -> Loops | None:
    """Return the loops of a program, built first where they are not in the cache; None without a compiler."""
    compiler = c_compiler()
    if compiler is None:
        return None
    name, text = source_of(program, dtype)
    return _loops(build_parts(compiler, dtype, [text]), name)


def source_of(program: Program, dtype: str) -> tuple[str, str]:
    """Return a name that stands for the program, and its C source under that name."""
    text = kernels("NAME", program, gradient(program), dtype)
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


def _loops(path: Path | None, name: str) -> Loops | None:
    if path is None:
        return None
    try:
        loaded = ctypes.CDLL(str(path))
    except OSError as error:
        notice(f"a kernel could not be loaded, torch operations serve instead ({error})")
        return None
    addresses = {loop: _address(loaded, f"{name}_{loop}") for loop in _LOOPS}
    return Loops(**addresses, library=loaded)


def _address(loaded: ctypes.CDLL, name: str) -> int:
    return ctypes.cast(getattr(loaded, name), ctypes.c_void_p).value or 0 if hasattr(loaded, name) else 0
