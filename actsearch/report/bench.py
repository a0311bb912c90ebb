"""How fast a formula runs here: beside torch's own function, the same as torch operations, and a plain copy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import sympy
import torch

from actsearch.compiler import c_backend, c_op
from actsearch.compiler.build import c_compiler
from actsearch.compiler.compiled import CompiledActivation
from actsearch.compiler.triton_backend import is_installed
from actsearch.errors import BenchError, suggest
from actsearch.expr.fingerprint import is_constant
from actsearch.expr.program import lower
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import format
from actsearch.report.contenders import built, eager_of, torch_compiled
from actsearch.report.native import native_of
from actsearch.report.timing import Function, Inputs, inputs, shortest

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}
SIZES = (2**12, 2**16, 2**20, 2**22)
LARGEST = 2**32
_MOST_THREADS = 1024


@dataclass(frozen=True)
class Row:
    """The times of one size; None where there is nothing to compare with.

    Attributes:
        elements: of the input.
        seconds: of a forward and a backward.
        to_native: ratio of ``seconds`` to torch's own function.
        to_eager: ratio to the same formula in torch operations under autograd.
        to_compiled: ratio to that under ``torch.compile``.
        forward_rate: bytes a second of a forward, which reads the input and writes the result.
        backward_rate: of a backward, which reads the input and a gradient and writes a gradient.
        copy_rate: of ``y.copy_(x)``, which reads and writes as much as a forward.
    """

    elements: int
    seconds: float
    to_native: float | None
    to_eager: float | None
    to_compiled: float | None
    forward_rate: float
    backward_rate: float
    copy_rate: float


@dataclass(frozen=True)
class Bench:
    """What :func:`bench` found.

    Attributes:
        formula: the expression's text.
        dtype: name of the type.
        device: where it ran.
        threads: of torch.
        backend: what ran it.
        reason: why that was not what was asked for; empty where it was.
        native: torch's own function that is the same; None where torch has none.
        build_seconds: from the new expression to its first forward and backward, nothing being cached.
        compile_seconds: the same by ``torch.compile``; None where it was not asked for or failed.
        saved_bytes: kept for the backward, at the largest size.
        saved_beside: tensors as large as the input kept besides it.
        eager_saved_bytes: what the formula in torch operations keeps; None where autograd cannot differentiate it.
        rows: one a size.
    """

    formula: str
    dtype: str
    device: str
    threads: int
    backend: str
    reason: str
    native: str | None
    build_seconds: float
    compile_seconds: float | None
    saved_bytes: int
    saved_beside: int
    eager_saved_bytes: int | None
    rows: tuple[Row, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        return asdict(self)


def bench(
    spec: sympy.Expr | str,
    *,
    dtype: str = "float32",
    sizes: Sequence[int] = SIZES,
    threads: int | None = None,
    device: str = "cpu",
    backend: str = "auto",
    torch_compile: bool = False,
    seconds: float = 1.0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Bench:
    """Time a formula, in turns with what it is compared with, and return the ratios of the smallest times.

    Args:
        spec: catalog name, text, or SymPy expression. Parameters learn; a parameter per channel varies along the last
            of two dimensions.
        dtype: "float32", "float64", "bfloat16" or "float16".
        sizes: elements of the input, from 1 to 2**32.
        threads: of torch, while this runs; None: as many as it has.
        device: "cpu", "cuda" or "cuda:N".
        backend: as for :func:`actsearch.compile`.
        torch_compile: time ``torch.compile`` too, which takes some 20 s to begin with.
        seconds: about how long to time each size.
        progress: called with how many sizes are done, and of how many.

    Raises:
        ExprError: ``spec`` is not an expression.
        CompileError: there is no such backend, or it is not available.
        BenchError: a constant, an unknown type or device, or a size, number of threads or time out of range.

    Example:
        >>> found = bench("x * sigmoid(x)", sizes=[1000], backend="reference", seconds=0.01)
        >>> found.native, found.backend, found.saved_beside
        ('silu', 'reference', 0)
    """
    expr, place = to_expr(spec), _device(device)
    if is_constant(expr):
        raise BenchError(f"{format(expr)} is a constant, and takes no time")
    if dtype not in DTYPES:
        raise BenchError(f"there is no type {dtype!r}{suggest(dtype, DTYPES)} ({', '.join(DTYPES)})")
    if not sizes or not all(1 <= size <= LARGEST for size in sizes):
        raise BenchError(f"sizes are numbers of elements from 1 to 2^32, not {', '.join(map(str, sizes)) or 'none'}")
    if not seconds > 0:
        raise BenchError(f"seconds for each size must be positive, not {seconds:g}")
    with _threads(threads):
        return _bench(expr, DTYPES[dtype], sorted(set(sizes)), place, backend, torch_compile, seconds, progress)


def _bench(
    expr: sympy.Expr,
    dtype: torch.dtype,
    sizes: Sequence[int],
    device: torch.device,
    backend: str,
    torch_compile: bool,
    seconds: float,
    progress: Callable[[int, int], None],
) -> Bench:
    progress(0, len(sizes))
    data = inputs(expr, 1, dtype, device)
    ours, build_seconds = built(expr, backend, data)
    served = _served(ours, data)
    native, eager = native_of(expr), eager_of(expr, data)
    compiled, compile_seconds = torch_compiled(eager, data) if torch_compile and eager else (None, None)
    rows = []
    for size in sizes:
        data = _inputs(expr, size, dtype, device)
        rows.append(_row(data, ours, [native and native[1], eager, compiled], seconds))
        progress(len(rows), len(sizes))
    saved = data.saved(ours)
    return Bench(
        formula=format(expr),
        dtype=str(dtype).removeprefix("torch."),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        threads=torch.get_num_threads(),
        backend=served,
        reason=_reason(expr, backend, served, data.x),
        native=native and native[0],
        build_seconds=build_seconds,
        compile_seconds=compile_seconds,
        saved_bytes=sum(tensor.nbytes for tensor in saved),
        saved_beside=sum(t.shape == data.x.shape and t.data_ptr() != data.x.data_ptr() for t in saved),
        eager_saved_bytes=sum(tensor.nbytes for tensor in data.saved(eager)) if eager else None,
        rows=tuple(rows),
    )


def _row(data: Inputs, ours: Function, others: Sequence[Function | None], seconds: float) -> Row:
    """Time one size."""
    known = [other for other in others if other is not None]
    steps = [data.both(function) for function in (ours, *known)]
    parts = [data.forward(ours), data.backward(ours), data.copy()]
    times = shortest([*steps, *parts], seconds, data.x.device)
    (step, *rest), (forward, backward, copy) = times[: len(steps)], times[len(steps) :]
    ratios = {id(function): step / other for function, other in zip(known, rest, strict=True)}
    native, eager, compiled = (ratios.get(id(other)) for other in others)
    size = data.x.nbytes
    return Row(data.x.numel(), step, native, eager, compiled, 2 * size / forward, 3 * size / backward, 2 * size / copy)


def _inputs(expr: sympy.Expr, size: int, dtype: torch.dtype, device: torch.device) -> Inputs:
    try:
        return inputs(expr, size, dtype, device)
    except (RuntimeError, MemoryError) as error:
        raise BenchError(f"{size:,} elements do not fit into memory: {str(error).splitlines()[0]}") from error


def _served(ours: CompiledActivation, data: Inputs) -> str:
    """Return what ran the function, told by what autograd recorded."""
    recorded = data.forward(ours)().grad_fn
    if recorded is None or recorded.name() == "ActivationBackward":
        return "reference"
    return "triton" if recorded.name() == "RunBackward" else "c"


def _reason(expr: sympy.Expr, asked: str, served: str, x: torch.Tensor) -> str:
    """Return why the reference serves where a kernel was asked for, or why a kernel is slower than it could be."""
    if served == "triton":
        return ""
    if served == "c":
        return "" if c_op.load() else "no C++ compiler (CXX, g++, c++, clang++): kernels are called through Python"
    if asked == "reference":
        return "asked for"
    if asked == "triton" and x.device.type == "cpu":
        return "Triton kernels run on CUDA devices, not on the CPU"
    if x.device.type != "cpu":
        return _reason_on_cuda(asked)
    if c_compiler() is None:
        return "no C compiler was found (CC, gcc, cc, clang)"
    if x.dtype not in c_backend.NAMES:
        return f"there are C kernels for {', '.join(c_backend.NAMES.values())}, not for {str(x.dtype)[6:]}"
    if not c_backend.printable(lower(expr)):
        return "an operation of the formula has no form in C"
    return "its kernel could not be built"


def _reason_on_cuda(asked: str) -> str:
    if asked == "c":
        return "C kernels run on the CPU, not on CUDA devices"
    return "its kernel could not be built" if is_installed() else "Triton is not installed (pip install triton)"


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BenchError(f"there is no device {name!r}{suggest(name, ('cpu', 'cuda'))} (cpu, cuda, cuda:N)") from None
    if device.type not in ("cpu", "cuda"):
        raise BenchError(f"only cpu and cuda devices are timed, not {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BenchError(f"there is no device {name!r} here: torch sees {torch.cuda.device_count()} CUDA devices")
    return device


@contextmanager
def _threads(wanted: int | None) -> Iterator[None]:
    """Give torch so many threads while the block runs."""
    before = torch.get_num_threads()
    if wanted is not None and not 1 <= wanted <= _MOST_THREADS:
        raise BenchError(f"threads go from 1 to {_MOST_THREADS}, not {wanted}")
    torch.set_num_threads(wanted or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
