"""What the storage tests share: a study with finished trials, and comparing what a storage holds."""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from actsearch.study.storage import open_storage

OPTIONS = ("sin(a)", "cos(a)", "a * b")


def study_in(storage: BaseStorage, name: str = "first") -> optuna.Study:
    sampler = optuna.samplers.RandomSampler(seed=0)
    return optuna.create_study(
        storage=storage, study_name=name, direction="maximize", sampler=sampler, load_if_exists=True
    )


def tell_one(study: optuna.Study, value: float = 1.0) -> int:
    trial = study.ask()
    trial.suggest_categorical("0:unary", OPTIONS)
    trial.set_user_attr("expr", "sin(x)")
    study.tell(trial, value)
    return trial.number


def finished(storage: BaseStorage, name: str = "first") -> set[int]:
    trials = optuna.load_study(study_name=name, storage=storage).get_trials(states=(TrialState.COMPLETE,))
    assert all(trial.user_attrs["expr"] == "sin(x)" and trial.value is not None for trial in trials)
    return {trial.number for trial in trials}


def journal_with(path: Path, n_trials: int) -> Path:
    study = study_in(open_storage(path))
    for _ in range(n_trials):
        tell_one(study)
    return path
