"""The activations of a population: at each place of the net, member k's function of slice k.

What a slot computes, it computes of the whole stack (see :mod:`actsearch.tasks._population_below`): C kernels serve
there, which they do not under a transform, and members of one stack can run different code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from actsearch.compiler import c_op
from actsearch.nn.activation import Activation
from actsearch.tasks._population_below import on_stacks


class Slots(nn.Module):
    """The activations of all members at one place of the net.

    Args:
        members: each member's activation; None is padding, whose output is zero.

    Attributes:
        own: the activations that learn, by the member's number as text: their parameters are not stacked, as members
            differ in them.
    """

    def __init__(self, members: Sequence[Activation | None]) -> None:
        super().__init__()
        self.members = dict(enumerate(members))
        # the others are not registered: Lightning would walk over hundreds of modules without weights
        self.own = nn.ModuleDict({str(k): part for k, part in self.members.items() if part and part.slots})
        self._tables: dict[tuple[torch.dtype, torch.Size], _Table] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Return the member's activation of ``x``, the tensor of one member inside vmap."""
        return on_stacks(self._on_stack, x)

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
        if self._op is None or not self.served:
            return torch.zeros_like(x)
        example = x[0]
        arguments = [argument for part in self.served.values() for argument in part.arguments_for(example)]
        y: Tensor = self._op.run_slices(x, arguments, *self._slices)
        return y


def _handle(part: Activation, x: Tensor) -> int | None:
    """Return what the op knows an activation's kernels by; None: it has none for such a slice."""
    kernels = part.compiled.kernels
    is_own = type(part).forward is not Activation.forward  # of a class that somebody derived
    return None if kernels is None or is_own or part.parameter_noise else kernels.handle(x, *part.arguments_for(x))
