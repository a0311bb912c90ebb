"""The Triton backend: kernels for CUDA tensors, printed from the program, cached on disk, run in eager autograd.

A kernel serves a plain CUDA tensor of float32, float64, bfloat16 or float16. Whatever else comes (a transform, a trace,
another device or type, parameters that vary along two dimensions, float64 powers with a general exponent) is the
reference's. Under Triton's interpreter (``TRITON_INTERPRET=1``, set before Triton is imported) CPU tensors are served
too.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from actsearch.compiler.build import cache_folder, digest, notice
from actsearch.compiler.c_backend import Second
from actsearch.compiler.c_simplify import simplify
from actsearch.compiler.eager import is_plain
from actsearch.compiler.python_op import channel_dim
from actsearch.compiler.triton_run import Run
from actsearch.compiler.triton_source import module_source
from actsearch.compiler.triton_templates import SINGLE_ONLY, TEMPLATES
from actsearch.expr.differentiate import gradient
from actsearch.expr.expand import expand
from actsearch.expr.graph import Program
from actsearch.expr.ops import LEAVES

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


class TritonKernels:
    """The kernels of one program, compiled by Triton for a type when it is first met.

    Args:
        program: What is computed; one output.
        second: The reference's derivative, for a backward that is to be differentiated.
    """

    def __init__(self, program: Program, second: Second) -> None:
        self.program = program
        self.second = second
        self.served = True

    def __call__(self, x: torch.Tensor, *parameters: torch.Tensor | float) -> torch.Tensor | None:
        """Return the function at ``x``, None where a kernel does not serve."""
        if not self.served or not _serves(x) or not printable(self.program, x.dtype == torch.float64):
            return None
        tensors = [_on_device(p, x.device) for p in parameters]
        if not all(_serves(p) and p.device == x.device for p in tensors):
            return None
        dim = channel_dim(x, tensors)
        if dim is None:
            return None
        try:
            y: torch.Tensor = Run.apply(self, dim, x, *tensors)  # type: ignore[no-untyped-call]
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # whatever Triton meets on the way from source to GPU
            self.fail(error)
            return None
        return y

    def module(self, dtype: torch.dtype) -> ModuleType:
        """Return the generated module for a type."""
        return load(source_of(self.program, dtype == torch.float64))

    def fail(self, error: Exception) -> None:
        """Leave everything to the reference from now on, and say so."""
        self.served = False
        lines = str(error).strip().splitlines() or [type(error).__name__]
        notice(f"Triton could not build or run a kernel, torch operations serve instead ({lines[-1]})")


@lru_cache(maxsize=1)
def is_installed() -> bool:
    """Whether Triton can be imported."""
    return importlib.util.find_spec("triton") is not None


def is_interpreted() -> bool:
    """Whether Triton's interpreter runs the kernels, on CPU tensors."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _serves(x: torch.Tensor) -> bool:
    return is_plain(x) and x.dtype in DTYPES and (x.is_cuda or (is_interpreted() and x.device.type == "cpu"))


def _on_device(p: torch.Tensor | float, device: torch.device) -> torch.Tensor:
    """Return a number as a tensor on the device; a single one may come from the CPU, as in torch's operations."""
    if not isinstance(p, torch.Tensor):
        return torch.tensor(p, dtype=torch.float64, device=device)
    return p.to(device) if p.dim() == 0 else p


@lru_cache(maxsize=4096)
def printable(program: Program, double: bool) -> bool:
    """Whether every operation has a Triton template in the type of computation."""
    nodes = (node for one in (program, gradient(program)) for node in simplify(expand(one), double).nodes)
    missing = SINGLE_ONLY if double else frozenset()
    return all(node.op in LEAVES or (node.op in TEMPLATES and node.op not in missing) for node in nodes)


@lru_cache(maxsize=4096)
def source_of(program: Program, double: bool) -> str:
    """Return the Triton source of a program, for computation in float64 or float32."""
    return module_source(program, gradient(program), double)


@lru_cache(maxsize=4096)
def load(source: str) -> ModuleType:
    """Return the module of a generated source; Triton reads it from a file, whose name is the source's hash."""
    key = f"triton_{digest(source)}"
    spec = importlib.util.spec_from_file_location(key, _written(f"{key}.py", source))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _written(name: str, source: str) -> Path:
    """Return a file of the cache that holds ``source``; one of the process's own where the cache cannot be written."""
    for place in (cache_folder, _private_folder):
        path = place() / name
        try:
            if not path.is_file() or path.read_text() != source:
                path.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=path.parent, prefix="building-") as folder:
                    written = Path(folder) / name
                    written.write_text(source)
                    os.replace(written, path)
        except OSError as error:
            failure = error
        else:
            return path
    raise failure


@lru_cache(maxsize=1)
def _kept() -> Any:
    return tempfile.TemporaryDirectory(prefix="actsearch-")  # removed when the process ends


def _private_folder() -> Path:
    return Path(_kept().name)
