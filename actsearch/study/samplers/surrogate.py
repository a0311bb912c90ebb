"""Bayesian optimisation on what functions do: a Gaussian process over behaviour tells which candidate may be better."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from actsearch.errors import StudyError, suggest
from actsearch.space import ReplayChooser, Space
from actsearch.space.vary import crossover, mutate, regenerate
from actsearch.study.samplers._behaviour import GROUPS
from actsearch.study.samplers._candidates import Functions, Key, candidates_of
from actsearch.study.samplers._planned import Planned, all_trials, choices_of, fixed_choices
from actsearch.study.samplers._process import (
    Prior,
    Process,
    correlation,
    explained,
    log_expected_improvement,
    plausible,
)
from actsearch.study.samplers._seen import Seen, look
from actsearch.study.samplers._targets import targets

Array = npt.NDArray[np.float64]

FEATURES = tuple(group for group in GROUPS if group != "scale")
_N_DRAWN = 200  # random candidates of a large space to choose from, and as many variants of the best ones
_N_KEPT = 20  # results until others are drawn
_N_PARENTS = 10
_START = Prior(length=0.6, noise=0.1)  # while nothing is known: only for spreading the first candidates
_N_LOOKED_AT = 40  # candidates among which each of the first is chosen
_N_REPRESENTED = 300  # candidates that the first ones are to tell something about
_GROWTH = 1.1  # priors are found anew whenever there are so many times as many observations, or one more of few
_N_LEARNED_FROM = 400  # results at most: a process takes the cube of their number
_ATTEMPTS = 50


def make_sampler(
    space: Space,
    seed: int = 0,
    *,
    n_initial: int = 7,
    features: Sequence[str] = FEATURES,
    normalise: bool = True,
    symmetric: bool = True,
) -> BaseSampler:
    """Return a sampler that predicts candidates from what similar functions gave; it serves every space.

    What is similar is told by a function's behaviour on normal inputs, not by its formula, so that the same function in
    another form, or in a mirror where nets cannot tell, is never asked for twice. Which part of the behaviour matters,
    over which distance, and how much a fit depends on its seed is learned with the search: several answers are believed
    in at once, each as far as the results make it probable. Of a small space all candidates are compared each time, of
    a larger one random ones and variants of the best.

    Args:
        space: any space, with choices that depend on others or without.
        seed: non-negative.
        n_initial: results until the process is trusted; until then candidates are spread over what the space can do,
            and these results give the scale of all.
        features: what counts as behaviour: of ``values``, ``slopes``, ``moments`` and ``correlation``.
        normalise: whether activations are normalised in the search: then a f(x) + b is f(x), and scale is no feature.
        symmetric: whether f(-x), -f(x) and -f(-x) are f(x) to the nets of the search.

    Raises:
        StudyError: a setting out of range.

    Reference:
        Rasmussen, Williams 2006, "Gaussian processes for machine learning"; Ginsbourger, Le Riche, Carraro 2010,
        "Kriging is well-suited to parallelize optimization" (candidates that are still running count as if they had
        given what is expected of them); Snoek, Larochelle, Adams 2012, arXiv:1206.2944, section 3.2 (expected
        improvement averaged over priors). That outputs predict training is from Bingham, Miikkulainen 2023,
        arXiv:2301.05785.
    """
    if n_initial < 2:
        raise StudyError(f"surrogate needs n_initial >= 2, not {n_initial}")
    if isinstance(features, str) or not features:
        raise StudyError(f"surrogate needs a list of features (of {', '.join(FEATURES)}), not {features!r}")
    for name in features:
        if name not in FEATURES:
            raise StudyError(f"surrogate knows no feature {name!r}{suggest(name, FEATURES)} ({', '.join(FEATURES)})")
    return Surrogate(space, seed, n_initial, tuple(features), normalise, symmetric)


class Surrogate(Planned):
    """See :func:`make_sampler`. All it knows it reads from the study each time; what it keeps only saves time."""

    def __init__(
        self, space: Space, seed: int, n_initial: int, features: tuple[str, ...], normalise: bool, symmetric: bool
    ) -> None:
        super().__init__(seed)
        self._space = space
        self._n_initial = n_initial
        self._candidates = candidates_of(space, normalise, symmetric, features)
        self._drawn: tuple[tuple[int, ...], Functions | None] = ((), None)
        self._kept: _Learned | None = None
        self._priors: tuple[object, list[tuple[float, Prior]]] = (None, [])

    def plan(self, study: Study, trial: FrozenTrial) -> dict[str, str]:
        """Return the choices of the candidate with the largest expected improvement."""
        if fixed_choices(trial):
            return {}
        maximize = study.direction == StudyDirection.MAXIMIZE
        others = [other for other in all_trials(study) if other.number != trial.number]
        seen = look(others, [frozenset(plan.items()) for plan in self._plans.values()], self._candidates)
        functions = self._functions(seen, maximize)
        untried = [i for i, name in enumerate(functions.names) if name not in seen.functions]
        if not untried:
            # every function has been tried; what is left are other forms of them, and what cannot be trained
            return self._newcomer(seen.keys, random.Random(self.seed_of(trial)))
        if len(seen.finished) < self._n_initial:
            rng = np.random.default_rng(self.seed_of(trial))
            best = untried[_most_telling(seen, functions.features[untried], functions.n_forms[untried], rng)]
        else:
            best = untried[int(self._promises(seen, functions.features, maximize)[untried].argmax())]
        return self._space.choose(ReplayChooser(dict(functions.keys[best])))

    def expected_order(self, study: Study) -> list[FrozenTrial]:
        """Return the complete trials of distinct functions, those that the process expects most of first.

        One fit is a noisy witness: of many tried, the one with the largest value is mostly one that was lucky. The
        process corrects each value by what functions gave that behave alike. Empty while there are too few results.
        """
        maximize = study.direction == StudyDirection.MAXIMIZE
        seen = look(all_trials(study), [], self._candidates)
        if len(seen.finished) < self._n_initial:
            return []
        learned = self._learned(seen, seen.features[:0], maximize)
        known = sum(share * process.posterior.known for share, _, process in learned.processes)
        order = learned.results[np.argsort(-np.asarray(known)[: len(learned.results)], kind="stable")]
        return [seen.finished[i] for i in order if seen.finished[i].state == TrialState.COMPLETE]

    def _functions(self, seen: Seen, maximize: bool) -> Functions:
        """Return all functions of a small space; of a large one random ones and variants of the best.

        New random ones come now and then, variants whenever the best are others.
        """
        if self._candidates.is_small:
            return self._candidates.whole
        values = targets(seen.finished, maximize, self._n_initial) if seen.finished else np.empty(0)
        ranked = [seen.finished[i] for i in np.argsort(-values, kind="stable")]
        state = (len(seen.finished) // _N_KEPT, *(trial.number for trial in ranked[:_N_PARENTS]))
        known_state, functions = self._drawn
        if functions is None or known_state != state:
            rng = self._rng(state[0])
            drawn = [regenerate(self._space, rng) for _ in range(_N_DRAWN)]
            parents = [dict(choices_of(trial)) for trial in ranked[:_N_PARENTS]]
            if len(parents) > 1:
                rng = self._rng(*state)
                drawn += [self._variant(parents, rng) for _ in range(_N_DRAWN)]
            functions = self._candidates.functions([frozenset(choices.items()) for choices in drawn])
            self._drawn = state, functions
        return functions

    def _rng(self, *state: int) -> random.Random:
        return random.Random(int(np.random.SeedSequence([self._seed, *state]).generate_state(1)[0]))

    def _variant(self, parents: list[dict[str, str]], rng: random.Random) -> dict[str, str]:
        first, second = rng.sample(parents, 2)
        child = crossover(first, second, self._space, rng) if rng.random() < 0.5 else first
        return mutate(child, self._space, rng)

    def _newcomer(self, taken: set[Key], rng: random.Random) -> dict[str, str]:
        for _ in range(_ATTEMPTS):
            choices = regenerate(self._space, rng)
            if frozenset(choices.items()) not in taken:
                break
        return choices

    def _promises(self, seen: Seen, features: Array, maximize: bool) -> Array:
        """Return the logarithm of each candidate's expected improvement over the best mean there is."""
        logarithms = []
        for share, _, process in self._learned(seen, features, maximize).processes:
            found = process.posterior
            improvement = log_expected_improvement(found.mean, found.deviation, float(found.known.max()))
            logarithms.append(math.log(share) + improvement)
        total: Array = np.logaddexp.reduce(logarithms, axis=0)
        return total

    def _learned(self, seen: Seen, features: Array, maximize: bool) -> _Learned:
        """Return what is known of candidates; as long as no result has come, what was asked for since is added."""
        state = maximize, *(trial.number for trial in seen.finished)
        kept = self._kept
        if (
            kept is None
            or kept.state != state
            or kept.features is not features
            or not np.array_equal(kept.asked, seen.running[: len(kept.asked)])
        ):
            kept = self._kept = self._learn(seen, features, maximize, state)
        for _, prior, process in kept.processes:
            columns, factor = self._candidates.views[prior.view]
            process.ask(factor * seen.running[len(kept.asked) :, columns])
        kept.asked = seen.running
        return kept

    def _learn(self, seen: Seen, features: Array, maximize: bool, state: tuple[int, ...]) -> _Learned:
        views = self._candidates.views
        values = targets(seen.finished, maximize, self._n_initial)
        n = self._n_initial
        while (more := max(n + 1, int(n * _GROWTH))) <= min(len(values), _N_LEARNED_FROM):
            n = more
        first = tuple(trial.number for trial in seen.finished[:n])
        if self._priors[0] != first:
            self._priors = first, plausible([f * seen.features[:n, columns] for columns, f in views], values[:n])
        results = _worth_learning_from(values)
        processes = []
        for share, prior in self._priors[1]:
            columns, factor = views[prior.view]
            known, others = (factor * part[:, columns] for part in (seen.features[results], features))
            processes.append((share, prior, Process(prior, known, values[results], others)))
        return _Learned(state, features, results, seen.running[:0], processes)


