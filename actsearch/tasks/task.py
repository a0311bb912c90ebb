"""A task: data, nets around an activation factory, a metric and its direction. A cell: a task with one of its nets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from actsearch.errors import TaskError, suggest

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule, LightningModule

    from actsearch.tasks.fit import FitJob, FitResult

Direction = Literal["maximize", "minimize"]
# These are the fit's own: a task that sets them would break rungs, resumption or the count of steps.
_TRAINER_ARGUMENTS_OF_THE_FIT = (
    "accumulate_grad_batches",
    "callbacks",
    "check_val_every_n_epoch",
    "fast_dev_run",
    "limit_train_batches",
    "max_epochs",
    "max_steps",
    "max_time",
    "min_epochs",
    "min_steps",
    "num_sanity_val_steps",
    "plugins",
    "val_check_interval",
)


@dataclass(frozen=True, eq=False)
class Task:
    """What an activation is judged on.

    Attributes:
        name: the task's name, part of every seed.
        nets: name -> net factory, cheapest first. ``factory(activation=make)`` returns a LightningModule; ``make`` is
            a callable without arguments that returns a fresh activation module.
        data: ``data(seed=None)`` returns a LightningDataModule with train, validation and test loaders; with a seed,
            freshly generated or freshly split ones where the data can be.
        metric: what is measured on the validation split, as the module logs it.
        test_metric: the same on the test split.
        direction: ``"maximize"`` or ``"minimize"``.
        chance: the metric of guessing; a diverged fit gets it. None: unknown, and a diverged fit gets NaN.
        n_steps: batches of a whole fit. Learning-rate schedules run over these, wherever a fit stops.
        settings: the resolved settings that made the task: a record, and part of a fit's identity.
        channel_dim: dimension of the channels, for parameters per channel.
        takes_gain: the net factories take ``gain=`` too, the factor of the weights behind an activation. It is 1 for
            normalised activations and 1/sqrt(E f(z)^2) else, so the random draws are the same and their scale is right.
        trainer_options: more arguments of Lightning's Trainer, such as ``accelerator`` or ``gradient_clip_val``.
        sign_symmetric: names of the nets that cannot tell f(x) from f(-x) and -f(x): each activation sits between
            linear maps (convolutions too) whose weights are drawn symmetrically about 0 and whose biases start at 0,
            and nothing else sees its values: no pooling by maximum, no gate, no skip around it alone. A search trains
            one of the mirror images there (``symmetry="auto"``).
        measured_at: steps at which fits were measured, of a task that answers from a table; empty: any will do.
        replay: answers a job from recorded fits (see :mod:`actsearch.tasks.table`) instead of training; None: train.
    """

    name: str
    nets: Mapping[str, Callable[..., LightningModule]]
    data: Callable[..., LightningDataModule]
    metric: str = "val_accuracy"
    test_metric: str = "test_accuracy"
    direction: Direction = "maximize"
    chance: float | None = None
    n_steps: int = 400
    settings: Mapping[str, Any] = field(default_factory=dict)
    channel_dim: int = 1
    takes_gain: bool = False
    trainer_options: Mapping[str, Any] = field(default_factory=dict)
    sign_symmetric: Collection[str] = ()
    measured_at: tuple[int, ...] = ()
    replay: Callable[[FitJob], FitResult] | None = None

    def __post_init__(self) -> None:
        faults = []
        if not self.nets:
            faults.append("it has no net")
        if self.direction not in ("maximize", "minimize"):
            faults.append(f"direction is {self.direction!r}, not 'maximize' or 'minimize'")
        if not isinstance(self.n_steps, int) or self.n_steps < 1:
            faults.append(f"n_steps is {self.n_steps!r}, not a whole number of at least 1")
        if clash := sorted(set(self.trainer_options) & set(_TRAINER_ARGUMENTS_OF_THE_FIT)):
            faults.append(f"trainer_options holds {', '.join(clash)}, which the fit sets itself")
        if faults:
            raise TaskError(f"task {self.name!r}: " + "; ".join(faults))

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The task with each of its nets, cheapest first."""
        return tuple(Cell(self, net) for net in self.nets)

    def net(self, name: str) -> Callable[..., LightningModule]:
        """Return the factory of the net called ``name``.

        Raises:
            TaskError: the task has no such net.
        """
        if name not in self.nets:
            known = ", ".join(self.nets)
            raise TaskError(f"task {self.name!r} has no net {name!r}{suggest(name, self.nets)} (known: {known})")
        return self.nets[name]

    def with_nets(self, names: tuple[str, ...] | list[str] | str) -> Task:
        """Return the same task with some of its nets only, in the order given.

        Raises:
            TaskError: the task has no such net.
        """
        chosen = [names] if isinstance(names, str) else list(names)
        return replace(self, nets={name: self.net(name) for name in chosen})


@dataclass(frozen=True, eq=False)
class Cell:
    """One task with one net."""

    task: Task
    net: str

    @property
    def name(self) -> str:
        """``"task/net"``, such as ``"mnist1d/deep"``."""
        return f"{self.task.name}/{self.net}"
