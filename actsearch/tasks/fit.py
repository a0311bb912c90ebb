"""Fit one candidate on one cell: a job is plain data in, a curve is plain data out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from actsearch.errors import TaskError
from actsearch.tasks.task import Task


@dataclass(frozen=True, eq=False)
class FitJob:
    """One training of one candidate, up to ``stop_step``.

    Attributes:
        task: the task.
        net: name of one of its nets.
        spec: the candidate: catalog name, expression text, or an adaptive family's name.
        normalise: wrap the activation to mean 0 and variance 1 under N(0, 1).
        study_seed: with task, net and replicate it gives every seed; the candidate has no part in it.
        replicate: number of the replicate.
        learning_rate_factor: multiplies every learning rate that the module configures.
        rungs: steps at which validation is measured, rising; a step is one batch.
        stop_step: the rung to stop at; schedules run over the task's ``n_steps`` all the same.
        state_path: file of the resumable state. The fit resumes from it when it exists, is whole and belongs to the
            same fit (whatever its ``stop_step``), and leaves its state there. None: keep no state.
        test: measure the test split too, where the fit stops.
        logger: makes the Lightning logger of this fit where it runs; None: none. It has no part in what is fitted.
        fresh_data: data freshly generated or split from (study seed, replicate), where the task's data can be.
    """

    task: Task
    net: str
    spec: str
    normalise: bool
    study_seed: int
    replicate: int
    learning_rate_factor: float
    rungs: tuple[int, ...]
    stop_step: int
    state_path: str | None = None
    test: bool = False
    fresh_data: bool = False
    logger: Callable[[], Any] | None = None

    def __post_init__(self) -> None:
        faults = []
        if not self.rungs or list(self.rungs) != sorted(set(self.rungs)) or self.rungs[0] < 1:
            faults.append(f"rungs {self.rungs} are not rising steps of at least 1")
        if self.stop_step not in self.rungs:
            faults.append(f"stop_step {self.stop_step} is not one of the rungs {self.rungs}")
        if self.stop_step > self.task.n_steps:
            faults.append(f"stop_step {self.stop_step} is beyond the task's n_steps, {self.task.n_steps}")
        if not 0 < self.learning_rate_factor < float("inf"):
            faults.append(f"learning_rate_factor {self.learning_rate_factor} is not a positive number")
        if faults:
            raise TaskError(f"fit of {self.spec!r}, {self.where}: " + "; ".join(faults))

    @property
    def where(self) -> str:
        """Task and net, for messages."""
        return f"task {self.task.name!r}, net {self.net!r}"


@dataclass(frozen=True)
class FitResult:
    """The curve of a fit, one entry a rung up to the job's ``stop_step``.

    Attributes:
        steps: the rungs.
        metric: the task's metric on the validation split; the chance level from where a fit diverged.
        val_loss: validation loss; NaN where the module logs no ``val_loss``.
        train_loss: mean training loss since the rung before.
        status: ``"finished"`` or ``"diverged"``: a loss, metric or weight became NaN or infinite.
        reason: what diverged and at which step; else empty.
        seconds: time spent, in earlier calls that this one resumed too.
        n_parameters: trainable numbers of the net, the activation's included.
        test_metric: the test split's metric, when the job asked for it.
        learned: the activations with the parameters they learned, a line each; None when they have none, or when the
            fit did not go to its last rung.
    """

    steps: tuple[int, ...]
    metric: tuple[float, ...]
    val_loss: tuple[float, ...]
    train_loss: tuple[float, ...]
    status: Literal["finished", "diverged"]
    reason: str
    seconds: float
    n_parameters: int
    test_metric: float | None = None
    learned: str | None = None


def fit(job: FitJob, *, n_threads: int | None = 1) -> FitResult:
    """Train one candidate up to the job's ``stop_step`` and return its curve.

    To the bit, a fit gives the same numbers on one machine with one number of threads: in any process, after any other
    fit, and whether it was interrupted and resumed at a rung or ran through. Global random states, the number of
    threads, loggers and signal handlers are left as they were.

    Args:
        job: what to fit.
        n_threads: threads of torch; 1 suits small nets and leaves the cores to other workers, None changes nothing.

    Raises:
        TaskError: the task's module or data do not fit together: no such metric, no validation split, no activation.

    Example:
        >>> from actsearch.tasks.load import load_task
        >>> job = FitJob(load_task("toy"), "mlp", "relu", False, 0, 0, 1.0, rungs=(20, 40), stop_step=40)
        >>> result = fit(job)
        >>> result.status, result.steps, result.metric[-1] > 0.5
        ('finished', (20, 40), True)
    """
    if job.task.replay is not None:
        return job.task.replay(job)
    # Lightning takes seconds to import, and those who only make jobs don't need it
    from actsearch.tasks._run import run

    return run(job, n_threads)
