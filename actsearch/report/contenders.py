"""The contenders of a benchmark: a formula compiled anew, in torch operations, and under ``torch.compile``."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sympy
import torch

from actsearch.compiler import c_backend, c_op, compile, reference
from actsearch.compiler.build import c_compiler
from actsearch.compiler.compiled import CompiledActivation
from actsearch.errors import BenchError
from actsearch.expr.program import lower
from actsearch.report.timing import Function, Inputs, wait_for

_CACHES = ("XDG_CACHE_HOME", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")


def built(expr: sympy.Expr, backend: str, data: Inputs) -> tuple[CompiledActivation, float]:
    """Return the function, and the seconds to its first forward and backward where nothing is cached."""
    compile("silu", backend)  # refuses the backend, and loads what a process loads once
    if data.x.device.type == "cpu" and backend in ("auto", "c") and c_compiler() is not None:
        c_op.load()  # made once for a version of torch
    with _empty_cache():
        start = time.perf_counter()
        ours = compile(expr, backend)
        data.both(ours)()
        wait_for(data.x.device)
        return ours, time.perf_counter() - start


@contextmanager
def _empty_cache() -> Iterator[None]:
    """Let kernels be built anew while the block runs; the caches on disk are neither read nor written."""
    with tempfile.TemporaryDirectory() as folder:
        before = {name: os.environ.get(name) for name in _CACHES}
        os.environ.update(dict.fromkeys(before, str(Path(folder) / "cache")))
        c_backend.load.cache_clear()
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def eager_of(expr: sympy.Expr, data: Inputs) -> Function | None:
    """Return the formula in torch operations, differentiated by autograd; None where autograd cannot."""
    value = reference.build(lower(expr)).value

    def function(x: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        return value(x.to(reference.compute_dtype(x.dtype)), *parameters).to(x.dtype)

    return function if data.forward(function)().requires_grad else None


def torch_compiled(eager: Function, data: Inputs) -> tuple[Function, float]:
    """Return the formula under ``torch.compile``, and the seconds to its first forward and backward, nothing cached.

    Something smaller goes through it before: what it loads once in a process is not counted.
    """
    try:
        with _empty_cache():
            data.both(torch.compile(lambda x, *parameters: x * 2.0))()
            start = time.perf_counter()
            compiled = torch.compile(eager, dynamic=False)
            data.both(compiled)()
            wait_for(data.x.device)
            return compiled, time.perf_counter() - start
    except Exception as error:  # Inductor needs a compiler of its own, and says so in many ways
        raise BenchError(f"torch.compile fails here: {str(error).strip().splitlines()[0]}") from error
