"""The finals: fresh seeds, fresh data, a learning rate tuned for every function alike, and the test split, once."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from actsearch.errors import StudyError
from actsearch.study.callbacks import Callbacks
from actsearch.study.comparison import Comparison, summarise
from actsearch.study.executor import Pool
from actsearch.study.fits import Attributes, Wanted, run_fits, stored_key
from actsearch.study.function import Function, resolve
from actsearch.study.interrupt import Interrupts
from actsearch.study.jobs import NO_SIZES, Sizes, run_work, warm_up
from actsearch.study.panel import PANEL, Notify
from actsearch.study.plan import Plan, plan_cells
from actsearch.study.session import session
from actsearch.study.storage import open_storage
from actsearch.study.studies import load_tasks, open_study, quiet_optuna

if TYPE_CHECKING:
    import os

    from actsearch.tasks.task import Task

TUNING_REPLICATES = 500  # first replicate number of the tuning fits, and ...
FINAL_REPLICATES = 1000  # ... of the final fits: disjoint from each other, from the search and from the panel
FACTORS = (0.3, 1.0, 3.0)


@dataclass(frozen=True)
class Rules:
    """How finals are held."""

    n_replicates: int = 8
    n_tuning_replicates: int = 1
    learning_rate_factors: tuple[float, ...] = FACTORS


def compare(
    specs: Iterable[Any],
    task: Task | str | Sequence[Task | str],
    n_replicates: int = 8,
    *,
    panel: Sequence[str] = PANEL,
    reference: str | None = None,
    seed: int = 0,
    normalise: bool = True,
    n_tuning_replicates: int = 1,
    learning_rate_factors: Sequence[float] = FACTORS,
    storage: str | os.PathLike[str] | optuna.storages.BaseStorage | None = None,
    name: str = "compare",
    executor: Executor | None = None,
    n_workers: int | None = None,
    callbacks: Sequence[Callable[..., Any]] = (),
) -> Comparison:
    """Return how functions compare on the test split, each with its own tuned learning rate, over paired replicates.

    Args:
        specs: catalog names, texts, SymPy expressions or names of adaptive families.
        task: a task, its name, ``"module:object"``, or several of them.
        n_replicates: fits of each function that count, each with seeds and generated data of its own; below 8 no
            difference is called shown.
        panel: baselines to fit alongside.
        reference: what all are compared with, one of ``specs`` or ``panel``; None: the baseline that is best on
            validation, or, without a panel, the first of ``specs``.
        seed: everything random follows from it.
        normalise: give every activation mean 0 and variance 1 under N(0, 1), as :func:`actsearch.search` does.
        n_tuning_replicates: fits of each function with each learning rate that only serve to choose one.
        learning_rate_factors: times the task's learning rate; chosen on validation.
        storage: as for :func:`actsearch.search`, so that the same call continues; None: in memory.
        name: the study's name in the storage.
        executor: as for :func:`actsearch.search`; so are ``n_workers`` and ``callbacks``.

    Raises:
        StudyError: no function, an unknown reference, or nothing that could be fitted.
    """
    functions = _functions(specs, panel, normalise)
    known = [function.spec for function, _ in functions]
    reference = known[0] if reference is None and not panel and known else reference
    if not known or (reference is not None and reference not in known):
        raise StudyError(f"the reference {reference!r} is not among the functions to compare: {', '.join(known)}")
    rules = Rules(n_replicates, n_tuning_replicates, tuple(learning_rate_factors))
    if min(n_replicates, n_tuning_replicates + 1, len(rules.learning_rate_factors) + 1) < 2:
        raise StudyError("compare needs at least 2 replicates, 1 tuning replicate and 1 learning-rate factor")
    told = Callbacks(callbacks)
    with (
        quiet_optuna(),
        Interrupts() as interrupts,
        Pool[Any](run_work, executor, n_workers, interrupts.allowed) as pool,
    ):
        pool.warm_up(warm_up)
        plan = Plan(plan_cells(load_tasks(task), (1.0,)), seed, normalise)
        study = open_study(f"{name}/finals", InMemoryStorage() if storage is None else open_storage(storage))
        config = {"finals": name, "cells": [cell.key for cell in plan.cells], "n_replicates": n_replicates}
        with session(study), told.started(study, config):
            run_finals(study, functions, plan, pool, rules, told, reference=reference)
            comparison = summarise(study, len(functions), {})
        told.close(comparison)
    if comparison is None:
        raise StudyError(f"nothing can be compared: {_reasons(study)}")
    return comparison


def run_finals(
    study: optuna.Study,
    functions: Sequence[tuple[Function, str]],
    plan: Plan,
    pool: Pool[Any],
    rules: Rules,
    notify: Notify,
    score: Callable[[Attributes], float] | None = None,
    reference: str | None = None,
    sizes: Sizes = NO_SIZES,
) -> None:
    """Tune and fit what is missing of the finals; every fit is stored as it ends, so a later call continues.

    Functions that an earlier call brought to the finals stay in them: all that were tested count.

    Args:
        study: the finals' study.
        functions: (function, role), role "finalist" or "panel".
        plan: the cells.
        pool: where to fit.
        rules: how many replicates, and which learning rates.
        notify: called after each fit.
        score: validation score of a fit, stored as the trial's value; None: the metric, negative where minimised.
        reference: what to compare with; None: chosen on validation.
        sizes: how many are fitted at once in a cell.
    """
    functions = _with_earlier(study, functions)
    first = plan.cells[0].task
    sign = 1 if first.direction == "maximize" else -1
    for key, value in {
        "functions": [[function.spec, function.fingerprint, role] for function, role in functions],
        "direction": first.direction,
        "metric": first.test_metric,
        "reference": reference,
        "scored": score is not None,
    }.items():
        study.set_user_attr(key, value)

    def level(attributes: Attributes) -> float:
        if attributes["outcome"] == "diverged" or not attributes["scores"]:
            return _chance(plan)
        return sign * statistics.fmean(attributes["scores"].values())

    def keep(attributes: Attributes) -> None:
        notify(study, _store(study, attributes, score or level))

    tuning = _tuning(functions, rules)
    study.set_user_attr("n_planned", len(tuning) + len(functions) * rules.n_replicates)
    run_fits(tuning, _known(study), plan, pool, keep, sizes)
    tuned = _tuned(study, functions, rules, level)
    run_fits(_final(tuned, rules.n_replicates, pool.n_workers), _known(study), plan, pool, keep, sizes)


def _functions(specs: Iterable[Any], panel: Sequence[str], normalise: bool) -> list[tuple[Function, str]]:
    """Return the functions with their roles, each once; a spec that is a baseline too is a finalist."""
    named = [(resolve(spec, normalise), "finalist") for spec in specs]
    named += [(resolve(spec, normalise), "panel") for spec in panel]
    distinct: dict[str, tuple[Function, str]] = {}
    for function, role in named:
        distinct.setdefault(function.fingerprint, (function, role))
    return list(distinct.values())


def _with_earlier(study: optuna.Study, functions: Sequence[tuple[Function, str]]) -> list[tuple[Function, str]]:
    known = {function.fingerprint for function, _ in functions}
    stored = study.user_attrs.get("functions", [])
    return [*functions, *((Function(spec, mark), role) for spec, mark, role in stored if mark not in known)]


def _tuning(functions: Sequence[tuple[Function, str]], rules: Rules) -> list[Wanted]:
    if len(rules.learning_rate_factors) == 1:
        return []
    return [
        Wanted(function, role, "tuning", replicate, factor, fresh_data=True)
        for replicate in range(TUNING_REPLICATES, TUNING_REPLICATES + rules.n_tuning_replicates)
        for function, role in functions
        for factor in rules.learning_rate_factors
    ]


def _tuned(
    study: optuna.Study,
    functions: Sequence[tuple[Function, str]],
    rules: Rules,
    level: Callable[[Attributes], float],
) -> list[tuple[Function, str, float]]:
    """Return each function with the factor whose tuning fits have the best mean on validation; ties: nearest to 1."""
    levels: dict[tuple[str, float], list[float]] = {}
    for trial in study.get_trials(deepcopy=False):
        attributes = trial.user_attrs
        if attributes["stage"] == "tuning" and attributes["outcome"] != "failed":
            key = attributes["fingerprint"], attributes["learning_rate_factor"]
            levels.setdefault(key, []).append(level(attributes))
    tuned = []
    for function, role in functions:
        means = {
            factor: statistics.fmean(levels[function.fingerprint, factor])
            for factor in rules.learning_rate_factors
            if (function.fingerprint, factor) in levels
        } or {rules.learning_rate_factors[len(rules.learning_rate_factors) // 2]: 0.0}
        tuned.append((function, role, max(means, key=lambda factor: (means[factor], -abs(factor - 1)))))
    return tuned


def _final(tuned: Sequence[tuple[Function, str, float]], n_replicates: int, n_workers: int) -> list[Wanted]:
    """Return the final fits, some replicates after the other, so that an interrupted run has whole pairs.

    There are as many replicates at a time as workers: each generates one replicate's data while the others do theirs.
    """
    replicates = range(FINAL_REPLICATES, FINAL_REPLICATES + n_replicates)
    return [
        Wanted(function, role, "final", replicate, factor, fresh_data=True, test=True)
        for first in range(0, n_replicates, n_workers)
        for function, role, factor in tuned
        for replicate in replicates[first : first + n_workers]
    ]


def _chance(plan: Plan) -> float:
    """Return the level of a diverged fit: chance, or below everything where the task knows no chance level."""
    sign = 1 if plan.cells[0].task.direction == "maximize" else -1
    chances = [cell.task.chance for cell in plan.cells]
    known = [sign * chance for chance in chances if chance is not None]
    return statistics.fmean(known) if len(known) == len(chances) else -1e30


def _known(study: optuna.Study) -> list[Any]:
    return [stored_key(trial.user_attrs) for trial in study.get_trials(deepcopy=False)]


def _store(study: optuna.Study, attributes: Attributes, value: Callable[[Attributes], float]) -> FrozenTrial:
    failed = attributes["outcome"] == "failed"
    study.add_trial(
        create_trial(state=TrialState.FAIL, user_attrs=attributes)
        if failed
        else create_trial(state=TrialState.COMPLETE, value=value(attributes), user_attrs=attributes)
    )
    return study.get_trials(deepcopy=False)[-1]


def _reasons(study: optuna.Study) -> str:
    reasons = {trial.user_attrs.get("reason", "") for trial in study.get_trials(deepcopy=False)} - {""}
    return "; ".join(sorted(reasons)) or "too few fits ended"
