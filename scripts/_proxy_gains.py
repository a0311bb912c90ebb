"""Random searches replayed with and without skipping the worst functions by a proxy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from _proxy_values import Arena, Array
from numpy.typing import NDArray

from actsearch.space import Space
from actsearch.study.proxies import load_proxy, proxy_names
from actsearch.study.proxy_screen import N_SAMPLE, is_worst
from actsearch.study.replay import n_to_best, random_orders, regret
from actsearch.study.samplers import load_sampler
from actsearch.study.simulate import candidate_numbers, simulate
from actsearch.study.stats import Difference, paired_difference

BUDGETS = (25, 50, 100, 200)
SHARES = (0.1, 0.25, 0.5, 0.75)
N_TUNING, TUNING_SEED = (
    200,
    1_000_000,
)  # searches for the choice of a share and a side, with random numbers of their own


@dataclass(frozen=True)
class Rule:
    """Which functions a search skips: the worst share by a proxy, as its file has it or the other way round."""

    name: str
    share: float
    is_reversed: bool

    def badness(self, arena: Arena) -> Array:
        """Return what the rule calls bad, larger being worse; a value that does not exist is the worst either way."""
        badness = arena.badness[self.name]
        return np.where(np.isinf(badness), np.inf, -badness) if self.is_reversed else badness

    def __str__(self) -> str:
        side = load_proxy(self.name).better
        worst = "high" if (side == "low") != self.is_reversed else "low"
        return f"the {self.share:.0%} with {worst} values"


@dataclass(frozen=True, eq=False)
class Searches:
    """Replayed searches: regret, shape (searches, budgets), and evaluations to the best 1 %."""

    regrets: Array
    to_best: Array


def replayed(arena: Arena, rule: Rule | None, orders: Sequence[NDArray[np.int64]]) -> Searches:
    """Return random searches in the given orders; with a rule each skips by a random sample of the space."""
    recorded = arena.recorded
    candidates = recorded.classes[recorded.classes >= 0]
    regrets, to_best = np.empty((len(orders), len(BUDGETS))), np.empty(len(orders))
    for number, order in enumerate(orders):
        seed = number % recorded.n_seeds
        if rule is not None:
            badness = rule.badness(arena)
            sample = badness[np.random.default_rng(number).choice(candidates, N_SAMPLE)]
            order = order[~is_worst(badness[order], sample, rule.share)]
        seen, truth = recorded.end[:, seed], recorded.truth(seed)
        regrets[number] = regret(order, seen, truth, BUDGETS)
        to_best[number] = n_to_best(order, recorded.is_best(seed))
    return Searches(regrets, to_best)


@dataclass(frozen=True)
class Gain:
    """What skipping by a rule, chosen in the other net, changes in one net."""

    rule: Rule
    changes: tuple[Difference, ...]  # of the regret, a budget each, in points; below 0 is a gain
    to_best: tuple[float, float]  # median evaluations to the best 1 %, without and with it
    ratio: tuple[float, float, float]  # of these, with its 95 % bootstrap interval

    @property
    def is_gain(self) -> bool:
        """Whether the regret falls at every budget, with intervals below 0."""
        return all(change.high < 0 for change in self.changes)


def gains(judge: Arena, tuner: Arena, n_repeats: int) -> list[Gain]:
    """Return the gain of every proxy in one net, with the rule that was best in the other one."""
    orders = random_orders(judge.recorded.classes, n_repeats)
    tuning = random_orders(tuner.recorded.classes, N_TUNING, TUNING_SEED)
    without = replayed(judge, None, orders)
    found = []
    for name in proxy_names():
        rules = [Rule(name, share, is_reversed) for share in SHARES for is_reversed in (False, True)]
        rule = min(rules, key=lambda rule: replayed(tuner, rule, tuning).regrets.mean())
        with_it = replayed(judge, rule, orders)
        changes = tuple(
            paired_difference(100 * with_it.regrets[:, k], 100 * without.regrets[:, k]) for k in range(len(BUDGETS))
        )
        medians = (_median(without.to_best), _median(with_it.to_best))
        found.append(Gain(rule, changes, medians, _ratio(with_it.to_best, without.to_best)))
        print(f"{judge.net} {name}: {rule}; {[round(change.mean, 2) for change in changes]}", flush=True)
    return found


def sampler_changes(
    judge: Arena, rule: Rule, sampler: str, space: Space, chance: float, n_repeats: int
) -> tuple[Difference, ...]:
    """Return the change of the regret, in points, where a sampler that learns is told chance for what is skipped."""
    recorded, numbers = judge.recorded, candidate_numbers(space)
    budgets = BUDGETS[:-1]
    badness = rule.badness(judge)
    found = np.empty((2, n_repeats, len(budgets)))
    for number in range(n_repeats):
        seed = number % recorded.n_seeds
        seen, truth = recorded.end[:, seed], recorded.truth(seed)
        sample = badness[np.random.default_rng(number).choice(recorded.classes[recorded.classes >= 0], N_SAMPLE)]
        skipped = np.append(is_worst(badness, sample, rule.share), True)  # its last element is what -1 leads to
        for k, classes in enumerate((recorded.classes, np.where(skipped[recorded.classes], -1, recorded.classes))):
            made = load_sampler(sampler, space, number)
            trained = simulate(space, numbers, classes, seen, made, budgets[-1], rejected=chance, seed=number)
            found[k, number] = regret(trained, seen, truth, budgets)
    return tuple(paired_difference(100 * found[1, :, k], 100 * found[0, :, k]) for k in range(len(budgets)))


def _median(values: Array) -> float:
    return float(np.sort(values)[(len(values) - 1) // 2])


def _ratio(ours: Array, theirs: Array) -> tuple[float, float, float]:
    """Return the ratio of medians of paired searches, with its bootstrap interval."""
    drawn = np.random.default_rng(0).integers(0, len(ours), size=(2000, len(ours)))
    middle = (len(ours) - 1) // 2
    medians = (np.sort(values[drawn], axis=1)[:, middle] for values in (ours, theirs))
    with np.errstate(invalid="ignore"):
        ratios = np.sort(np.divide(*medians))
    return _median(ours) / _median(theirs), float(ratios[50]), float(ratios[1949])
