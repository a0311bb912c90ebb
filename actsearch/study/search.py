"""Search a space on a task: panel, candidates, finals. The public function, and the phases in their order."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.pruners import NopPruner

from actsearch.errors import StudyError
from actsearch.expr.resolve import to_expr
from actsearch.study.callbacks import Callbacks
from actsearch.study.config import Settings, check_same, config_of
from actsearch.study.executor import Pool
from actsearch.study.finals import FACTORS, Rules, run_finals
from actsearch.study.function import Function, function_of, stored_function
from actsearch.study.interrupt import Interrupts
from actsearch.study.jobs import Sizes, run_work, warm_up
from actsearch.study.loop import Loop, release
from actsearch.study.mode import check_mode, choose_sizes
from actsearch.study.objective import Objective
from actsearch.study.panel import PANEL, fit_panel, members, panel_fits, value_of
from actsearch.study.plan import Plan, plan_cells
from actsearch.study.pruners import make_pruner
from actsearch.study.reclaim import reclaim
from actsearch.study.result import StudyResult, make_result, ranked
from actsearch.study.samplers import load_sampler
from actsearch.study.scale import Scale
from actsearch.study.screen import screen
from actsearch.study.session import session
from actsearch.study.storage import open_storage
from actsearch.study.studies import check_name, load_tasks, open_study, quiet_optuna, state_folder

if TYPE_CHECKING:
    import sympy

    from actsearch.space.space import Space
    from actsearch.tasks.task import Task


@dataclass(frozen=True)
class _Studies:
    """The studies of one search."""

    candidates: optuna.Study
    panel: optuna.Study
    finals: optuna.Study


def search(
    space: Space | str | os.PathLike[str],
    task: Task | str | Sequence[Task | str],
    n_trials: int = 100,
    sampler: str | optuna.samplers.BaseSampler = "surrogate",
    storage: str | os.PathLike[str] | optuna.storages.BaseStorage | None = None,
    executor: Executor | None = None,
    seed: int = 0,
    *,
    name: str | None = None,
    rungs: Sequence[float] = (1 / 9, 1 / 3, 1),
    pruner: str | optuna.pruners.BasePruner = "halving",
    reduction_factor: int | None = None,
    n_workers: int | None = None,
    finalists: int = 3,
    n_replicates: int = 8,
    normalise: bool = True,
    symmetry: str = "auto",
    n_search_replicates: int = 1,
    panel: Sequence[str] = PANEL,
    n_panel_replicates: int = 3,
    n_null_control: int = 5,
    n_tuning_replicates: int = 1,
    learning_rate_factors: Sequence[float] = FACTORS,
    enqueue: Sequence[sympy.Expr | str] = (),
    screen_by: str | None = None,
    screen_share: float = 0.5,
    mode: str = "auto",
    population_size: int | None = None,
    final_logger: Callable[[str], Any] | None = None,
    callbacks: Sequence[Callable[..., Any]] = (),
) -> StudyResult:
    """Search a space for the activation function that is best on a task, and compare the best with the panel.

    Every finished trial is in the storage at once: the same call again continues, after a kill too, and a larger
    ``n_trials`` goes further. Ctrl-C ends the search and returns what it has (``result.interrupted``).

    Args:
        space: a space, the path of its YAML file, or the name of a shipped one.
        task: a task, its name, ``"module:object"``, or several of them, whose metrics share a direction.
        n_trials: how many distinct functions to train in all. Functions seen before and candidates that the screen
            rejects are not counted.
        sampler: a name of :func:`actsearch.study.samplers.sampler_names`, ``"module:object"``, or an Optuna sampler.
        storage: a file (an Optuna journal), a URL, or an Optuna storage; None: ``studies/NAME.journal``.
        executor: where fits run; None: loky processes, one torch thread each.
        seed: everything random follows from it.
        name: the study's name; None: made from space and tasks.
        rungs: where candidates are compared and the poor ones stopped: fractions of a task's steps that end with 1, or
            counts of steps whose last one is the length of a fit.
        pruner: "halving", "hyperband", "median", "none", or an Optuna pruner. With "none" a fit runs to the end of its
            cell, and a kill costs what it had trained there; with others it costs what came after the last rung.
        reduction_factor: of halving and hyperband: one candidate in so many goes on at each rung of each cell; None: 3
            up to three rungs in all, else 2.
        n_workers: fits at once; None: the CPUs; 0: one after the other in this process.
        finalists: how many of the best candidates meet the panel in the finals; 0: no finals.
        n_replicates: fits of each function that count in the finals; below 8 no difference is called shown.
        normalise: give every activation mean 0 and variance 1 for a unit-normal input.
        symmetry: "auto": where no net of the tasks can tell f(x) from f(-x) and -f(x) (``Task.sign_symmetric``: proved
            for the shipped nets, for one's own only if one says so), the first of them is trained, and the others take
            over its score; where activations are normalised, a f(x) + b with any a but 0 is the same function too.
            "off": each is trained.
        n_search_replicates: fits of each candidate in the search, with different seeds; its metric is their mean.
        panel: catalog names of the baselines.
        n_panel_replicates: fits of each baseline, at least 3; scores are in units of their pooled standard deviation.
        n_null_control: copies of relu under other seeds, fitted like candidates to show what luck does.
        n_tuning_replicates: fits of each finalist and baseline with each learning rate that only serve to choose one.
        learning_rate_factors: times the task's learning rate, for the finals.
        enqueue: expressions of the space that are tried first; those that the study has already are left out.
        screen_by: a proxy, a name of :func:`actsearch.study.proxies.proxy_names`: candidates among its worst share are
            told to the sampler as if they scored at chance level, and not trained; see ``docs/results/proxies.md`` for
            what that is worth. A proxy that looks at a net looks at the first one. What is enqueued is skipped like
            others. None: no candidate is.
        screen_share: which share of the space's random candidates ``screen_by`` skips, in (0, 1).
        mode: "single" fits candidates one by one, "population" many at once wherever the net can be stacked; "auto"
            measures once for a study what is faster. Scores of the two differ by rounding.
        population_size: how many at once; None: measured.
        final_logger: makes a Lightning logger for each final fit from the fit's name; called in the worker.
        callbacks: called as ``callback(study, trial)`` after each trial of panel, search and finals; ``start(study,
            config)`` and ``close(result)`` are called too where a callback has them.

    Raises:
        StudyError: an argument out of range, another study of that name, finals on a recorded task, or a task on which
            nothing can be fitted.
        SpaceError: the space's file is missing or wrong, or it does not hold what is enqueued.
        TaskError: the task is missing or wrong.
        StorageError: the storage is.
    """
    began = time.monotonic()
    check_mode(mode, population_size)
    space = _load_space(space)
    first = [space.encode(to_expr(spec)) for spec in enqueue]
    facts = {"normalise": normalise, "symmetric": symmetry == "auto"}
    load_sampler(sampler, space, seed, facts=facts)  # one that cannot serve the space is refused before anything starts
    told = Callbacks(callbacks)
    with (
        quiet_optuna(),
        Interrupts() as interrupts,
        Pool[Any](run_work, executor, n_workers, interrupts.allowed) as pool,
    ):
        pool.warm_up(warm_up)
        plan = Plan(plan_cells(load_tasks(task), rungs), seed, normalise, final_logger)
        n_reports = len(plan.reports)
        settings = Settings(
            n_trials=n_trials,
            sampler=sampler if isinstance(sampler, str) else type(sampler).__name__,
            seed=seed,
            rungs=tuple(rungs),
            pruner=pruner if isinstance(pruner, str) else type(pruner).__name__,
            reduction_factor=reduction_factor if reduction_factor is not None else 3 if n_reports <= 3 else 2,
            normalise=normalise,
            symmetry=symmetry,
            n_search_replicates=n_search_replicates,
            panel=tuple(panel),
            n_panel_replicates=n_panel_replicates,
            n_null_control=n_null_control,
            finalists=finalists,
            n_replicates=n_replicates,
            n_tuning_replicates=n_tuning_replicates,
            learning_rate_factors=tuple(learning_rate_factors),
            screen_by=screen_by,
            screen_share=screen_share,
            mode=mode,
            population_size=population_size,
        )
        _check_finals(plan, settings)
        facts["symmetric"] = _is_symmetric(plan, settings)
        made_sampler = load_sampler(sampler, space, seed, facts=facts)
        made_pruner = make_pruner(pruner, settings.reduction_factor, n_reports)
        name = name if name is not None else "-".join([space.name, *sorted({cell.task.name for cell in plan.cells})])
        check_name(name)
        place = _place(storage, name)
        studies = _open(place if storage is None else storage, name, made_sampler, made_pruner)
        config = config_of(space, plan.cells, settings)
        with session(studies.candidates), state_folder(place, name) as states:
            _begin(studies.candidates, name, config)
            for choices in first:
                studies.candidates.enqueue_trial(choices, skip_if_exists=True)
            with told.started(studies.candidates, config):
                interrupted = _run(studies, space, plan, settings, pool, told, states)
                seconds = time.monotonic() - began
                result = make_result(
                    place, studies.candidates, studies.panel, studies.finals, interrupted=interrupted, seconds=seconds
                )
            told.close(result)
            if not interrupted:
                shutil.rmtree(states, ignore_errors=True)  # a kill may have left states that nobody will continue
    return result


def _run(
    studies: _Studies, space: Space, plan: Plan, settings: Settings, pool: Pool[Any], told: Callbacks, states: Path
) -> bool:
    """Run the phases; return whether Ctrl-C ended them. Whatever ends them, no trial is left running."""
    study = studies.candidates
    try:
        _phases(studies, space, plan, settings, pool, told, states)
    except KeyboardInterrupt:
        pool.close()
        release(study)
        study.set_user_attr("phase", "interrupted")
        return True
    except Exception:
        release(study)
        raise
    study.set_user_attr("phase", "done")
    return False


def _phases(
    studies: _Studies, space: Space, plan: Plan, settings: Settings, pool: Pool[Any], told: Callbacks, states: Path
) -> None:
    study = studies.candidates
    if settings.n_trials == 0:
        study.set_user_attr("stopped", "n_trials is 0, so nothing was searched")
        return
    study.set_user_attr("phase", "panel")
    sizes = choose_sizes(study, plan, pool, settings.mode, settings.population_size)
    wanted = panel_fits(
        settings.panel,
        settings.n_panel_replicates,
        settings.n_null_control,
        settings.normalise,
        symmetric=_is_symmetric(plan, settings),
    )
    scale, plan = fit_panel(studies.panel, wanted, plan, pool, told, sizes)
    study.set_user_attr("phase", "search")
    study.set_user_attr("n_planned", settings.n_trials)
    _search(study, space, plan, scale, settings, pool, told, states if len(plan.reports) > 1 else None, sizes)
    study.set_user_attr("phase", "finals")
    functions = _finalists(studies, settings.finalists)
    if any(role == "finalist" for _, role in functions):
        rules = Rules(settings.n_replicates, settings.n_tuning_replicates, settings.learning_rate_factors)
        score = partial(value_of, scale=scale)
        run_finals(studies.finals, functions, plan, pool, rules, told, score=score, sizes=sizes)


def _search(
    study: optuna.Study,
    space: Space,
    plan: Plan,
    scale: Scale,
    settings: Settings,
    pool: Pool[Any],
    told: Callbacks,
    states: Path | None,
    sizes: Sizes,
) -> None:
    replicates = range(settings.n_search_replicates)
    is_pruned = not isinstance(study.pruner, NopPruner)
    objective = Objective(plan, scale, replicates, settings.reduction_factor, states, sizes, is_pruned)
    loop = Loop(
        study,
        space,
        objective,
        pool,
        n_trials=settings.n_trials,
        identify=partial(function_of, normalise=settings.normalise, symmetric=_is_symmetric(plan, settings)),
        screen=_screen(space, plan, settings),
        notify=told,
    )
    loop.run()
    study.set_user_attr("stopped", loop.stopped and f"{loop.stopped}: {_told(loop)}")


def _screen(space: Space, plan: Plan, settings: Settings) -> Callable[[sympy.Expr], str | None]:
    if settings.screen_by is None:
        return screen
    from actsearch.study.proxy_screen import ProxyScreen  # proxies need torch, the search itself does not

    cell = plan.cells[0]
    return ProxyScreen(
        space,
        settings.screen_by,
        settings.screen_share,
        cell.task,
        cell.net,
        normalise=settings.normalise,
        seed=settings.seed,
    )


def _check_finals(plan: Plan, settings: Settings) -> None:
    recorded = [cell.task.name for cell in plan.cells if cell.task.measured_at]
    if recorded and settings.finalists:
        raise StudyError(
            f"the task {recorded[0]!r} is recorded, so it has no fresh seeds for finals: finalists is "
            f"{settings.finalists}, and 0 is allowed"
        )


def _is_symmetric(plan: Plan, settings: Settings) -> bool:
    return settings.symmetry == "auto" and plan.is_symmetric


def _told(loop: Loop) -> str:
    counts = loop.outcomes
    return (
        f"{loop.n_trained} distinct functions trained of the {loop.n_trials} asked for, "
        f"{counts['rejected']} rejected by the screen, {counts['duplicate']} duplicates"
    )


def _finalists(studies: _Studies, k: int) -> list[tuple[Function, str]]:
    """Return the best k candidates that are no baselines (pruned ones where fewer finished), and the panel.

    A sampler that has ``expected_order`` says which are the best, since the largest of many scores is mostly a lucky
    one; see :meth:`actsearch.study.samplers.surrogate.Surrogate.expected_order`.
    """
    panel = members(studies.panel).values()
    known = {function.key for function in panel}
    study = studies.candidates
    order = study.sampler.expected_order(study) if hasattr(study.sampler, "expected_order") else []
    places = {trial.number: place for place, trial in enumerate(order)}
    trials = sorted(ranked(study), key=lambda trial: places.get(trial.number, len(places)))
    candidates = (stored_function(trial.user_attrs) for trial in trials)
    best = [function for function in candidates if function.key not in known]
    return [(function, "finalist") for function in best[:k]] + [(function, "panel") for function in panel]


def _begin(study: optuna.Study, name: str, config: dict[str, Any]) -> None:
    stored = study.user_attrs.get("config")
    if stored is not None:
        check_same(name, stored, config)
    elif study.get_trials(deepcopy=False):
        raise StudyError(
            f"the storage has a study {name!r} that is not one of actsearch's; give this one another name="
        )
    for key in ("config", "version"):
        study.set_user_attr(key, config if key == "config" else config["version"])
    study.set_user_attr("digest", config["space_digest"])
    reclaim(study)


def _open(
    storage: str | os.PathLike[str] | optuna.storages.BaseStorage,
    name: str,
    sampler: optuna.samplers.BaseSampler,
    pruner: optuna.pruners.BasePruner,
) -> _Studies:
    opened = open_storage(storage)
    return _Studies(
        open_study(name, opened, sampler, pruner),
        open_study(f"{name}/panel", opened),
        open_study(f"{name}/finals", opened),
    )


def _place(storage: str | os.PathLike[str] | optuna.storages.BaseStorage | None, name: str) -> str:
    if storage is None:
        return str(Path("studies") / f"{name}.journal")
    return "" if isinstance(storage, optuna.storages.BaseStorage) else os.fspath(storage)


def _load_space(space: Space | str | os.PathLike[str]) -> Space:
    from actsearch.space.load import load_space

    if isinstance(space, str):
        return load_space(space)
    return load_space(Path(space)) if isinstance(space, os.PathLike) else space
