"""Searches replayed on a table: what is counted, what is told, and when."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from actsearch.errors import StudyError
from actsearch.space import load_space
from actsearch.study.samplers import load_sampler
from actsearch.study.simulate import candidate_numbers, simulate

SPACE = load_space("tiny")
NUMBERS = candidate_numbers(SPACE)
CLASSES = np.arange(48) // 4 - 1  # twelve rows of four candidates each; the first four are rejected
VALUES = np.linspace(0.2, 0.9, 11)


def _found(sampler: str, n: int, **settings: object) -> list[int]:
    made = load_sampler(sampler, SPACE, 0)
    return simulate(SPACE, NUMBERS, CLASSES, VALUES, made, n, rejected=0.1, **settings).tolist()  # type: ignore[arg-type]


def test_distinct_functions_are_counted() -> None:
    assert _found("exhaustive", 5) == [0, 1, 2, 3, 4]
    assert sorted(_found("random", 11)) == list(range(11))


def test_a_space_that_is_used_up_ends_the_search() -> None:
    assert sorted(_found("exhaustive", 20)) == list(range(11))


def test_what_comes_first() -> None:
    choices = list(SPACE.enumerate_choices())
    assert _found("random", 4, first=[choices[45], choices[9], choices[46]])[:2] == [10, 1]


def test_batches_are_told_together_and_repetitions_at_once() -> None:
    told: list[int] = []
    running: list[int] = []

    def after(study: optuna.Study, n_told: int) -> None:
        told.append(n_told)
        running.append(len(study.get_trials(states=(TrialState.RUNNING,))))

    assert len(_found("random", 9, batch=3, after=after)) == 9
    assert told == [3, 6, 9]
    assert running == [0, 0, 0]


@pytest.mark.parametrize(
    ("classes", "batch", "message"),
    [
        (CLASSES[:7], 1, "the table has 7 candidates and the space 'tiny' 48"),
        (CLASSES, 0, "at least one function, not 0"),
    ],
)
def test_what_does_not_fit(classes: np.ndarray, batch: int, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        simulate(SPACE, NUMBERS, classes, VALUES, load_sampler("random", SPACE), 3, rejected=0.1, batch=batch)
