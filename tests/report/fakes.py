"""Small studies with the attributes that a real one has, made without any training."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import optuna

from actsearch.study.comparison import Comparison, ComparisonRow
from actsearch.study.result import StudyResult

CELLS = ("mnist1d/deep", "mnist1d/residual")
RUNGS = (75, 150, 300, 600)
PANEL = ("relu", "leaky_relu", "elu", "selu", "silu", "gelu", "mish", "softplus", "tanh", "identity")
CANDIDATES = (
    "x*sigmoid(beta[1.0]*x)",
    "max(x, sigmoid(x))",
    "cos(x) - x",
    "x*erf(x)",
    "sin(x)*sigmoid(x)",
    "x**2*sigmoid(-x)",
    "max(x, tanh(x))",
    "atan(x)*min(x, 2)",
    "x - x**3/6",
    "exp(-x**2)",
)
CONFIG = {
    "space": "core_unit",
    "cells": {cell: [75, 600] for cell in CELLS},
    "sampler": "tpe",
    "seed": 0,
    "normalise": True,
}
OUTCOMES = ("finished", "finished", "pruned", "finished", "duplicate", "pruned", "finished", "rejected", "diverged")


def curve(level: float, rng: np.random.Generator, rungs: tuple[int, ...] = RUNGS) -> dict[str, list[float]]:
    steps = np.array(rungs)
    metric = level - 0.35 * np.exp(-steps / 160) + rng.normal(0, 0.004, len(steps))
    return {
        "steps": list(rungs),
        "metric": metric.round(5).tolist(),
        "val_loss": (2.2 * (1 - metric)).round(5).tolist(),
        "train_loss": (1.6 * (1 - metric)).round(5).tolist(),
    }


def attributes(text: str, level: float, rng: np.random.Generator, outcome: str, **more: Any) -> dict[str, Any]:
    rungs = RUNGS[:2] if outcome == "pruned" else RUNGS
    curves = {} if outcome in ("duplicate", "rejected") else {c: curve(level, rng, rungs) for c in CELLS}
    return {
        "expr": text,
        "fingerprint": text,
        "outcome": outcome,
        "curves": curves,
        "scores": {cell: data["metric"][-1] for cell, data in curves.items()},
        "seconds": 1.5,
        "n_parameters": 5210,
        "version": "0.1.0",
        **more,
    }


def add(study: optuna.Study, value: float | None, stored: dict[str, Any]) -> optuna.trial.FrozenTrial:
    state = optuna.trial.TrialState.PRUNED if stored["outcome"] == "pruned" else optuna.trial.TrialState.COMPLETE
    if value is None:
        state = optuna.trial.TrialState.FAIL
    study.add_trial(optuna.trial.create_trial(value=value, user_attrs=stored, state=state))
    return study.get_trials(deepcopy=False)[-1]


def comparison(verdict: str = "not shown", seed: int = 3, finalists: tuple[str, ...] = CANDIDATES[:3]) -> Comparison:
    """Finals in which the first finalist is best on validation and the second one best on the test split."""
    rng = np.random.default_rng(seed)
    rows = []
    for rank, spec in enumerate((*finalists, *PANEL)):
        mean = 0.70 - 0.012 * rank + (0.02 if rank == 1 else 0.0)
        values = mean + rng.normal(0, 0.006, 8)
        is_finalist, is_reference, gap = spec in finalists, spec == "silu", mean - 0.664
        difference = (None, None, None, None, None) if is_reference else (gap, gap - 0.01, gap + 0.01, 0.004, 0.012)
        rows.append(
            ComparisonRow(
                spec, "finalist" if is_finalist else "panel", mean, mean - 0.007, mean + 0.007, *difference,
                "reference" if is_reference else verdict if is_finalist else "not shown",
                4.1 - rank if is_finalist else None, 2.5 - rank, 1.0, tuple(values), 0.7 - 0.01 * rank,
                dict.fromkeys(CELLS, mean), 0,
            )
        )  # fmt: skip
    return Comparison(tuple(rows), "silu", 8, 100, 0.011, "test_accuracy", "maximize")


def run(
    n_trials: int = 40,
    seed: int = 0,
    callbacks: Iterable[Any] = (),
    finals: bool = True,
    storage: Any = None,
    interrupted: bool = False,
) -> StudyResult:
    """Play a whole study: every trial is added to its study, then shown to the callbacks."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rng = np.random.default_rng(seed)
    storage = storage or optuna.storages.InMemoryStorage()

    def make(name: str, n_planned: int) -> optuna.Study:
        study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        study.set_user_attr("n_planned", n_planned)
        study.set_user_attr("config", CONFIG)
        return study

    def ended(study: optuna.Study, value: float | None, stored: dict[str, Any]) -> None:
        trial = add(study, value, stored)
        for callback in callbacks:
            callback(study, trial)

    studies = make("core", n_trials), make("core/panel", 36), make("core/finals", 16)
    candidates, panel, finals_study = studies
    for callback in callbacks:
        if hasattr(callback, "start"):
            callback.start(candidates, CONFIG)
    levels = {
        text: 0.68 - 0.02 * rank for rank, text in enumerate(("silu", "gelu", "mish", "elu", "leaky_relu", "relu"))
    }
    for replicate in range(3):
        for text in PANEL:
            level = levels.get(text, 0.55)
            stored = attributes(text, level, rng, "finished", role="panel", replicate=replicate)
            ended(panel, (level - 0.6) / 0.02, stored)
        for copy in range(2):
            stored = attributes("relu", levels["relu"], rng, "finished", role="null_control", replicate=10 + copy)
            ended(panel, (levels["relu"] - 0.6) / 0.02 + rng.normal(), stored)
    for number in range(n_trials):
        outcome = OUTCOMES[number % len(OUTCOMES)]
        text = CANDIDATES[number] if number < len(CANDIDATES) else f"x*sigmoid({number}*x) + {number / 10}"
        level = 0.5 + 0.18 * math.sqrt(number / n_trials) + 0.04 * rng.random()
        value = -5.0 if outcome in ("rejected", "diverged") else (level - 0.6) / 0.02
        reason = {"rejected": "constant on [-4, 4]", "duplicate": "equals trial 1"}.get(outcome, "")
        ended(candidates, value, attributes(text, level, rng, outcome, reason=reason))
    for replicate in range(8 if finals else 0):
        for text, role in ((CANDIDATES[0], "finalist"), ("silu", "panel")):
            stored = attributes(text, 0.7, rng, "finished", role=role, replicate=replicate, learning_rate_factor=1.0)
            stored["test"] = {cell: 0.69 + rng.normal(0, 0.01) for cell in CELLS}
            ended(finals_study, 0.5, stored)
    result = StudyResult(
        "core", "core.journal", candidates, panel, comparison() if finals else None, CONFIG, interrupted
    )
    for callback in callbacks:
        if hasattr(callback, "close"):
            callback.close(result)
    return result


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now
