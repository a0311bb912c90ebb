"""What is in a space: how many candidates, how many different functions, and how many are hopeless, and why."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actsearch.expr.checks import REASONS
from actsearch.expr.family import Family
from actsearch.expr.fingerprint import fingerprint
from actsearch.expr.text import format
from actsearch.space.choosers import RandomChooser
from actsearch.space.classes import first_rows
from actsearch.space.space import Space
from actsearch.space.whole import Judged, Progress, fault_of, judge_whole, parameter_orders

MAX_WHOLE = 3_000_000
"""Candidates, times the orders of parameters: what is surveyed whole (some 200 bytes each); more is sampled."""
SAMPLE_SIZE = 1_000
_N_EXAMPLES = 8


@dataclass(frozen=True, slots=True)
class Survey:
    """What is in a space.

    Attributes:
        name: the space's.
        size: exact number of candidates.
        n_examined: how many of them were evaluated.
        is_sample: whether these are a random sample; the counts of functions are then those of the sample.
        n_distinct: number of different functions among the examined candidates.
        n_distinct_finite: number of different functions with finite values on [-10, 10].
        n_distinct_accepted: number of different functions that the value checks have nothing against.
        rejected: reason -> number of examined candidates (see :mod:`actsearch.expr.checks`).
        representatives: for each accepted function the index of its first candidate, as :meth:`Space.choices_at` takes
            it; empty for a sample.
        examples: texts of some accepted candidates, drawn at random.
        seconds: what the survey took.
    """

    name: str
    size: int
    n_examined: int
    is_sample: bool
    n_distinct: int
    n_distinct_finite: int
    n_distinct_accepted: int
    rejected: dict[str, int]
    representatives: tuple[int, ...]
    examples: tuple[str, ...]
    seconds: float

    @property
    def share_rejected(self) -> float:
        """Share of the examined candidates that the value checks reject, from 0 to 1."""
        return sum(self.rejected.values()) / self.n_examined


def survey(space: Space, progress: Progress | None = None, *, sample_size: int = SAMPLE_SIZE, seed: int = 0) -> Survey:
    """Return what is in a space: the whole of it, or a random sample where it is too large for that.

    A whole space is evaluated in NumPy from its choices, without making expressions; see :mod:`actsearch.space.whole`.

    Args:
        space: the space.
        progress: called with the number of candidates done and their total.
        sample_size: how many candidates of a space that is too large are drawn.
        seed: of the sample and the examples.

    Example:
        >>> from actsearch.space.load import load_space
        >>> found = survey(load_space("tiny"))
        >>> found.size, found.n_distinct_accepted, found.rejected
        (48, 15, {'not finite': 19, 'constant': 4})
    """
    start = time.perf_counter()
    report = progress or (lambda done, total: None)
    orders = parameter_orders(space)
    if whole := orders is not None and space.size() * len(orders) <= MAX_WHOLE:
        found = _with_families(judge_whole(space, orders, report), space)
    else:
        found = _sample(space, sample_size, seed, report)
    counts = Counter(found.codes.tolist())
    finite = found.labels[found.codes != REASONS.index("not finite")]
    accepted = found.labels[found.codes < 0]
    representatives = _first_candidates(found) if whole else np.empty(0, dtype=np.int64)
    return Survey(
        name=space.name,
        size=space.size(),
        n_examined=len(found.codes),
        is_sample=not whole,
        n_distinct=len(np.unique(found.labels)),
        n_distinct_finite=len(np.unique(finite)),
        n_distinct_accepted=len(np.unique(accepted)),
        rejected={reason: counts[code] for code, reason in enumerate(REASONS) if counts[code]},
        representatives=tuple(representatives.tolist()),
        examples=_examples(space, seed),
        seconds=time.perf_counter() - start,
    )


def _with_families(found: Judged, space: Space) -> Judged:
    """Add the candidates that are families: each is a function of its own, and the value checks do not concern it."""
    found = found if space.n_formulas else Judged(found.labels[:0], found.codes[:0])
    n = space.size() - space.n_formulas
    first = found.labels.max(initial=-1) + 1
    labels = np.concatenate([found.labels, np.arange(first, first + n)])
    return Judged(labels, np.concatenate([found.codes, np.full(n, -1, dtype=np.int8)]))


def _first_candidates(found: Judged) -> npt.NDArray[np.int64]:
    """Return the index of the first candidate of each class that is accepted, ascending."""
    accepted = np.flatnonzero(found.codes < 0)
    return np.sort(accepted[first_rows(found.labels[accepted])])


def _sample(space: Space, sample_size: int, seed: int, progress: Progress) -> Judged:
    """Judge randomly drawn candidates as expressions."""
    rng = random.Random(seed)
    labels: dict[str, int] = {}
    found = Judged(np.empty(sample_size, dtype=np.int64), np.empty(sample_size, dtype=np.int8))
    for index in range(sample_size):
        expr = space.decode(RandomChooser(rng.getrandbits(64)))
        is_family = isinstance(expr, Family)
        reason = None if is_family else fault_of(expr)
        found.codes[index] = -1 if reason is None else REASONS.index(reason)
        found.labels[index] = labels.setdefault(expr.text if is_family else fingerprint(expr), index)
        progress(index + 1, sample_size)
    return found


def _examples(space: Space, seed: int) -> tuple[str, ...]:
    """Return texts of some accepted candidates, no two the same."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    for _ in range(20 * _N_EXAMPLES):
        expr = space.decode(RandomChooser(rng.getrandbits(64)))
        if isinstance(expr, Family) or fault_of(expr) is None:
            found[format(expr)] = None
        if len(found) == _N_EXAMPLES:
            break
    return tuple(found)
