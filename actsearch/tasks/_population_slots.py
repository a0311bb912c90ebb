"""The activations of a population: at each place of the net, member k's function of slice k.

What a slot computes, it computes of the whole stack (see :mod:`actsearch.tasks._population_below`): C kernels serve
there, which they do not under a transform, and members of one stack can run different code.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from actsearch.compiler import c_op
from actsearch.nn.activation import Activation
from actsearch.tasks._population_below import on_stacks
from actsearch.tasks._population_own import Joined, is_formula, is_joinable, parameter_of


class Slots(nn.Module):
    """The activations of all members at one place of the net.

    Args:
        members: each member's activation; None is padding, whose output is zero.

    Attributes:
        own: the activations that learn, by the member's number as text: their parameters are not stacked, as members
            differ in them. Those that are joined are not among them.
        joined: their parameters.
    """

    def __init__(self, members: Sequence[Activation | None]) -> None:
        super().__init__()
        self.members = dict(enumerate(members))
        # the others are not registered: Lightning would walk over hundreds of modules without weights
        self.own = nn.ModuleDict({str(k): part for k, part in self.members.items() if part and part.slots})
        self.joined: Joined | None = None
        self._tables: dict[tuple[torch.dtype, torch.Size], _Table] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Return the member's activation of ``x``, the tensor of one member inside vmap."""
        return on_stacks(self._on_stack, x)

    def drop(self, member: int) -> None:
        """Make a member's slice padding: it has diverged."""
        self.members[member] = None
        self._tables.clear()

    def join(self, chosen: Collection[tuple[int, str]]) -> None:
        """Make one parameter of those that are chosen, (member, name); of a member all or none are."""
        learning = {k: part for k, part in self.members.items() if part is not None and str(k) in self.own}
        weights = [
            (k, part, slot.raw)
            for k, part in learning.items()
            for slot in part.slots
            if is_joinable(part) and {(k, one.raw) for one in part.slots} <= set(chosen)
        ]
        kinds = {(parameter_of(part, name).dtype, parameter_of(part, name).device) for _, part, name in weights}
        if self.joined is not None or len(kinds) != 1:
            return
        for member in {member for member, _, _ in weights}:
            del self.own[str(member)]
        self.joined = Joined(weights)

    def _on_stack(self, x: Tensor) -> Tensor:
        key = x.dtype, x.shape
        if key not in self._tables:
            self._tables[key] = _Table(self.members, self.joined, x)
        return self._tables[key](x)


class _Table:
    """Who computes which slice, for stacks of one type and shape.

    Activations with C kernels are computed in one call for all of them; what a member's slice holds then is, to the
    bit, what its activation gives by itself. The others run one by one, and padding gives zeros.

    Args:
        members: everybody's activation at one place; None is padding.
        joined: the parameters of some of them.
        x: a stack, shape (K, ...).

    Attributes:
        served: the members with kernels, and their activations; those whose parameters are joined come first.
        modules: the other ones.
    """

    def __init__(self, members: dict[int, Activation | None], joined: Joined | None, x: Tensor) -> None:
        example = x[0]
        parts = {k: part for k, part in members.items() if part is not None}
        handles = {k: handle for k, part in parts.items() if (handle := _handle(part, example)) is not None}
        self._joined = joined
        weights = () if joined is None else joined.weights
        self.served = {k: parts[k] for k in [k for k, _, _ in weights if k in handles] + list(handles)}
        self.modules = {k: part for k, part in parts.items() if k not in handles}
        self._taken = [
            (number, _shape_of_argument(part, name, example))
            for number, (k, part, name) in enumerate(weights)
            if k in handles
        ]
        self._put = [number for number, (k, _, _) in enumerate(weights) if k in self.modules]
        are_joined = {k for k, _, _ in weights}
        self._others = [part for k, part in self.served.items() if k not in are_joined and part.slots]
        self._op = c_op.ready()
        slices = [(k, handles[k], len(part.slots)) for k, part in self.served.items()]
        self._slices = tuple(list(column) for column in zip(*slices, strict=True))

    def __call__(self, x: Tensor) -> Tensor:
        """Return everybody's function of their slice."""
        pieces = () if self._joined is None else self._joined.pieces()
        y = self._of_kernels(x, pieces)
        if not self.modules:
            return y
        for number in self._put:
            assert self._joined is not None
            self._joined.put(number, pieces[number])
        inputs, outputs = x.unbind(), list(y.unbind())
        for k, module in self.modules.items():
            outputs[k] = module(inputs[k])
        return torch.stack(outputs)

    def _of_kernels(self, x: Tensor, pieces: Sequence[Tensor]) -> Tensor:
        if self._op is None or not self.served:
            return torch.zeros_like(x)
        arguments = [pieces[n] if shape is None else pieces[n].view(shape) for n, shape in self._taken]
        if self._others:
            example = x[0]
            arguments += [argument for part in self._others for argument in part.arguments_for(example)]
        y: Tensor = self._op.run_slices(x, arguments, *self._slices)
        return y


def _shape_of_argument(part: Activation, name: str, x: Tensor) -> torch.Size | None:
    """Return the shape in which a weight broadcasts along the channels of ``x``; None: 1-d will do."""
    arguments = dict(zip((slot.raw for slot in part.slots), part.arguments_for(x), strict=True))
    shape = arguments[name].shape
    return None if len(shape) <= 1 and x.dim() else shape


def _handle(part: Activation, x: Tensor) -> int | None:
    """Return what the op knows an activation's kernels by; None: it has none for such a slice."""
    kernels = part.compiled.kernels
    return kernels.handle(x, *part.arguments_for(x)) if kernels is not None and is_formula(part) else None
