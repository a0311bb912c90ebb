"""Whether a study's candidates are fitted one by one or many at once: measured once, stored, and kept on resumption.

A candidate's score depends on the mode by rounding (not on who its neighbours are), so one study has one mode in each
cell.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import optuna

from actsearch.errors import StudyError, suggest
from actsearch.study.executor import Pool
from actsearch.study.fits import make_job
from actsearch.study.jobs import Size, Sizes
from actsearch.study.plan import Cell, Plan

if TYPE_CHECKING:
    from actsearch.tasks.fit import FitJob

_log = logging.getLogger(__name__)

MODES = ("auto", "single", "population")
SIZES = (16, 32)  # of which the faster is taken; more fill the caches of a core, fewer share too little
_ATTRIBUTE = "populations"
_STEPS = 50  # of a fit that is measured
_TAKES = 2  # of which the faster counts: other workers measure other nets meanwhile
_WORTH = 0.8  # a population is taken when a candidate costs at most so much of a single fit
_NO_FASTER = "is no faster with many candidates at once"
_PROBED = ("relu", "tanh", "x * sigmoid(beta[1.0] * x)")


def check_mode(mode: str, population_size: int | None) -> None:
    """Check what was asked for.

    Raises:
        StudyError: there is no such mode, or no such population.
    """
    if mode not in MODES:
        raise StudyError(f"unknown mode {mode!r}{suggest(str(mode), MODES)} (known: {', '.join(MODES)})")
    if population_size is not None and (not isinstance(population_size, int) or population_size < 2):
        raise StudyError(f"population_size is {population_size!r}; it must be a whole number from 2")
    if population_size is not None and mode == "single":
        raise StudyError(f"population_size is {population_size}, but mode 'single' fits one candidate at a time")


def choose_sizes(study: optuna.Study, plan: Plan, pool: Pool[Any], mode: str, population_size: int | None) -> Sizes:
    """Return the sizes of a study: those that it has, else what a measurement in a worker says, stored in the study."""
    stored = study.user_attrs.get(_ATTRIBUTE)
    if stored is None:
        chosen = {} if mode == "single" else _measured(plan, pool, mode, population_size)
        stored = {key: asdict(size) for key, size in chosen.items()}
        study.set_user_attr(_ATTRIBUTE, stored)
    return {key: Size(**size) for key, size in stored.items()}


def _measured(plan: Plan, pool: Pool[Any], mode: str, population_size: int | None) -> dict[str, Size]:
    sizes = SIZES if population_size is None else (population_size,)
    for cell in plan.cells:
        if cell.task.replay is not None:
            continue  # looked up, not fitted
        pool.submit(cell, partial(measure, _jobs(plan, cell), sizes, mode == "population"))
    found: dict[str, Size] = {}
    while pool.n_waiting:
        for cell, answer in pool.wait():
            found[cell.key] = answer if isinstance(answer, Size) else Size(reason=f"cannot be measured: {answer}")
            if reason := found[cell.key].reason:
                level = logging.INFO if reason == _NO_FASTER else logging.WARNING
                _log.log(level, "%s: candidates are fitted one by one, as the net %s", cell.key, reason)
    return found


def _jobs(plan: Plan, cell: Cell) -> tuple[FitJob, ...]:
    """Return short fits of different candidates."""
    step = min(_STEPS, cell.rungs[-1])
    short = replace(cell, rungs=(step, *(rung for rung in cell.rungs if rung > step)))
    return tuple(make_job(plan, short, spec, 0, step) for spec in _PROBED)


def measure(jobs: tuple[FitJob, ...], sizes: tuple[int, ...], is_forced: bool) -> Size:
    """Return the size that trains most candidates a second; called in a worker.

    Args:
        jobs: short fits of different candidates.
        sizes: to choose from.
        is_forced: take a population wherever the net can be fitted in one.
    """
    from actsearch.tasks.population import probe, seconds_a_step

    reason, is_free = probe(jobs)
    if reason:
        return Size(reason=reason)
    if is_forced and len(sizes) == 1:
        return Size(sizes[0], None if is_free else sizes[0])
    takes = [{n: seconds_a_step(jobs[0], n) for n in sizes} for _ in range(_TAKES if len(sizes) > 1 else 1)]
    seconds = {n: min(take[n] for take in takes) for n in sizes}
    best = min(seconds, key=lambda n: seconds[n])
    if not is_forced and seconds[best] > _WORTH * seconds_a_step(jobs[0], 1):
        return Size(reason=_NO_FASTER)
    return Size(best, None if is_free else best)
