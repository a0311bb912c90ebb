"""Run a population through Lightning's Trainer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule

from actsearch.compiler import c_op
from actsearch.compiler.c_prefetch import prefetch
from actsearch.errors import TaskError
from actsearch.nn.activation import Activation
from actsearch.tasks import _build, _rng
from actsearch.tasks._population_module import Population
from actsearch.tasks._population_session import Member, PopulationSession, values_of
from actsearch.tasks._population_state import StateFiles
from actsearch.tasks._progress import Suspended
from actsearch.tasks._result import make_result
from actsearch.tasks._session import Diverged
from actsearch.tasks._state import read_state
from actsearch.tasks._surroundings import surroundings
from actsearch.tasks._trainer import key_of, make_tester, make_trainer
from actsearch.tasks.fit import FitJob, FitResult


def run(jobs: Sequence[FitJob], n_threads: int | None, width: int | None) -> tuple[FitResult, ...]:
    """Fit, resuming members from their states; members at different steps are trained one group after the other."""
    with surroundings(n_threads):
        keys = [key_of(job, n_threads) | {"population": True} for job in jobs]
        _check_alike(jobs, keys)
        states = [_state_of(job, key) for job, key in zip(jobs, keys, strict=True)]
        groups: dict[int, list[int]] = defaultdict(list)
        for number, state in enumerate(states):
            groups[0 if state is None else _steps_done(state)].append(number)
        results: dict[int, FitResult] = {}
        for step, numbers in groups.items():
            chosen = [states[number] for number in numbers]
            begun = None if step == 0 else [state for state in chosen if state is not None]
            found = _fit([jobs[i] for i in numbers], [keys[i] for i in numbers], begun, width)
            results |= dict(zip(numbers, found, strict=True))
    return tuple(results[number] for number in range(len(jobs)))


def _fit(
    jobs: Sequence[FitJob], keys: Sequence[dict[str, Any]], states: Sequence[dict[str, Any]] | None, width: int | None
) -> tuple[FitResult, ...]:
    members = [Member(job) for job in jobs]
    session = PopulationSession(members, None if states is None else [state["member"] for state in states])
    modules = [_build.build_module(job) for job in jobs]
    _prefetch(modules, jobs[0])
    module = Population(modules, max(width or 0, len(jobs)))
    data = session.wrap(_build.build_data(jobs[0]))
    files = StateFiles(None if states is None else states[0]["shared"])
    files.targets = lambda: [
        (member.job.state_path, key, state)
        for member, key, state in zip(members, keys, session.states(), strict=True)
        if member.job.state_path is not None and not member.reason
    ]
    done = 0 if states is None else _steps_done(states[0])
    trainer = make_trainer(jobs[0], session, files, module, done)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=None if states is None else "population")
        session.check_whole(max(member.rows[-1][0] for member in members if not member.reason))
        session.save()
    except (Suspended, Diverged):
        pass
    except MisconfigurationException as error:
        raise TaskError(f"{jobs[0].where}: {error}") from error
    tested = _test(jobs[0], module, data) if jobs[0].test else [None] * len(jobs)
    module.stack.settle()
    n_parameters = module.stack.n_parameters()
    return tuple(
        make_result(
            member.job,
            member.rows,
            member.reason,
            seconds=session.seconds(member),
            n_parameters=n_parameters[k],
            test_metric=tested[k],
            learned=None if member.reason else _build.learned(member.job, module.stack.activations[k]),
        )
        for k, member in enumerate(members)
    )


def _test(job: FitJob, module: Population, data: LightningDataModule) -> list[float]:
    _rng.seed_all(_build.seed(job, "dropout"))
    make_tester(job).test(module, datamodule=data, verbose=False)
    return values_of(module.measured, job.task.test_metric, job.where)


def _prefetch(modules: Sequence[Any], job: FitJob) -> None:
    """Have all kernels built, many in one call of the compiler, while the population is put together."""
    c_op.load()  # here a slower door would be much slower
    exprs = [part.expr for module in modules for part in module.modules() if isinstance(part, Activation)]
    is_double = "64" in str(job.task.trainer_options.get("precision", ""))
    prefetch(dict.fromkeys(exprs), torch.float64 if is_double else torch.float32)


def _state_of(job: FitJob, key: dict[str, Any]) -> dict[str, Any] | None:
    state = read_state(job.state_path, key)
    return state if state is not None and _steps_done(state) <= job.stop_step else None


def _steps_done(state: dict[str, Any]) -> int:
    return int(state["shared"]["callbacks"][PopulationSession.__qualname__]["step"])


def _check_alike(jobs: Sequence[FitJob], keys: Sequence[dict[str, Any]]) -> None:
    if not jobs:
        raise TaskError("a population has at least one member")
    for job, key in zip(jobs[1:], keys[1:], strict=True):
        differing = [name for name in key if name != "spec" and key[name] != keys[0][name]]
        differing += [name for name in ("stop_step", "test") if getattr(job, name) != getattr(jobs[0], name)]
        if differing:
            raise TaskError(f"{job.where}: the members of a population differ in {', '.join(differing)}")
