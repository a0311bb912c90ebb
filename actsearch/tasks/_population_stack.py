"""Stack the modules of all members into one: every weight and buffer gets the members as its first dimension."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.func import vmap

from actsearch.nn.activation import Activation
from actsearch.tasks._build import activations_of
from actsearch.tasks._population_layers import take_over
from actsearch.tasks._population_own import LANES, Own
from actsearch.tasks._population_slots import Slots

Place = tuple[dict[str, Any], str]  # a module's own table of parameters or buffers, and a name in it


class Unstackable(Exception):
    """A net cannot be trained in a population; the message says why, to follow the net's name."""


class Stack(nn.Module):
    """All members in one module: the first one's structure, with stacked weights and everybody's activations.

    Args:
        members: modules of one net that differ in their activations only; they are taken apart.
        width: slices of the stack, at least as many as there are members; the others are padding.

    Attributes:
        module: the first member's module, its weights stacked.
        n: number of members.
        width: number of slices.
        activations: each member's activations, in the order of the net.
        logged: how each metric was logged: the arguments of ``log`` besides name and value.

    Raises:
        Unstackable: the members differ in more than their activations.
    """

    def __init__(self, members: Sequence[LightningModule], width: int) -> None:
        super().__init__()
        _check_apart(members)
        self.n, self.width = len(members), width
        self.module = members[0]
        self.activations = [activations_of(member) for member in members]
        self.logged: dict[str, dict[str, Any]] = {}
        self._values: dict[str, Tensor] = {}
        self._places = _stack_weights([*members, *[members[0]] * (width - self.n)])
        _place_slots(members, width)
        for part in self.module.modules():
            take_over(part)
        self.module.log, self.module.log_dict = self._log, self._log_dict  # type: ignore[method-assign, assignment]
        self._members: Tensor
        self.register_buffer("_members", torch.arange(width), persistent=False)
        self._own = _find_own(self.module, self.n)
        own = {id(one.parameter) for weights in self._own for one in weights.values()}
        self._stacked = {name: p for name, p in self.module.named_parameters() if id(p) not in own}

    def forward(self, step: str, *arguments: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Run a step of the module; return its losses and what it logged, each of shape (width,)."""
        stacks = [table[name] for table, name in self._places]

        def one(slices: list[Tensor], member: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            self._values = {}
            self._put(slices)
            result = getattr(self.module, step)(*arguments)
            loss = result.get("loss") if isinstance(result, Mapping) else result
            return loss if isinstance(loss, Tensor) else member, self._values

        try:
            losses, values = vmap(one, randomness="same")(stacks, self._members)
        finally:
            self._put(stacks)
        return losses, values

    def _put(self, tensors: Sequence[Tensor]) -> None:
        """Put weights and buffers where the module has them: torch.func.functional_call takes a millisecond for it."""
        for (table, name), tensor in zip(self._places, tensors, strict=True):
            table[name] = tensor

    def drop(self, member: int) -> None:
        """Take a member that has diverged out of the activations' work."""
        for slots in self._slots().values():
            slots.drop(member)

    def stacked(self) -> dict[str, nn.Parameter]:
        """Return the stacked parameters by their names in the member's module."""
        return dict(self._stacked)

    def buffers_of_module(self) -> dict[str, Tensor]:
        """Return the stacked buffers by their names in the member's module."""
        return dict(self.module.named_buffers())

    def own(self) -> list[dict[str, Own]]:
        """Return where each member's weights of activations are, by the names that they have in the member's module."""
        return self._own

    def join(self, group: Collection[tuple[int, str]]) -> None:
        """Make one parameter of what activations at one place learn, of those weights, (member, name), that may be one.

        One activation in several places stays as it is.
        """
        n_places = Counter(id(part) for slots in self._slots().values() for part in slots.own.values())
        for path, slots in self._slots().items():
            alone = {int(member) for member, part in slots.own.items() if n_places[id(part)] == 1}
            within = [(member, name.removeprefix(f"{path}.")) for member, name in group if member in alone]
            slots.join({(member, name) for member, name in within if "." not in name})
            if slots.joined is not None:
                for (member, _, name), own in zip(slots.joined.weights, slots.joined.owns(), strict=True):
                    self._own[member][f"{path}.{name}"] = own

    def settle(self) -> None:
        """Give the activations what they have learned."""
        for slots in self._slots().values():
            if slots.joined is not None:
                slots.joined.settle()

    def _slots(self) -> dict[str, Slots]:
        return {path: part for path, part in self.module.named_modules() if isinstance(part, Slots)}

    def n_parameters(self) -> list[int]:
        """Return the trainable numbers of each member."""
        shared = sum(p[0].numel() for p in self._stacked.values() if p.requires_grad)
        return [shared + sum(one.shape.numel() for one in own.values()) for own in self._own]

    def _log(self, name: str, value: Any, *arguments: Any, **options: Any) -> None:
        if arguments or not isinstance(value, Tensor | int | float):
            raise Unstackable(f"logs {name!r} in a way that has no meaning for several members at once")
        self.logged[name] = options
        self._values[name] = torch.as_tensor(value).detach()

    def _log_dict(self, values: Mapping[str, Any], **options: Any) -> None:
        for name, value in values.items():
            self._log(name, value, **options)


def width_of(member: LightningModule, n: int) -> int:
    """Return the number of slices for ``n`` members or more: so many that every stacked weight fills whole vectors.

    Else a member's bits would depend on its place: an optimiser's loop rounds the last few numbers of a tensor
    otherwise (fused multiply-adds).
    """
    sizes = [p.numel() for owner in _owners(member).values() for p in owner.parameters(recurse=False)]
    step = max((LANES // math.gcd(LANES, size) for size in sizes), default=1)
    return -(-n // step) * step


def _check_apart(members: Sequence[LightningModule]) -> None:
    """See that no part belongs to two members: it would be taken apart, and be of no use to later fits."""
    seen: set[int] = set()
    for member in members:
        parts = {id(part) for part in (*member.modules(), *member.parameters(), *member.buffers())}
        if parts & seen:
            raise Unstackable("has layers that all candidates share")
        seen |= parts


def _owners(module: nn.Module) -> dict[str, nn.Module]:
    """Return the parts of a module that are the same for all members: all but the activations."""
    parts = module.named_modules(remove_duplicate=False)
    return {path: part for path, part in parts if not isinstance(part, Activation)}


def _stack_weights(members: Sequence[LightningModule]) -> list[Place]:
    """Replace the first member's parameters and buffers by stacks of everybody's, and return where they are."""
    places: list[Place] = []
    owners = [_owners(member) for member in members]
    if any(one.keys() != owners[0].keys() for one in owners):
        raise Unstackable("does not have the same parts for every candidate")
    made: dict[int, Tensor] = {}  # tied weights stay tied
    seen: set[int] = set()
    for path, owner in owners[0].items():
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        for table in ("_parameters", "_buffers"):
            for name, first in list(getattr(owner, table).items()):
                if first is None:
                    continue
                if id(first) not in made:
                    parts = [getattr(one[path], table).get(name) for one in owners[1:]]
                    made[id(first)] = _stack([first, *parts], f"{path}.{name}")
                getattr(owner, table)[name] = made[id(first)]
                places.append((getattr(owner, table), name))
    return places


def _find_own(module: nn.Module, n: int) -> list[dict[str, Own]]:
    """Return each member's weights of activations, by name; one activation in several places counts once."""
    found: list[dict[str, Own]] = [{} for _ in range(n)]
    seen: set[int] = set()
    for path, slots in module.named_modules():
        if isinstance(slots, Slots):
            for member, part in slots.own.items():
                for name, parameter in part.named_parameters():
                    if id(parameter) not in seen:
                        seen.add(id(parameter))
                        found[int(member)][f"{path}.{name}"] = Own(parameter, 0, parameter.shape)
    return found


def _stack(parts: Sequence[Any], name: str) -> Tensor:
    first = parts[0]
    if any(not isinstance(part, Tensor) or (part.shape, part.dtype) != (first.shape, first.dtype) for part in parts):
        raise Unstackable(f"has a weight {name!r} that differs in shape from candidate to candidate")
    stack = torch.stack([part.detach() for part in parts])
    return nn.Parameter(stack, first.requires_grad) if isinstance(first, nn.Parameter) else stack


def _place_slots(members: Sequence[LightningModule], width: int) -> None:
    """Replace the first member's activations by slots that hold everybody's."""
    places = [
        {path: part for path, part in member.named_modules(remove_duplicate=False) if isinstance(part, Activation)}
        for member in members
    ]
    if any(one.keys() != places[0].keys() for one in places):
        raise Unstackable("does not have its activations at the same places for every candidate")
    made: dict[tuple[int, ...], Slots] = {}  # one activation in several places stays one
    for path in places[0]:
        parts: list[Activation | None] = [one[path] for one in places]
        key = tuple(map(id, parts))
        if key not in made:
            made[key] = Slots(parts + [None] * (width - len(members)))
        members[0].set_submodule(path, made[key])
