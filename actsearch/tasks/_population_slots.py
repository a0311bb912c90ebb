"""The activations of a population: at each place of the net, member k's function of slice k.

Under :func:`torch.func.vmap` a module sees one member's tensor, with the stack hidden in it. An autograd function with
a ``vmap`` rule of its own is handed the whole stack instead, and what its rule does is ordinary eager autograd. C
kernels serve there, which they do not under a transform; members of one stack can run different code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from actsearch.compiler import c_op
from actsearch.nn.activation import Activation


@dataclass(eq=False)
class Index:
    """Where modules find the member's number while vmap runs: stacked, so that every rule below is called."""

    member: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Opaque:
    """A function of whole stacks that functorch does not look into."""

    call: Callable[..., Tensor]


class OnStacks(torch.autograd.Function):
    """Calls a function with the stacks, each of shape (K, ...), of which vmap shows one slice."""

    generate_vmap_rule = False

    @staticmethod
    def forward(function: Opaque, member: Tensor, *tensors: Tensor) -> Tensor:
        """Never reached: ``member`` is stacked, so the rule is called."""
        raise AssertionError("a layer of a population was called outside vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing is kept: the operations of the rule know their own derivatives."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, function: Opaque, member: Tensor, *tensors: Tensor) -> tuple[Tensor, int]:
        """Call the function; what is the same for all members is expanded."""
        stacks = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims[2:], strict=True)
        ]
        return function.call(*stacks), 0


class Slots(nn.Module):
    """The activations of all members at one place of the net.

    Args:
        members: each member's activation; None is padding, whose output is zero.
        index: where the member's number is while vmap runs.

    Attributes:
        own: the activations that learn, by the member's number as text: their parameters are not stacked, as members
            differ in them.
    """

    def __init__(self, members: Sequence[Activation | None], index: Index) -> None:
        super().__init__()
        self.members = dict(enumerate(members))
        # the others are not registered: Lightning would walk over hundreds of modules without weights
        self.own = nn.ModuleDict({str(k): part for k, part in self.members.items() if part and part.slots})
        self._index = index
        self._function = Opaque(self._on_stack)
        self._tables: dict[tuple[torch.dtype, torch.Size], _Table] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Return the member's activation of ``x``, the tensor of one member inside vmap."""
        result: Tensor = OnStacks.apply(self._function, self._index.member, x)  # type: ignore[no-untyped-call]
        return result

    def drop(self, member: int) -> None:
        """Make a member's slice padding: it has diverged."""
        self.members[member] = None
        self._tables.clear()

    def _on_stack(self, x: Tensor) -> Tensor:
        key = x.dtype, x.shape
        if key not in self._tables:
            self._tables[key] = _Table(self.members, x)
        return self._tables[key](x)


class _Table:
    """Who computes which slice, for stacks of one type and shape.

    Activations with C kernels are computed in one call for all of them; what a member's slice holds then is, to the
    bit, what its activation gives by itself. The others run one by one, and padding gives zeros.

    Args:
        members: everybody's activation at one place; None is padding.
        x: a stack, shape (K, ...).

    Attributes:
        served: the members with kernels, and their activations.
        modules: the other ones.
    """

    def __init__(self, members: dict[int, Activation | None], x: Tensor) -> None:
        parts = {k: part for k, part in members.items() if part is not None}
        handles = {k: handle for k, part in parts.items() if (handle := _handle(part, x[0])) is not None}
        self.served = {k: parts[k] for k in handles}
        self.modules = {k: part for k, part in parts.items() if k not in handles}
        self._op = c_op.ready()
        self._slices = list(handles), list(handles.values()), [len(part.slots) for part in self.served.values()]

    def __call__(self, x: Tensor) -> Tensor:
        """Return everybody's function of their slice."""
        y = self._of_kernels(x)
        if not self.modules:
            return y
        inputs, outputs = x.unbind(), list(y.unbind())
        for k, module in self.modules.items():
            outputs[k] = module(inputs[k])
        return torch.stack(outputs)

    def _of_kernels(self, x: Tensor) -> Tensor:
        if self._op is None:
            return torch.zeros_like(x)
        example = x[0]
        arguments = [argument for part in self.served.values() for argument in part.arguments(example)]
        y: Tensor = self._op.run_slices(x, arguments, *self._slices)
        return y


def _handle(part: Activation, x: Tensor) -> int | None:
    """Return what the op knows an activation's kernels by; None: it has none for such a slice."""
    kernels = part.compiled.kernels
    return None if kernels is None or part.noise else kernels.handle(x, *part.arguments(x))
