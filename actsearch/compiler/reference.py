"""The reference backend: generated torch source under autograd, every transform, torch.compile and torch.export.

A derivative is never left to torch's autograd, whose chain rule overflows and lets masked branches through; it is a
program of its own, differentiated again on demand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import forward_ad

from actsearch.compiler.torch_source import load, module_source
from actsearch.expr.differentiate import gradient
from actsearch.expr.graph import Program

Generated = Callable[..., Any]


class Reference:
    """A program of one or more outputs, and its first derivatives, as torch functions.

    Attributes:
        source: The generated source of both.
        value: ``value(x, *parameters)``, the outputs.
        gradient: The derivatives of each output, first in x, then in each parameter: output by output.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.gradient_program = gradient(program)
        self.source = module_source([("value", program), ("gradient", self.gradient_program)])
        functions = load(self.source)
        self.value: Generated = functions["value"]
        self.gradient: Generated = functions["gradient"]
        self._derivative: Reference | None = None
        self.eager: Any = _eager_function(self)
        self.traced: Any = _traced_function(self)

    @property
    def derivative(self) -> Reference:
        """The gradient program, ready to be differentiated again: made when first asked for."""
        if self._derivative is None:
            self._derivative = Reference(self.gradient_program)
        return self._derivative

    def __call__(self, x: torch.Tensor, *parameters: torch.Tensor | float) -> torch.Tensor:
        """Return the value at ``x``, differentiable any number of times."""
        if torch.compiler.is_compiling():
            return self.traced.apply(x, *parameters)
        return self.eager.apply(x, *parameters)

    def backward(self, x: torch.Tensor, grad: torch.Tensor, *parameters: torch.Tensor) -> tuple[Any, ...]:
        """Return the gradients in ``x`` and in each parameter, themselves differentiable."""
        args = (x, *parameters)
        return _contract(_tuple(self.derivative.eager.apply(*_widened(args))), (grad,), args)


def build(program: Program) -> Reference:
    """Return the reference implementation of ``program``."""
    return Reference(program)


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type in which a type's values are computed: float32 for the half types, else itself."""
    return dtype if dtype in (torch.float32, torch.float64) else torch.float32


def _widened(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments in the compute type of the first."""
    dtype = compute_dtype(args[0].dtype)
    return tuple(arg.to(dtype) if isinstance(arg, torch.Tensor) else arg for arg in args)


def _tuple(value: Any) -> tuple[torch.Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)


def _contract(slopes: tuple[torch.Tensor, ...], grads: tuple[Any, ...], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return, for each argument, the sum over outputs of incoming gradient times slope, in the argument's shape."""
    results: list[torch.Tensor | None] = []
    for j, arg in enumerate(args):
        total: torch.Tensor | None = None
        for i, grad in enumerate(grads):
            if grad is not None and isinstance(arg, torch.Tensor):
                term = grad * slopes[i * len(args) + j]
                total = term if total is None else total + term
        results.append(None if total is None else total.sum_to_size(arg.shape).to(arg.dtype))
    return tuple(results)


def _save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Keep the arguments and nothing else."""
    ctx.floats = [None if isinstance(arg, torch.Tensor) else arg for arg in inputs]
    tensors = [arg for arg in inputs if isinstance(arg, torch.Tensor)]
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
    ctx.set_materialize_grads(False)


def _saved(ctx: Any) -> tuple[Any, ...]:
    tensors = iter(ctx.saved_tensors)
    return tuple(next(tensors) if number is None else number for number in ctx.floats)


def _eager_function(reference: Reference) -> Any:
    """Return the autograd function used outside torch.compile and torch.export."""

    def forward(*args: Any) -> Any:
        value = reference.value(*_widened(args))
        return value if isinstance(value, tuple) else value.to(args[0].dtype)

    def backward(ctx: Any, *grads: Any) -> Any:
        args = _saved(ctx)
        return _contract(_tuple(reference.derivative.eager.apply(*_widened(args))), grads, args)

    def jvp(ctx: Any, *tangents: Any) -> Any:
        # torch calls this with forward mode switched off and with this level's tangents still on the saved tensors:
        # as it stands, a jvp of a jvp would come out as zero.
        args = tuple(_primal(arg) for arg in _saved(ctx))
        with forward_ad._set_fwd_grad_enabled(True), torch.enable_grad():
            slopes = _tuple(reference.derivative.eager.apply(*_widened(args)))
            return _push(slopes, tangents, args, len(reference.program.outputs))

    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
        # torch's generated rule would call jvp above the batch, where tangents cannot be told from primals
        outputs = activation.apply(*_batched(info.batch_size, in_dims, args))
        return outputs, (tuple(0 for _ in outputs) if isinstance(outputs, tuple) else 0)

    names = {"forward": forward, "setup_context": _save, "backward": backward, "jvp": jvp, "vmap": vmap}
    members = {name: staticmethod(method) for name, method in names.items()}
    activation: Any = type("Activation", (torch.autograd.Function,), members)
    return activation


def _batched(size: int, in_dims: tuple[int | None, ...], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments with the batch in front, so that they broadcast to the first as they did without it."""
    n_dims = args[0].dim() - (in_dims[0] is not None)
    x = args[0].expand(size, *args[0].shape) if in_dims[0] is None else args[0].movedim(in_dims[0], 0)
    rest = []
    for arg, dim in zip(args[1:], in_dims[1:], strict=True):
        if dim is not None:
            front = arg.movedim(dim, 0)
            arg = front.reshape(size, *(1,) * (n_dims + 1 - front.dim()), *front.shape[1:])
        rest.append(arg)
    return x, *rest


def _primal(arg: Any) -> Any:
    if isinstance(arg, torch.Tensor) and forward_ad._current_level >= 0:
        unpack: Any = forward_ad.unpack_dual
        return unpack(arg).primal
    return arg


def _push(slopes: tuple[torch.Tensor, ...], tangents: tuple[Any, ...], args: tuple[Any, ...], n_outputs: int) -> Any:
    """Return the tangent of each output."""
    n = len(args)
    results = []
    for i in range(n_outputs):
        terms = [slopes[i * n + j] * tangent for j, tangent in enumerate(tangents) if tangent is not None]
        total = sum(terms[1:], terms[0])
        results.append(total if n_outputs > 1 else total.expand_as(args[0]).to(args[0].dtype))
    return results[0] if n_outputs == 1 else tuple(results)


def _traced_function(reference: Reference) -> Any:
    """Return the autograd function for torch.compile and torch.export, which refuse one that has its own jvp.

    Its backward is plain generated source: what is traced is differentiated once.
    """

    def forward(ctx: Any, *args: Any) -> Any:
        ctx.floats = [None if isinstance(arg, torch.Tensor) else arg for arg in args]
        ctx.save_for_backward(*(arg for arg in args if isinstance(arg, torch.Tensor)))
        value = reference.value(*_widened(args))
        return value if isinstance(value, tuple) else value.to(args[0].dtype)

    def backward(ctx: Any, *grads: Any) -> Any:
        args = _saved(ctx)
        return _contract(_tuple(reference.gradient(*_widened(args))), grads, args)

    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type("TracedActivation", (torch.autograd.Function,), members)
