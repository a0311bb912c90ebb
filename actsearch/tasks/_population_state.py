"""The states of a population's members: a file each, so that any members at the same rung can go on together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor, nn
from torch.optim import Optimizer

from actsearch.tasks._population_own import Own
from actsearch.tasks._population_stack import Stack
from actsearch.tasks._state import StateFile

Weights = dict[str, Any]
State = dict[str, dict[str, Any]]  # what is a member's own of an optimiser's state: "each"; what is the same: "shared"


class StateFiles(CheckpointIO):
    """Lightning's door to the members' files: what all share is in each of them.

    Args:
        shared: the shared part of what the population goes on from; None: it starts.
    """

    def __init__(self, shared: dict[str, Any] | None) -> None:
        self._shared = shared
        self.targets: Callable[[], Sequence[tuple[str, dict[str, Any], dict[str, Any]]]]

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write the state of each member that has a file and has not diverged."""
        shared = {key: value for key, value in checkpoint.items() if key not in ("state_dict", "optimizer_states")}
        for target, key, state in self.targets():
            StateFile(key, None).save_checkpoint({"shared": shared, "member": state}, target)

    def load_checkpoint(self, path: Any, map_location: Any | None = None, weights_only: bool | None = None) -> Any:
        """Return what all members share; weights and the optimiser's state are put in place by the session."""
        assert self._shared is not None
        return {**self._shared, "state_dict": {}, "optimizer_states": []}

    def remove_checkpoint(self, path: Any) -> None:
        """Remove nothing: the files are those of whoever made the jobs."""
        Path(path).unlink(missing_ok=True)


def taken(stack: Stack, optimizer: Optimizer) -> list[Weights]:
    """Return each member's weights, buffers and state of the optimiser."""
    stacked, buffers = stack.stacked(), stack.buffers_of_module()
    groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
    members = []
    for member, own in enumerate(stack.own()):
        members.append(
            {
                "parameters": {name: _slice(p, member) for name, p in stacked.items()},
                "own": {name: one.value.clone() for name, one in own.items()},
                "buffers": {name: _slice(buffer, member) for name, buffer in buffers.items()},
                "groups": groups,
                "state": {name: _state(optimizer, p, itemgetter(member)) for name, p in stacked.items()},
                "own_state": {name: _state(optimizer, one.parameter, one.of) for name, one in own.items()},
            }
        )
    return members


@torch.no_grad()
def put(stack: Stack, optimizer: Optimizer, members: Sequence[Weights]) -> None:
    """Put what :func:`taken` returned of each member into a stack of its own composition."""
    padded = [*members, *[members[0]] * (stack.width - len(members))]
    for name, parameter in stack.stacked().items():
        parameter.copy_(torch.stack([one["parameters"][name] for one in padded]))
        if state := _merged([one["state"][name] for one in padded]):
            optimizer.state[parameter] = state
    for name, buffer in stack.buffers_of_module().items():
        buffer.copy_(torch.stack([one["buffers"][name] for one in padded]))
    for own, one in zip(stack.own(), members, strict=True):
        for name, weight in own.items():
            weight.value.copy_(one["own"][name])
            _put_own(optimizer, weight, one["own_state"][name])
    for group, stored in zip(optimizer.param_groups, members[0]["groups"], strict=True):
        group.update(stored)


def _slice(tensor: Tensor, member: int) -> Tensor:
    return tensor.detach()[member].clone()  # a slice would take the whole stack's memory into the file


def _state(optimizer: Optimizer, parameter: nn.Parameter, part: Callable[[Tensor], Tensor]) -> State:
    """Return a member's part of a parameter's state, and what is the same for all, such as the step."""
    entries = optimizer.state.get(parameter, {})
    each = {key for key, value in entries.items() if isinstance(value, Tensor) and value.shape == parameter.shape}
    return {
        "each": {key: part(entries[key].detach()).clone() for key in each},
        "shared": {key: value for key, value in entries.items() if key not in each},
    }


def _put_own(optimizer: Optimizer, weight: Own, stored: State) -> None:
    if not stored["each"] and not stored["shared"]:
        return
    state = optimizer.state[weight.parameter]
    for key, value in stored["each"].items():
        if key not in state:
            state[key] = torch.zeros_like(weight.parameter)
        weight.of(state[key]).copy_(value)
    for key, value in stored["shared"].items():
        state.setdefault(key, value.clone() if isinstance(value, Tensor) else value)


def _merged(states: Sequence[State]) -> dict[str, Any]:
    shared = {k: v.clone() if isinstance(v, Tensor) else v for k, v in states[0]["shared"].items()}
    return shared | {key: torch.stack([one["each"][key] for one in states]) for key in states[0]["each"]}
