"""What a population does at each step and rung: each member's curve, its end when it diverges, its state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from actsearch.errors import TaskError, suggest
from actsearch.tasks import _rng
from actsearch.tasks._lazy import materialise_alike
from actsearch.tasks._learning_rate import scale_learning_rates
from actsearch.tasks._population_module import Population
from actsearch.tasks._population_stack import Unstackable
from actsearch.tasks._population_state import put, taken
from actsearch.tasks._progress import Progress
from actsearch.tasks._result import Row
from actsearch.tasks._session import Diverged, next_rung
from actsearch.tasks.fit import FitJob


@dataclass
class Member:
    """One candidate of a population.

    Attributes:
        job: its job.
        rows: its curve.
        losses: of its steps since the last rung.
        reason: why it diverged; empty while it has not.
        seconds_before: its share of the time of earlier calls.
    """

    job: FitJob
    rows: list[Row] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    reason: str = ""
    seconds_before: float = 0.0


class PopulationSession(Progress):
    """Measures all members at rungs, and suspends the population at its ``stop_step``.

    A member that diverges keeps its slice until the population ends, where it harms nobody; its activations give zeros.

    Args:
        members: the members; their jobs differ in candidate and state file only.
        states: each member's state, from which the population goes on; None: from the start.
    """

    def __init__(self, members: Sequence[Member], states: Sequence[dict[str, Any]] | None) -> None:
        super().__init__(members[0].job)
        self.members = members
        self._states = states

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give lazy parameters their shapes, and stack the members."""
        self._trainer = trainer
        if stage != "fit":
            return
        assert isinstance(pl_module, Population)
        materialise_alike(pl_module.members, getattr(trainer, "datamodule", None))
        pl_module.build()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Scale learning rates at the start, restore weights later on."""
        assert isinstance(pl_module, Population)
        self.check_validates(trainer)
        if len(trainer.num_val_batches) > 1:
            raise Unstackable("is validated on several sets")
        pl_module.stack.module.trainer = trainer
        if self._states is None:
            schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
            scale_learning_rates(trainer.optimizers, schedulers, self.job.learning_rate_factor)
            return
        put(pl_module.stack, trainer.optimizers[0], [state["weights"] for state in self._states])
        for member, state in zip(self.members, self._states, strict=True):
            member.rows = [tuple(row) for row in state["rows"]]
            member.losses = list(state["losses"])
            member.seconds_before = state["seconds"]

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note everybody's loss."""
        assert isinstance(pl_module, Population)
        for k, (member, loss) in enumerate(zip(self.members, pl_module.losses.tolist(), strict=True)):
            if not math.isfinite(loss):
                self._give_up(pl_module, k, f"the training loss is {loss} at step {self.step}")
            member.losses.append(loss)
        if self.step in self.job.rungs:
            self._check_weights(pl_module)
            # validation may draw random numbers (its loaders do); training goes on as if it had not
            self._random = _rng.collect()
        if all(member.reason for member in self.members):
            raise Diverged("all members of the population have diverged")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note what was measured at the rung."""
        assert isinstance(pl_module, Population)
        if self.step not in self.job.rungs:
            return  # the module stopped the training, and Lightning validates once more
        metrics = values_of(pl_module.measured, self.job.task.metric, self.job.where)
        losses = pl_module.measured["val_loss"].tolist() if "val_loss" in pl_module.measured else None
        for k, member in enumerate(self.members):
            loss = math.nan if losses is None else losses[k]
            for name, value in ((self.job.task.metric, metrics[k]), ("val_loss", 0.0 if losses is None else loss)):
                if not math.isfinite(value):
                    self._give_up(pl_module, k, f"{name} is {value} at step {self.step}")
            if not member.reason:
                trained = math.fsum(member.losses) / len(member.losses) if member.losses else math.nan
                member.rows.append((self.step, metrics[k], loss, trained))
            member.losses = []
        trainer.val_check_batch = next_rung(self.job.rungs, self.step)
        assert self._random is not None
        _rng.restore(self._random)
        if all(member.reason for member in self.members):
            raise Diverged("all members of the population have diverged")
        if self.step == self.job.task.n_steps:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return what all members share."""
        return {"step": self.step, "random": _rng.collect()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        self._resumed_at = state_dict["step"]
        self._random = state_dict["random"]

    def save(self) -> None:
        """Leave each member's state in its file."""
        if any(member.job.state_path is not None and not member.reason for member in self.members):
            self._trainer.save_checkpoint("population", weights_only=False)

    def states(self) -> list[dict[str, Any]]:
        """Return each member's state."""
        module = self._trainer.lightning_module
        assert isinstance(module, Population)
        weights = taken(module.stack, self._trainer.optimizers[0])
        return [
            {"weights": one, "rows": member.rows, "losses": member.losses, "seconds": self.seconds(member)}
            for member, one in zip(self.members, weights, strict=True)
        ]

    def seconds(self, member: Member) -> float:
        """Return a member's share of the time."""
        return member.seconds_before + self.elapsed / len(self.members)

    def _check_weights(self, module: Population) -> None:
        own = module.stack.own()
        for name, parameter in module.stack.stacked().items():
            for k in torch.isfinite(parameter.detach()).flatten(1).all(1)[: len(own)].logical_not().nonzero():
                self._give_up(module, int(k), f"{name} is not finite at step {self.step}")
        for k, weights in enumerate(own):
            for name, one in weights.items():
                if not torch.isfinite(one.value).all():
                    self._give_up(module, k, f"{name} is not finite at step {self.step}")

    def _give_up(self, module: Population, k: int, reason: str) -> None:
        """Note why a member has diverged, the first time."""
        if not self.members[k].reason:
            self.members[k].reason = reason
            module.stack.drop(k)


def values_of(measured: dict[str, torch.Tensor], name: str, where: str) -> list[float]:
    """Return a metric of all members.

    Raises:
        TaskError: the module logged no metric of that name.
    """
    if name not in measured:
        logged = ", ".join(sorted(measured)) or "nothing"
        raise TaskError(f"{where}: the module logs no {name!r}{suggest(name, measured)} (it logs: {logged})")
    return [float(value) for value in measured[name]]
