"""Timed runs, the Optuna loop's and the search's, each in a folder of its own; one that ended is not run again.

The clock of both starts when their processes are started, so imports count. What is done once on a machine does not:
before, the data are made, and the op that runs kernels is built. The kernels of functions are built while the clock
runs, for every run begins with a cache of its own.
"""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from _optuna_loop import NETS, PROCESSES, SPACE, TASK, quiet, run_trials
from optuna.trial import FrozenTrial, TrialState

import actsearch
from actsearch.compiler import c_op
from actsearch.errors import StudyError
from actsearch.study.result import finished
from actsearch.study.storage import open_storage
from actsearch.tasks._mnist1d_data import splits

LOOP, SEARCH = "loop", "search"  # the sides; also the names of their studies
N_TRIALS = 100_000  # more than the space has: the clock ends a search


@dataclass(frozen=True)
class Incumbent:
    """What a run would have handed over from some moment on: its best so far by its own validation score.

    Attributes:
        seconds: the moment, since the run began.
        side: LOOP or SEARCH, which train it in different forms.
        function: a text; of the loop, a trial's choices ``left right binary``.
    """

    seconds: float
    side: str
    function: str


@dataclass(frozen=True)
class Settings:
    """What a run was asked for; ``seed`` makes its repeats differ."""

    side: str
    minutes: float
    n_steps: int
    seed: int


@dataclass(frozen=True)
class Run:
    """A run that has ended.

    Attributes:
        settings: what it was asked for.
        began: seconds since the epoch.
        load: the machine's, when it began.
        study: its candidates.
    """

    settings: Settings
    began: float
    load: float
    study: optuna.Study

    @property
    def n_trained(self) -> int:
        """How many trainings had ended in time; the search's duplicates and rejected candidates are none."""
        return len(self._trained)

    @property
    def seconds_to_first(self) -> float:
        """When the first candidate was asked for: before come imports and, in a search, the panel."""
        starts = [trial.datetime_start for trial in self.study.get_trials(deepcopy=False)]
        begun = [self._seconds(start) for start in starts if start is not None]  # what is queued has none
        return min(begun, default=60 * self.settings.minutes)

    def seconds_to(self, n: int) -> float:
        """Return when the n-th training had ended; infinite where it had not in time."""
        return self._seconds(self._trained[n - 1].datetime_complete) if n <= len(self._trained) else float("inf")

    @property
    def incumbents(self) -> list[Incumbent]:
        """Each candidate that was the best when it ended, in their order."""
        whole = {trial.number for trial in finished(self.study)} if self.settings.side == SEARCH else None
        found: list[Incumbent] = []
        best = (-float("inf"), 0)
        for trial in self._trained:
            if trial.state == TrialState.COMPLETE and (whole is None or trial.number in whole):
                assert trial.value is not None
                if (trial.value, -trial.number) > best:
                    best = (trial.value, -trial.number)
                    moment = self._seconds(trial.datetime_complete)
                    found.append(Incumbent(moment, self.settings.side, _function(trial)))
        return found

    @property
    def _trained(self) -> list[FrozenTrial]:
        trials = [
            trial
            for trial in self.study.get_trials(deepcopy=False)
            if trial.state.is_finished() and trial.user_attrs.get("outcome") not in ("duplicate", "rejected")
            if self._seconds(trial.datetime_complete) <= 60 * self.settings.minutes
        ]
        return sorted(trials, key=lambda trial: (trial.datetime_complete, trial.number))

    def _seconds(self, moment: datetime.datetime | None) -> float:
        assert moment is not None
        return moment.timestamp() - self.began


def run(folder: Path, settings: Settings) -> Run:
    """Return the run that a folder keeps, or run it there; what was stopped before its end begins anew.

    Raises:
        StudyError: the folder keeps a run with other settings, or a process of the run has failed.
    """
    folder = folder / f"{settings.side}-{settings.seed}"
    marker = folder / "run.json"
    if not marker.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        marker.write_text(json.dumps(asdict(settings) | _timed(folder, settings)) + "\n")
    stored = json.loads(marker.read_text())
    began, load = stored.pop("began"), stored.pop("load")
    if stored != asdict(settings):
        raise StudyError(
            f"{folder} keeps a run with {stored}, not {asdict(settings)}; delete it or name another folder"
        )
    storage = open_storage(folder / "journal", read_only=True)
    return Run(settings, began, load, optuna.load_study(study_name=settings.side, storage=storage))


def _timed(folder: Path, settings: Settings) -> dict[str, float]:
    """Run it, and return when it began and the load of the machine."""
    cache, journal = folder / "cache", folder / "journal"
    _all([(_prepare, (cache,))])
    load, began = os.getloadavg()[0], time.time()
    end = began + 60 * settings.minutes
    if settings.side == LOOP:
        numbers = range(PROCESSES * settings.seed, PROCESSES * (settings.seed + 1))
        _all([(_loop, (cache, journal, number, settings.n_steps, end)) for number in numbers])
    else:
        _all([(_search, (cache, journal, settings.seed, settings.n_steps, end))])
    shutil.rmtree(cache)
    return {"began": began, "load": load}


def _all(calls: Sequence[tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
    """Make all calls at once, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=function, args=arguments) for function, arguments in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if failed := [process.exitcode for process in processes if process.exitcode]:
        raise StudyError(f"{len(failed)} of {len(processes)} processes of the run failed, with {failed[0]}; see above")


def _prepare(cache: Path) -> None:
    os.environ["XDG_CACHE_HOME"] = str(cache.resolve())
    splits()
    c_op.load()  # in a fit, it would be built in the background, and lost with the process


def _loop(cache: Path, journal: Path, seed: int, n_steps: int, end: float) -> None:
    os.environ["XDG_CACHE_HOME"] = str(cache.resolve())
    quiet()
    run_trials(journal, seed, n_steps, seconds=end - time.time())


def _search(cache: Path, journal: Path, seed: int, n_steps: int, end: float) -> None:
    os.environ["XDG_CACHE_HOME"] = str(cache.resolve())

    def stop(study: optuna.Study, trial: FrozenTrial) -> None:
        if time.time() > end:
            raise KeyboardInterrupt  # as if by Ctrl-C, which a search takes for its end

    actsearch.search(
        SPACE, actsearch.load_task(TASK, NETS, n_steps=n_steps), n_trials=N_TRIALS, storage=journal, name=SEARCH,
        seed=seed, n_workers=PROCESSES, finalists=0, callbacks=[stop],
    )  # fmt: skip


def _function(trial: FrozenTrial) -> str:
    choices = trial.params
    return trial.user_attrs.get("expr") or " ".join(choices[name] for name in ("left", "right", "binary"))
