"""Fit many candidates at once: one net, the same data, stacked weights, and each candidate's activation in its slice.

What every fit of a small net pays at each step, Python, Lightning and the calls of operations, a population pays once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from actsearch.tasks.fit import FitJob, FitResult, fit

_FEW = 5  # steps


def fit_population(
    jobs: Sequence[FitJob], *, n_threads: int | None = 1, width: int | None = None
) -> tuple[FitResult, ...]:
    """Train the candidates of several jobs together and return their curves, in the order of the jobs.

    The members start from the weights, and see the batches and dropout masks, that their single fits would have. To
    the bit, a member's curve is the same whoever its neighbours are and wherever it stands, also when one of them
    diverges; with convolutions, only at one width. It differs from that of a single fit by rounding. A population
    stops at its jobs' ``stop_step`` and leaves a state file for each member; any members that stopped at the same step
    can go on together.

    Args:
        jobs: at least one; they differ in ``spec`` and ``state_path`` only.
        n_threads: as for :func:`actsearch.tasks.fit.fit`.
        width: at least so many slices, of which those without a member are padding; None: as few as hold the members
            and fill whole vectors.

    Raises:
        TaskError: the jobs do not belong together, or the task is wrong, as for a single fit.
        Unstackable: the net cannot be trained this way.

    Example:
        >>> from actsearch.tasks.load import load_task
        >>> task = load_task("toy")
        >>> jobs = [FitJob(task, "mlp", spec, False, 0, 0, 1.0, (20, 40), stop_step=40) for spec in ("relu", "tanh")]
        >>> [result.metric[-1] > 0.5 for result in fit_population(jobs)]
        [True, True]
    """
    if jobs and jobs[0].task.replay is not None:
        return tuple(fit(job) for job in jobs)
    from actsearch.tasks._population_run import run

    return run(jobs, n_threads, width)


def probe(jobs: Sequence[FitJob]) -> tuple[str, bool]:
    """Return why a net cannot be fitted in populations (empty: it can), and whether widths give the same bits.

    One step of each job, single and together: losses, gradients as the optimiser keeps them, weights and buffers must
    agree within 2e-5 of the largest number in each.
    """
    from actsearch.tasks._population_probe import probe as run

    return run(jobs)


def seconds_a_step(job: FitJob, n: int) -> float:
    """Return the time that a candidate's step takes when ``n`` are fitted at once; 1: a single fit.

    Measured from step 5 to the job's last, so that what comes before the first step does not count; of shorter jobs as
    a whole.
    """
    if job.stop_step <= _FEW:
        return _seconds(job, n) / n / job.stop_step
    few = replace(job, rungs=(_FEW, *(rung for rung in job.rungs if rung > _FEW)), stop_step=_FEW)
    return (_seconds(job, n) - _seconds(few, n)) / n / (job.stop_step - _FEW)


def _seconds(job: FitJob, n: int) -> float:
    began = perf_counter()
    if n == 1:
        fit(job)
    else:
        fit_population([job] * n)
    return perf_counter() - began
