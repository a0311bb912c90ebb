"""Small searches for the tests of the search loop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna

from actsearch.study.result import StudyResult
from actsearch.study.search import search

# A dozen fits of a few hundredths of a second.
SMALL: dict[str, Any] = {
    "n_trials": 4,
    "sampler": "random",
    "rungs": (5, 10),
    "panel": ("relu",),
    "n_null_control": 0,
    "finalists": 0,
    "n_workers": 0,
    "mode": "single",
}
# Null control and finals too.
WHOLE: dict[str, Any] = SMALL | {
    "n_null_control": 2,
    "panel": ("relu", "tanh"),
    "finalists": 1,
    "n_replicates": 2,
    "learning_rate_factors": (1.0, 3.0),
}


def small_search(folder: Path, space: Any = "tiny", **settings: Any) -> StudyResult:
    """Run a small search on ``toy`` in this process, stored in ``folder``."""
    settings = {"storage": folder / "study.journal", "name": "small"} | SMALL | settings
    return search(space, "toy", **settings)


def write_space(folder: Path, *alternatives: str) -> Path:
    """Write a space whose candidates are the given texts, functions of x."""
    path = folder / "space.yaml"
    lines = "\n".join(f"    - {text!r}" for text in alternatives)
    path.write_text(f"name: given\ntitle: Given\ncitation: none\nstart: one(x)\nrules:\n  one(x):\n{lines}\n")
    return path


def facts(trials: Sequence[optuna.trial.FrozenTrial]) -> list[tuple[Any, ...]]:
    """Return what must not depend on where and when trials were fitted."""
    return [(trial.user_attrs.get("expr"), trial.user_attrs.get("outcome"), trial.value) for trial in trials]


def fitted(trials: Sequence[optuna.trial.FrozenTrial]) -> set[tuple[Any, ...]]:
    """Return function, last metric and curve of all trials that were fitted to a rung."""
    return {
        (trial.user_attrs["expr"], str(trial.user_attrs["curves"]))
        for trial in trials
        if "curves" in trial.user_attrs and trial.user_attrs["outcome"] != "duplicate"
    }
