"""What the trials of a study tell about functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from optuna.trial import FrozenTrial, TrialState

from actsearch.study.samplers._candidates import Candidates, Key
from actsearch.study.samplers._planned import choices_of

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """The functions of a study's trials, each once.

    Attributes:
        keys: the choices of all trials.
        functions: names of the functions of all trials, whatever their state.
        finished: the first trial of each function that gave a result, by number.
        features: of these, shape (n, d).
        running: features of the functions that were asked for and gave no result yet, shape (k, d).
    """

    keys: set[Key]
    functions: set[bytes]
    finished: list[FrozenTrial]
    features: Array
    running: Array


def look(trials: Sequence[FrozenTrial], plans: Iterable[Key], candidates: Candidates) -> Seen:
    """Return what trials tell, and plans for trials that have not made their choices yet.

    A trial that failed gave no result and is not running: its function counts as tried, nothing more.
    """
    keys = [*map(choices_of, trials), *plans]
    results: dict[bytes, tuple[FrozenTrial, Array]] = {}
    others: dict[bytes, Array] = {}
    failed: set[bytes] = set()
    behaviours = candidates.behaviours(keys)
    for trial, behaviour in zip([*trials, *[None] * (len(keys) - len(trials))], behaviours, strict=True):
        if behaviour is None:
            continue
        if trial is None or not trial.state.is_finished():
            others.setdefault(behaviour.name, behaviour.features)
        elif trial.state == TrialState.FAIL:
            failed.add(behaviour.name)
        else:
            results.setdefault(behaviour.name, (trial, behaviour.features))
    running = [features for name, features in others.items() if name not in results]
    return Seen(
        keys=set(keys),
        functions={*results, *others, *failed},
        finished=[trial for trial, _ in results.values()],
        features=_stacked([features for _, features in results.values()], candidates.width),
        running=_stacked(running, candidates.width),
    )


def _stacked(vectors: Sequence[Array], width: int) -> Array:
    return np.array(vectors).reshape(len(vectors), width)
