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

from actsearch.nn.activation import Activation
from actsearch.tasks._population_kernels import Kernels


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

    def _on_stack(self, x: Tensor) -> Tensor:
        key = x.dtype, x.shape
        if key not in self._tables:
            self._tables[key] = _Table(self.members, x)
        table = self._tables[key]
        y: Tensor = _Each.apply(table, x, *table.parameters)  # type: ignore[no-untyped-call]
        return y


class _Table:
    """Who computes which slice, for stacks of one type and shape.

    Attributes:
        kernels: members with C kernels.
        modules: member -> its activation, which runs with autograd of its own.
        zeros: members that are padding.
        parameters: what the members learn: those with kernels, then the others.
    """

    def __init__(self, members: dict[int, Activation | None], x: Tensor) -> None:
        self.kernels = Kernels(members, x.contiguous())
        self.zeros = [k for k, part in members.items() if part is None]
        self.modules = {k: part for k, part in members.items() if part is not None and k not in self.kernels.served}
        others = (parameter for part in self.modules.values() for parameter in part.parameters())
        self.parameters = [*self.kernels.parameters, *others]


class _Each(torch.autograd.Function):
    """All slices of one stack, each by what the table has for it. Saves the input; kernels recompute in backward."""

    @staticmethod
    def forward(ctx: Any, table: _Table, x: Tensor, *parameters: Tensor) -> Tensor:
        x = x.contiguous()
        y = torch.empty_like(x)
        if x.numel():
            table.kernels.value(x, y)
        ctx.table, ctx.graphs = table, {}
        with torch.set_grad_enabled(any(ctx.needs_input_grad)):
            for k, module in table.modules.items():
                part = x[k].detach().requires_grad_(any(ctx.needs_input_grad))
                ctx.graphs[k] = part, module(part)
                y[k] = ctx.graphs[k][1].detach()
        for k in table.zeros:
            y[k].zero_()
        ctx.save_for_backward(x)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        gradient = gradient.to(x.dtype).contiguous()
        result = torch.empty_like(x)
        found = ctx.table.kernels.slopes(x, gradient, result)
        for k, (part, y) in ctx.graphs.items():
            own = list(ctx.table.modules[k].parameters())
            result[k], *rest = torch.autograd.grad(y, [part, *own], gradient[k], materialize_grads=True)
            found += rest
        for k in ctx.table.zeros:
            result[k].zero_()
        return None, result, *found
