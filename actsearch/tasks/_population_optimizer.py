"""The optimiser of a population: what the module itself configures, with everybody's weights in it.

An optimiser that treats each number by itself (SGD, Adam and most others) does to a stack what it does to each of its
slices. One that does not shows in the probe, or by the state that it makes before its first step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightning.pytorch import LightningModule
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from actsearch.nn.activation import Activation
from actsearch.tasks._population_stack import Stack, Unstackable

Groups = list[list[str]]


@dataclass(frozen=True)
class Configured:
    """What ``configure_optimizers`` returned for the first member.

    Attributes:
        returned: as Lightning takes it; schedulers in it are bound to the optimiser.
        optimizer: the optimiser.
        shared: of each of its groups, the names of the weights outside activations.
        own: (member, name) of the weights of activations in each group.
    """

    returned: Any
    optimizer: Optimizer
    shared: Groups
    own: list[list[tuple[int, str]]]

    def take(self, stack: Stack) -> None:
        """Put the stacked weights, and everybody's own, in place of the first member's."""
        for owned in self.own:
            stack.join(owned)
        stacked, own = stack.stacked(), stack.own()
        for group, shared, owned in zip(self.optimizer.param_groups, self.shared, self.own, strict=True):
            group.pop("param_names", None)
            parameters = [own[member][name].parameter for member, name in owned]
            trained = {id(parameter): parameter for parameter in parameters}
            group["params"] = [*(stacked[name] for name in shared), *trained.values()]


def configure(members: Sequence[LightningModule]) -> Configured:
    """Configure the first member's optimiser and find the groups of everybody's weights; before they are stacked.

    Raises:
        Unstackable: there is not one optimiser with the same groups for all, or its learning rate follows a metric,
            in which members differ.
    """
    first = members[0].configure_optimizers()
    optimizer = _optimizer_in(first)
    groups = [_names(members[0], optimizer)]
    for member in members[1:]:
        if not _own_names(member):
            groups.append(groups[0])
            continue
        other = _optimizer_in(member.configure_optimizers())
        if [_settings(group) for group in other.param_groups] != [_settings(group) for group in optimizer.param_groups]:
            raise Unstackable("configures its optimiser differently from candidate to candidate")
        groups.append(_names(member, other))
    own_names = [_own_names(member) for member in members]
    shared = [[name for name in group if name not in own_names[0]] for group in groups[0]]
    own = [
        [(k, name) for k, member in enumerate(groups) for name in member[index] if name in own_names[k]]
        for index in range(len(shared))
    ]
    return Configured(first, optimizer, shared, own)


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key not in ("params", "param_names")}


def _names(module: LightningModule, optimizer: Optimizer) -> Groups:
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    groups = [[id(parameter) for parameter in group["params"]] for group in optimizer.param_groups]
    if any(parameter not in names for group in groups for parameter in group):
        raise Unstackable("optimises tensors that are not its parameters")
    return [[names[parameter] for parameter in group] for group in groups]


def _own_names(module: nn.Module) -> set[str]:
    return {
        f"{path}.{name}"
        for path, part in module.named_modules()
        if isinstance(part, Activation)
        for name, _ in part.named_parameters()
    }


def _optimizer_in(configured: Any) -> Optimizer:
    """Return the one optimiser in what ``configure_optimizers`` may return."""
    schedulers: list[Any] = []
    if isinstance(configured, tuple) and len(configured) == 2 and all(isinstance(p, list) for p in configured):
        configured, schedulers = configured
    while isinstance(configured, list | tuple) and len(configured) == 1:
        configured = configured[0]
    if isinstance(configured, Mapping):
        schedulers = [*schedulers, configured.get("lr_scheduler")]
        configured = configured.get("optimizer")
    if not isinstance(configured, Optimizer):
        raise Unstackable("does not configure exactly one optimiser")
    for scheduler in schedulers:
        settings = scheduler if isinstance(scheduler, Mapping) else {"scheduler": scheduler}
        if isinstance(settings.get("scheduler"), ReduceLROnPlateau) or settings.get("reduce_on_plateau"):
            raise Unstackable("lowers its learning rate by a metric, in which candidates differ")
    if configured.state:
        raise Unstackable(f"uses {type(configured).__name__}, which has a state before its first step")
    return configured
