"""Hand the jobs of several trials to the workers as one work, and take back an answer for each trial."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from actsearch.study.executor import Lost, Pool
from actsearch.study.jobs import Size, Together

if TYPE_CHECKING:
    from actsearch.tasks.fit import FitJob

Member = TypeVar("Member", bound=Hashable)


class Company(Generic[Member]):
    """Works of one or many members in a pool.

    Args:
        pool: runs :func:`actsearch.study.jobs.run_work`; nothing else is submitted to it meanwhile.
    """

    def __init__(self, pool: Pool[Any]) -> None:
        self.pool = pool
        self._numbers = count()
        self._sent: dict[int, tuple[tuple[Member, ...], tuple[tuple[FitJob, ...], ...], tuple[Size, ...]]] = {}

    def submit(self, members: Sequence[Member], jobs: Sequence[tuple[FitJob, ...]], sizes: Sequence[Size]) -> None:
        """Queue the jobs of members; ``sizes`` has one for each of a member's jobs, which are alike for all."""
        number = next(self._numbers)
        self._sent[number] = tuple(members), tuple(jobs), tuple(sizes)
        alone = len(members) == 1 and all(size.n == 1 for size in sizes)
        self.pool.submit(number, jobs[0] if alone else Together(tuple(jobs), tuple(sizes)))

    def wait(self) -> list[tuple[Member, Any]]:
        """Block until some members are answered, and return them with their answers.

        Work whose worker died again and again is taken apart: only who dies alone, too, is given up.
        """
        answers: list[tuple[Member, Any]] = []
        while not answers and self.pool.n_waiting:
            for number, answer in self.pool.wait():
                members, jobs, sizes = self._sent.pop(number)
                if isinstance(answer, Lost) and len(members) > 1:
                    for member, own in zip(members, jobs, strict=True):
                        self.submit([member], [own], sizes)
                elif isinstance(answer, list):
                    answers += zip(members, answer, strict=True)
                else:
                    answers += [(member, answer) for member in members]
        return answers
