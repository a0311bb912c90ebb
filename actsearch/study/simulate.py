"""Searches replayed on a table of recorded fits, without expressions, workers and storage."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import optuna
from optuna.samplers import BaseSampler

from actsearch.errors import StudyError
from actsearch.space import RandomChooser, Space
from actsearch.study.loop import ESCAPE, GIVE_UP, PATIENCE
from actsearch.study.studies import quiet_optuna

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Numbers = Mapping[frozenset[tuple[str, str]], int]
"""Choices -> the candidate's place in the space's order."""


def candidate_numbers(space: Space) -> Numbers:
    """Return the place of each candidate in the space's order: :func:`simulate` needs it, once a space."""
    return {frozenset(choices.items()): number for number, choices in enumerate(space.enumerate_choices())}


def simulate(
    space: Space,
    numbers: Numbers,
    classes: Ints,
    values: Floats,
    sampler: BaseSampler,
    n_evaluations: int,
    *,
    rejected: float,
    seed: int = 0,
    first: Sequence[Mapping[str, str]] = (),
    batch: int = 1,
    after: Callable[[optuna.Study, int], None] = lambda study, n_told: None,
) -> Ints:
    """Return the functions that a search trains, in their order, distinct, of shape (n_evaluations,) or shorter.

    As in :mod:`actsearch.study.loop`, what the screen rejects is told as ``rejected`` and what was trained before with
    its value: neither is counted; the 25th repetition of choices in a row is replaced by a random candidate.

    Args:
        space: the space.
        numbers: see :func:`candidate_numbers`.
        classes: for each candidate its row in ``values``, -1 for those that the screen rejects.
        values: what training a function gives, to be maximised, shape (functions,).
        sampler: an Optuna sampler that has seen no study.
        n_evaluations: functions to train; fewer are returned after 1,000 proposals in a row without a new one.
        rejected: the value of a rejected candidate, the chance level.
        seed: of the random candidates.
        first: choices of candidates that are tried first.
        batch: how many functions are trained at once: so many are asked for before the first of them is told, fewer
            where 20 proposals in a row hold no new one.
        after: called whenever results were told, with the study and how many functions have one.

    Raises:
        StudyError: the table is one of another space, or a batch is empty.
    """
    if len(classes) != space.size() or len(classes) != len(numbers):
        raise StudyError(f"the table has {len(classes)} candidates and the space {space.name!r} {space.size()}")
    if batch < 1:
        raise StudyError(f"a batch has at least one function, not {batch}")
    rng = random.Random(seed)
    found: dict[int, None] = {}
    seen: set[frozenset[tuple[str, str]]] = set()
    running: list[tuple[optuna.Trial, int]] = []
    told: set[int] = set()
    n_repeated = n_vain = 0
    with quiet_optuna():
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for choices in first:
            study.enqueue_trial(dict(choices))
        while len(found) < n_evaluations and n_vain < GIVE_UP and len(seen) < len(numbers):
            if n_repeated >= ESCAPE:
                study.enqueue_trial(dict(space.choose(RandomChooser(rng.getrandbits(64)))))
            trial = study.ask()
            choices = space.choose(lambda name, options, trial=trial: trial.suggest_categorical(name, options))  # type: ignore[misc]
            key = frozenset(choices.items())
            n_repeated = n_repeated + 1 if key in seen and n_repeated < ESCAPE else 0
            seen.add(key)
            row = int(classes[numbers[key]])
            n_vain = n_vain + 1 if row in found or row < 0 else 0
            if row < 0 or row in told:
                study.tell(trial, float(values[row]) if row >= 0 else rejected)
            else:  # a duplicate of what is running waits for it
                found[row] = None
                running.append((trial, row))
            if len({row for _, row in running}) >= batch or (running and n_vain >= PATIENCE):
                for waiting, number in running:
                    study.tell(waiting, float(values[number]))
                    told.add(number)
                running.clear()
                after(study, len(told))
    return np.fromiter(found, dtype=np.int64, count=len(found))