@dataclass
class _Learned:
    """What results tell about candidates.

    Attributes:
        state: which results there were.
        features: of the candidates.
        results: indices of the results that were learned from.
        asked: features of what was asked for since, taken into account.
        processes: of each plausible prior: its share, itself and the process.
    """

    state: tuple[int, ...]
    features: Array
    results: npt.NDArray[np.int64]
    asked: Array
    processes: list[tuple[float, Prior, Process]]


def _worth_learning_from(values: Array) -> npt.NDArray[np.int64]:
    """Return the indices of all results or, of too many, of the best and of some of the others, evenly spread."""
    if len(values) <= _N_LEARNED_FROM:
        return np.arange(len(values))
    best, others = np.split(np.argsort(-values, kind="stable"), [_N_LEARNED_FROM // 2])
    spread = np.linspace(0, len(others) - 1, _N_LEARNED_FROM - len(best)).astype(int)
    return np.sort(np.concatenate([best, np.sort(others)[spread]]))


def _most_telling(seen: Seen, untried: Array, n_forms: npt.NDArray[np.int64], rng: np.random.Generator) -> int:
    """Return, of the functions of random candidates, the one that tells most about the others that is not known yet."""
    chances = n_forms / n_forms.sum()

    def drawn(n: int) -> npt.NDArray[np.int64]:
        return np.unique(rng.choice(len(chances), n, p=chances))

    looked_at, others = drawn(_N_LOOKED_AT), untried[drawn(_N_REPRESENTED)]
    features = untried[looked_at]
    shared, left = correlation(others, features, _START.length), np.ones(len(features))
    if len(known := np.concatenate([seen.features, seen.running])):
        here = explained(_START, known, features)
        shared = shared - explained(_START, known, others).T @ here
        left = left - (here**2).sum(axis=0)
    return int(looked_at[((shared**2).sum(axis=0) / (left + _START.noise)).argmax()])
