"""Candidates that wait to be fitted together: those that stand at the same report, on the way to the same rung."""

from __future__ import annotations

from actsearch.study.objective import Candidate, Objective

_FEWEST = 8  # with fewer, most of a step's time is what it takes however few share it
_SHARE = 2  # a group is sent when it is half full: waiting for more would keep the sampler from knowing


class Waiting:
    """Groups of candidates, by the report where they stand.

    Args:
        objective: says how many are fitted at once, and how far.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._groups: dict[tuple[int, int], list[Candidate]] = {}

    @property
    def largest(self) -> int:
        """How many candidates begin at once."""
        first, _ = self._objective.plan.reports[0]
        return self._objective.size_of(first.key).n

    @property
    def fewest(self) -> int:
        """How many candidates are worth a population of their own."""
        return min(self.largest, _FEWEST)

    @property
    def n_new(self) -> int:
        """How many of those that wait have not begun."""
        return sum(len(group) for (report, _), group in self._groups.items() if report == 0)

    def add(self, candidate: Candidate) -> None:
        """Let a candidate wait for its next report."""
        key = candidate.n_reports, self._objective.jobs(candidate)[0].stop_step
        self._groups.setdefault(key, []).append(candidate)

    def furthest(self) -> list[Candidate] | None:
        """Take out the group that is furthest, of those that are worth sending; None: none is."""
        return self._take(max((key for key, group in self._groups.items() if self._is_worth(group)), default=None))

    def nearest(self) -> list[Candidate] | None:
        """Take out the group that is least far, however small: those that go on join others on their way."""
        return self._take(min(self._groups, default=None))

    def _is_worth(self, group: list[Candidate]) -> bool:
        size = self._objective.size(group[0]).n
        least = size if group[0].n_reports == 0 else -(-size // _SHARE)
        return len(group) >= least

    def _take(self, key: tuple[int, int] | None) -> list[Candidate] | None:
        if key is None:
            return None
        group = self._groups.pop(key)
        size = self._objective.size(group[0]).n
        if rest := group[size:]:
            self._groups[key] = rest
        return group[:size]
