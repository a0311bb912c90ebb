"""A net as a fit would begin it, with one batch of its training data: what is measured before any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils import _pytree as pytree

from actsearch.compiler.compiled import compile
from actsearch.errors import TaskError
from actsearch.nn.activation import Activation
from actsearch.tasks import _build, _rng
from actsearch.tasks._lazy import materialise, mute
from actsearch.tasks.fit import FitJob


@dataclass(frozen=True, eq=False)
class Untrained:
    """A net with its first weights, in evaluation mode, and examples of its training data.

    Batch normalisation has the statistics of these examples. Activations run as plain torch operations: building a
    kernel for one batch would cost more than it saves.

    Attributes:
        module: the net.
        batch: what a training step gets; tensors of shape (examples, ...).
        n_examples: number of examples in the batch.
    """

    module: LightningModule
    batch: Any
    n_examples: int

    @property
    def weights(self) -> list[Tensor]:
        """The parameters that training would change."""
        return [parameter for parameter in self.module.parameters() if parameter.requires_grad]

    @property
    def inputs(self) -> Tensor:
        """What the net's ``forward`` gets: the batch, or its first part."""
        return self.batch[0] if isinstance(self.batch, list | tuple) else self.batch

    def outputs(self, inputs: Tensor | None = None) -> Tensor:
        """Return what the net's ``forward`` gives for inputs (its own when None), shape (examples, outputs).

        Raises:
            TaskError: the net has no ``forward``.
        """
        try:
            given = self.module(self.inputs if inputs is None else inputs)
        except NotImplementedError:
            raise TaskError(
                f"the net {type(self.module).__name__} has no forward(), so its outputs are unknown"
            ) from None
        return given.flatten(1) if given.dim() > 1 else given[:, None]

    def loss(self) -> Tensor:
        """Return the mean training loss of all examples."""
        return _loss(self.module.training_step(self.batch, 0))

    def loss_gradients(self) -> Tensor:
        """Return the gradient of each example's own loss in all weights, shape (examples, weights)."""
        step = _Step(self.module)
        weights = {name: part.detach() for name, part in step.named_parameters() if part.requires_grad}

        def loss(weights: dict[str, Tensor], example: Any) -> Tensor:
            batch = pytree.tree_map_only(Tensor, lambda part: part[None], example)
            return functional_call(step, weights, (batch,))

        gradient = grad(loss)
        try:
            found = vmap(gradient, in_dims=(None, 0))(weights, self.batch)
            return torch.cat([part.flatten(1) for part in found.values()], dim=1)
        except (RuntimeError, ValueError):  # a step that asks for numbers, draws some, or gets more than tensors
            rows = [gradient(weights, self._example(number)) for number in range(self.n_examples)]
            return torch.stack([torch.cat([part.flatten() for part in row.values()]) for row in rows])

    def output_gradients(self) -> Tensor:
        """Return the gradient of the sum of each example's outputs in all weights, shape (examples, weights)."""
        sums = self.outputs().sum(dim=1)
        rows = torch.eye(len(sums), dtype=sums.dtype, device=sums.device)
        found = torch.autograd.grad(sums, self.weights, rows, is_grads_batched=True, allow_unused=True)
        return torch.cat([part.flatten(1) for part in found if part is not None], dim=1)

    def _example(self, number: int) -> Any:
        return pytree.tree_map_only(Tensor, lambda part: part[number], self.batch)


class _Step(nn.Module):
    """A module's training step as a module, for functional calls."""

    def __init__(self, module: LightningModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, batch: Any) -> Tensor:
        return _loss(self.module.training_step(batch, 0))


def _loss(returned: Any) -> Tensor:
    return returned["loss"] if isinstance(returned, dict) else returned


def untrained(job: FitJob, n_examples: int = 32) -> Untrained:
    """Return what a fit begins with: to the bit its first weights, and the first examples of its training data.

    Global random states are left as they were.

    Args:
        job: the fit.
        n_examples: how many examples; fewer where the task's batches are smaller.

    Raises:
        TaskError: the net or the data cannot be built, the task only looks recorded fits up, the net optimises by hand,
            or the tensors of a batch differ in length.
    """
    with _rng.preserved():
        module = _build.build_module(job)
        if not module.automatic_optimization:
            raise TaskError(f"{job.where}: the net optimises by hand, so a step of it cannot be looked at alone")
        _run_as_torch(module)
        data = _build.build_data(job)
        data.prepare_data()
        data.setup("fit")
        materialise(module, data)
        mute(module)
        _rng.seed_all(_build.seed(job, "order"))
        batch = pytree.tree_map_only(Tensor, lambda part: part[:n_examples], next(iter(data.train_dataloader())))
        lengths = {len(part) for part in pytree.tree_leaves(batch) if isinstance(part, Tensor) and part.dim()}
        if len(lengths) != 1:
            raise TaskError(
                f"{job.where}: the tensors of a training batch have {sorted(lengths)} examples, not one number"
            )
        made = Untrained(module, batch, lengths.pop())
        _set_batch_statistics(made)
    module.eval()
    return made


def _run_as_torch(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, Activation):
            part.compiled = compile(part.expr, "reference")


def _set_batch_statistics(made: Untrained) -> None:
    """Give batch normalisation the statistics of the batch, as it has them in training."""
    norms = [part for part in made.module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    made.module.train()
    with torch.no_grad():
        made.loss()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
