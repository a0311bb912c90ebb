"""Many candidates on one net as one LightningModule."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import getattr_static
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.hooks import CheckpointHooks, DataHooks, ModelHooks
from lightning.pytorch.utilities.data import extract_batch_size
from torch import Tensor
from torch.optim import Optimizer

from actsearch.tasks._population_optimizer import configure
from actsearch.tasks._population_stack import Stack, Unstackable, width_of

# What a module may define: everything else that Lightning calls would be called once and not for each member.
_OWN = {"forward", "training_step", "validation_step", "test_step", "predict_step", "configure_optimizers"}
_HOOKS = (LightningModule, ModelHooks, DataHooks, CheckpointHooks)


class Population(LightningModule):
    """Trains all members at once, each with its own activations, on the same batches.

    Args:
        members: modules of one net, at least one; they are taken apart.
        width: the least number of slices of the stack; those beyond the members are padding.

    Attributes:
        stack: the members' weights; there from the setup of a fit on.
        losses: of the last training step, shape (members,).
        measured: metric -> values of the last validation or test, shape (members,), float64.
    """

    stack: Stack

    def __init__(self, members: Sequence[LightningModule], width: int) -> None:
        super().__init__()
        self.strict_loading = False  # the session restores the weights: their number of members differs
        self.losses = torch.empty(0)
        self.measured: dict[str, Tensor] = {}
        self._single = (tuple(members),)  # in a tuple, so that they are no parts of this module
        self._width = width
        self._sums: dict[str, tuple[Tensor, float]] = {}
        for member in members[:1]:
            check_plain(member)

    @property
    def members(self) -> tuple[LightningModule, ...]:
        """The modules that :meth:`build` takes apart."""
        return self._single[0]

    def build(self) -> None:
        """Stack the members, whose lazy parameters must have got their shapes; let their optimiser train the stack."""
        for member in self.members:
            member.trainer = self.trainer
        self._configured = configure(self.members)
        self.stack = Stack(self.members, width_of(self.members[0], self._width))
        self._configured.take(self.stack)

    def configure_optimizers(self) -> Any:
        """Return what the member's own module configured."""
        return self._configured.returned

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the sum of all losses, whose gradient in a member's weights is that of the member's own loss."""
        losses, _ = self.stack("training_step", batch, batch_idx)
        self.losses = losses.detach()[: self.stack.n]
        return losses.sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Measure everybody."""
        self._measure("validation_step", batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Measure everybody on the test split."""
        self._measure("test_step", batch, batch_idx)

    def on_validation_epoch_start(self) -> None:
        """Forget earlier measurements."""
        self._sums = {}

    def on_test_epoch_start(self) -> None:
        """Forget earlier measurements."""
        self._sums = {}

    def on_validation_epoch_end(self) -> None:
        """Take the means."""
        self.measured = {name: total / weight for name, (total, weight) in self._sums.items()}

    def on_test_epoch_end(self) -> None:
        """Take the means."""
        self.measured = {name: total / weight for name, (total, weight) in self._sums.items()}

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip each member's gradient by its own norm, or each number by its value."""
        if not gradient_clip_val:
            return
        if str(gradient_clip_algorithm or "norm").endswith("value"):
            self.clip_gradients(optimizer, gradient_clip_val, "value")
            return
        clip_norms(self.stack, float(gradient_clip_val))

    def _measure(self, step: str, batch: Any, batch_idx: int) -> None:
        _, values = self.stack(step, batch, batch_idx)
        for name, value in values.items():
            weight = self._weight(name, batch)
            total, weights = self._sums.get(name, (torch.zeros(()), 0.0))
            self._sums[name] = total + value[: self.stack.n] * weight, weights + weight

    def _weight(self, name: str, batch: Any) -> float:
        """Return what a batch counts in a mean, as Lightning has it: its number of examples."""
        given = self.stack.logged[name].get("batch_size")
        return float(given if given is not None else extract_batch_size(batch))


def check_plain(module: LightningModule) -> None:
    """See that a module only defines steps and optimisers.

    Raises:
        Unstackable: it has a hook, or optimises by hand.
    """
    if not module.automatic_optimization:
        raise Unstackable("optimises by hand")
    names = {name for base in _HOOKS for name in vars(base) if not name.startswith("_")}
    for name in sorted(names - _OWN):
        if getattr_static(type(module), name) is not getattr_static(LightningModule, name):
            raise Unstackable(f"defines {name}")


@torch.no_grad()
def clip_norms(stack: Stack, largest: float) -> None:
    """Scale each member's gradient so that its norm over all weights is at most ``largest``."""
    stacked = [p.grad for p in stack.stacked().values() if p.grad is not None]
    squares = torch.stack([(gradient * gradient).flatten(1).sum(1) for gradient in stacked]).sum(0)
    own = [
        (member, one.of(one.parameter.grad))
        for member, weights in enumerate(stack.own())
        for one in weights.values()
        if one.parameter.grad is not None
    ]
    for member, gradient in own:
        squares[member] += (gradient * gradient).sum()
    factors = (largest / (squares.sqrt() + 1e-6)).clamp(max=1.0)
    for gradient in stacked:
        gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))
    for member, gradient in own:
        gradient.mul_(factors[member])
