"""The published surrogate search, for comparison only: UMAP of function outputs, three nearest neighbours, greedy.

Bingham, Miikkulainen 2023, arXiv:2301.05785: the outputs of every function on 1,000 normal numbers, clipped to [-5, 5],
are embedded in two dimensions; eight known functions are tried first, then always the candidate whose three nearest
tried neighbours are best on average. The authors' second feature, the spectrum of the Fisher information at
initialisation, is left out here: outputs alone. Needs the extra ``baselines``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sklearn.neighbors import KNeighborsRegressor

from actsearch.errors import StudyError
from actsearch.expr.resolve import to_expr
from actsearch.space import Space
from actsearch.study.samplers._planned import Planned, all_trials, choices_of, fixed_choices
from actsearch.study.samplers._values import Values

Array = NDArray[np.float64]
Key = frozenset[tuple[str, str]]

START = ("elu", "relu", "selu", "sigmoid", "softplus", "softsign", "silu", "tanh")
N_POINTS, BOUND = 1000, 5.0
N_NEIGHBOURS = 3
N_EMBEDDINGS = 5  # some ten seconds each; a study's seed chooses one


def make_sampler(space: Space, seed: int = 0) -> BaseSampler:
    """Return the published search for a space that can be enumerated and holds the eight functions.

    Raises:
        StudyError: umap-learn is not installed.
        SpaceError: the space lacks a function.
    """
    try:
        import umap  # noqa: F401
    except ImportError as error:
        raise StudyError(
            "the published baseline needs umap-learn, which is not installed; say pip install 'actsearch[baselines]'"
        ) from error
    return Published(space, seed)


class Published(Planned):
    """See :func:`make_sampler`."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(seed)
        self._keys, self._groups, self._places = embedding(space, seed % N_EMBEDDINGS)
        self._group_of = dict(zip(self._keys, self._groups, strict=True))
        self._first = [frozenset(space.encode(to_expr(name)).items()) for name in START]

    def plan(self, study: Study, trial: FrozenTrial) -> dict[str, str]:
        """Return the choices of the next starting function, or of the candidate that is predicted best."""
        if fixed_choices(trial):
            return {}
        sign = 1.0 if study.direction == StudyDirection.MAXIMIZE else -1.0
        tried: dict[int, float] = {}
        taken: set[int] = set()
        for other in all_trials(study):
            group = self._group_of.get(choices_of(other))
            if group is not None and other.number != trial.number:
                taken.add(group)
                if other.state == TrialState.COMPLETE and other.value is not None:
                    tried[group] = sign * other.value
        for key in self._first:
            if self._group_of[key] not in taken:
                return dict(key)
        left = [group for group in range(len(self._places)) if group not in taken]
        if not left:
            return dict(self._keys[trial.number % len(self._keys)])
        if len(tried) < N_NEIGHBOURS:
            return dict(self._candidate(left[trial.number % len(left)]))
        nearest = KNeighborsRegressor(N_NEIGHBOURS).fit(self._places[list(tried)], list(tried.values()))
        return dict(self._candidate(left[int(nearest.predict(self._places[left]).argmax())]))

    def _candidate(self, group: int) -> Key:
        return self._keys[int(np.argmax(self._groups == group))]


@lru_cache(maxsize=N_EMBEDDINGS)
def embedding(space: Space, seed: int) -> tuple[list[Key], NDArray[np.int64], Array]:
    """Return candidates with finite outputs, the group of equal outputs of each, and the groups' places, shape (n, 2).

    As fits are normalised, outputs are too: mean 0 and variance 1, an option of the authors' code.
    """
    import umap

    points = np.random.RandomState(0).normal(size=N_POINTS).clip(-BOUND, BOUND)
    with np.errstate(all="ignore"):
        outputs = Values(space, points).of_all()[:, 0]
        outputs = (outputs - outputs.mean(axis=1, keepdims=True)) / outputs.std(axis=1, keepdims=True)
    there = np.flatnonzero(np.isfinite(outputs).all(axis=1))
    keys = [frozenset(choices.items()) for choices in space.enumerate_choices()]
    _, first, groups = np.unique(outputs[there].round(6) + 0.0, axis=0, return_index=True, return_inverse=True)
    places = umap.UMAP(n_components=2, metric="euclidean", random_state=seed, n_jobs=1).fit_transform(
        outputs[there[first]]
    )
    return [keys[i] for i in there], groups.reshape(-1), np.asarray(places, dtype=np.float64)
