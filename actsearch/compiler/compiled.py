"""``compile``: from an expression to a function on tensors, differentiable any number of times."""

from __future__ import annotations

import copy
from typing import Any

import sympy
import torch

from actsearch.compiler import reference
from actsearch.compiler.build import c_compiler
from actsearch.compiler.c_backend import CKernels
from actsearch.compiler.triton_backend import TritonKernels, is_installed
from actsearch.errors import CompileError, ExprError, MissingExtraError, suggest
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.program import lower
from actsearch.expr.resolve import to_expr

_BACKENDS = ("auto", "reference", "c", "triton")
_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)
_NO_ELEMENTWISE = (*_SPARSE, torch._mkldnn)  # type: ignore[attr-defined]


class CompiledActivation:
    """An elementwise function of tensors, called as ``f(x)`` or ``f(x, *parameters)``.

    Attributes:
        expr: The SymPy expression.
        parameters: Its learnable parameters, in the order of arguments.
        source: The generated source, to be read.
        backend: What runs it where it can: "c", "triton", "auto" (C on the CPU, Triton on CUDA) or "reference".
        kernels: Its C kernels; None where the backend has none.
    """

    def __init__(self, expr: sympy.Expr, backend: str = "reference") -> None:
        self.expr = expr
        self._asked = backend
        self.backend = _available() if backend == "auto" else backend
        self.parameters: tuple[Parameter, ...] = parameters_of(expr)
        self._starts = tuple(torch.tensor(float(parameter.start), dtype=torch.float64) for parameter in self.parameters)
        program = lower(expr)
        self._run = reference.build(program)
        self.kernels = CKernels(program, self._run.backward) if self.backend in ("c", "auto") else None
        self._triton = TritonKernels(program, self._run.backward) if self.backend in ("triton", "auto") else None

    @property
    def source(self) -> str:
        """The generated torch source."""
        return self._run.source

    def __call__(self, x: torch.Tensor, *parameters: torch.Tensor | float) -> torch.Tensor:
        """Return the function at ``x``.

        Args:
            x: Any shape; float64, float32, bfloat16 or float16 (the half types are computed in float32).
            parameters: One for each parameter, broadcastable to ``x``; none at all means the start values.

        Returns:
            The values, of the shape and dtype of ``x``.

        Raises:
            CompileError: ``x`` is not a dense floating-point tensor, or the parameters are too many, too few, too large
                or no numbers.
        """
        kernels = self.kernels
        if kernels is not None and not torch.compiler.is_compiling() and (y := kernels.run(x, *parameters)) is not None:
            return y
        if not isinstance(x, torch.Tensor) or not x.is_floating_point():
            raise CompileError(f"an activation takes a floating-point tensor, not {_kind(x)}")
        if not parameters:
            parameters = tuple(start.to(x.device, reference.compute_dtype(x.dtype)) for start in self._starts)
        if len(parameters) != len(self.parameters):
            names = ", ".join(parameter.name for parameter in self.parameters) or "none"
            raise CompileError(f"{len(parameters)} parameters given, {len(self.parameters)} needed ({names})")
        for parameter, value in zip(self.parameters, parameters, strict=True):
            if isinstance(value, torch.Tensor):
                _check(parameter, value, x)
            elif not isinstance(value, float) and not hasattr(value, "__float__"):
                raise CompileError(f"the parameter {parameter.name!r} is {_kind(value)}, not a number or a tensor")
        for backend in () if torch.compiler.is_compiling() else (self.kernels, self._triton):
            if backend is not None and (y := backend(x, *parameters)) is not None:
                return y
        if x.layout in _NO_ELEMENTWISE:
            raise CompileError(f"an activation takes a dense tensor, not one of {x.layout}; use x.to_dense()")
        return self._run(*(_resolved(value) for value in (x, *parameters)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.expr, self._asked)

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledActivation:
        return copy.copy(self)

    def __copy__(self) -> CompiledActivation:
        return self  # nothing in it ever changes

    def __repr__(self) -> str:
        return f"CompiledActivation({self.expr}, backend={self.backend!r})"


def compile(spec: sympy.Expr | str, backend: str = "auto") -> CompiledActivation:
    """Return ``spec`` as a function on tensors.

    Args:
        spec: A SymPy expression in x, a catalog name, or text.
        backend: "reference": generated torch source, which runs on every device and under every transform.
            "c": C kernels for CPU tensors in eager mode, built when a type is first met (a tenth of a second, cached on
            disk), and the reference for everything else. "triton": Triton kernels for CUDA tensors in eager mode, and
            the reference for everything else, CPU tensors included. "auto": C for CPU tensors where there is a
            compiler, Triton for CUDA tensors where there is a GPU and Triton is installed, else the reference.

    Raises:
        ExprError: ``spec`` is not an expression.
        CompileError: It has no program, or there is no such backend.
        MissingExtraError: Triton is asked for and not installed.

    Example:
        >>> import torch
        >>> f = compile("x / (1 + exp(-x))")
        >>> f(torch.tensor([-1000.0, 0.0, 1000.0]))
        tensor([  -0.,    0., 1000.])
    """
    if backend not in _BACKENDS:
        raise CompileError(f"there is no backend {backend!r}{suggest(backend, _BACKENDS)} ({', '.join(_BACKENDS)})")
    if backend == "triton" and not is_installed():
        raise MissingExtraError("triton", "triton")
    if backend == "c" and c_compiler() is None:
        raise CompileError("the backend 'c' needs a C compiler (CC, gcc, cc, clang), and none was found")
    expr = to_expr(spec)
    try:
        return CompiledActivation(expr, backend)
    except ExprError as error:
        raise CompileError(f"{spec} cannot be compiled: {error}") from error


def _available() -> str:
    """Return what "auto" stands for on this machine."""
    on_cpu, on_cuda = c_compiler() is not None, torch.cuda.is_available() and is_installed()
    if on_cpu:
        return "auto" if on_cuda else "c"
    return "triton" if on_cuda else "reference"


def _rebuild(expr: sympy.Expr, backend: str) -> CompiledActivation:
    return CompiledActivation(expr, backend)


def _kind(x: object) -> str:
    return f"a tensor of {x.dtype}" if isinstance(x, torch.Tensor) else type(x).__name__


def _resolved(value: Any) -> Any:
    """Return a tensor whose memory holds its numbers: that of ``z.conj().imag`` holds them with the other sign."""
    if isinstance(value, torch.Tensor) and not torch.compiler.is_compiling() and value.is_neg():
        return value.resolve_neg()
    return value


def _check(parameter: Parameter, value: torch.Tensor, x: torch.Tensor) -> None:
    if not value.is_floating_point():
        raise CompileError(f"the parameter {parameter.name!r} is {_kind(value)}, not of a floating-point type")
    fits = value.dim() <= x.dim() and all(n in (1, m) for n, m in zip(value.shape[::-1], x.shape[::-1], strict=False))
    if not fits:
        raise CompileError(
            f"the parameter {parameter.name!r} of shape {tuple(value.shape)} does not broadcast to x"
            f" of shape {tuple(x.shape)}"
        )
