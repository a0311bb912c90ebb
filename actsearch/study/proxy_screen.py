"""Spend a search's proposals by a proxy: what is among the worst of a random sample of the space is not trained."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import sympy
from numpy.typing import ArrayLike, NDArray

from actsearch.errors import ActivationError
from actsearch.study.proxies import Start, load_proxy
from actsearch.study.screen import SKIPPED, screen
from actsearch.tasks.task import Cell, Task

if TYPE_CHECKING:
    from actsearch.space.space import Space

N_SAMPLE = 100  # candidates; the share that is really skipped is then within 10 points of the one asked for


class ProxyScreen:
    """The screen of :mod:`actsearch.study.screen`, and behind it a proxy.

    The sample follows from the seed, so that a search which goes on after a kill skips what it skipped before.

    Args:
        space: where candidates are from.
        proxy: name of what they are judged by.
        share: of the space's random candidates, how many to skip.
        task: the task, and
        net: the net of it that a proxy of nets looks at.
        normalise: whether activations are fitted normalised.
        seed: the study's.

    Raises:
        StudyError: there is no such proxy.
        TaskError: the proxy looks at a net, and the task only looks recorded fits up.
    """

    def __init__(
        self, space: Space, proxy: str, share: float, task: Task, net: str, *, normalise: bool, seed: int
    ) -> None:
        self.proxy, self.share, self.cell = load_proxy(proxy), share, Cell(task, net)
        self.normalise, self.seed = normalise, seed
        rng = random.Random(seed)
        drawn = (space.sample(rng.getrandbits(64)) for _ in range(N_SAMPLE))
        known = (self._badness(expr) for expr in drawn if screen(expr) is None)
        self.sample = np.array([badness for badness in known if badness is not None])

    def __call__(self, expr: sympy.Expr) -> str | None:
        """Return why a candidate is not trained, as a few words, or None when nothing speaks against it."""
        if reason := screen(expr):
            return reason
        badness = self._badness(expr)
        if badness is None or not is_worst(badness, self.sample, self.share):
            return None
        return f"{SKIPPED}{self.proxy.name} is among the worst {self.share:.0%} of the space"

    def _badness(self, expr: sympy.Expr) -> float | None:
        """Return the proxy, larger being worse; None for an activation that it says nothing of."""
        try:
            return self.proxy.badness(Start(expr, self.cell, normalise=self.normalise, seed=self.seed))
        except ActivationError:
            return None


def is_worst(badness: ArrayLike, sample: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """Return whether values are among the worst share of a sample, each tie with half of its equals before it.

    Args:
        badness: values, larger being worse, of any shape.
        sample: values to compare with, shape (n,); where there are none, nothing is among the worst.
        share: in (0, 1).

    Example:
        >>> is_worst([1.0, 3.0, 4.0], np.array([1.0, 2.0, 3.0, 4.0]), 0.25).tolist()
        [False, False, True]
    """
    values = np.asarray(badness, dtype=np.float64)
    if len(sample) == 0:
        return np.zeros(values.shape, dtype=bool)
    ordered = np.sort(sample)
    below, upto = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return np.asarray((below + upto) / (2 * len(sample)) >= 1 - share)
