"""The order in which a candidate is fitted: cells, rungs, and how reports map to Optuna's steps.

A candidate passes the cells one after the other, the cheapest first, and in each cell its rungs. Every (cell, rung) is
one *report*; report ``i`` is the ``i``-th of them. The reported value is the mean of the scores over the cells seen so
far, each at its latest rung. Optuna's halving decides at the steps ``reduction_factor ** rung``, so report ``i`` is
given the step ``reduction_factor ** i``: every report is exactly one rung of the halving, whatever the steps of
training behind it. The last report is never pruned: the candidate is finished.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actsearch.errors import StudyError

if TYPE_CHECKING:
    from actsearch.tasks.task import Task


@dataclass(frozen=True)
class Cell:
    """One task with one net, and the steps of training at which its fits are compared."""

    key: str
    task: Task
    net: str
    rungs: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """All cells of a study in the order of fitting, and what every fit of the study has in common.

    ``final_logger`` makes, from a name, what gives each final fit a Lightning logger of its own.
    """

    cells: tuple[Cell, ...]
    study_seed: int
    normalise: bool
    final_logger: Callable[[str], Any] | None = None

    @property
    def reports(self) -> tuple[tuple[Cell, int], ...]:
        """The (cell, rung) of each report, in order."""
        return tuple((cell, rung) for cell in self.cells for rung in range(len(cell.rungs)))

    @property
    def is_symmetric(self) -> bool:
        """Whether no net of the plan can tell f(x) from f(-x) and -f(x)."""
        return all(cell.net in cell.task.sign_symmetric for cell in self.cells)

    def cheapest_first(self, seconds: Mapping[str, float]) -> Plan:
        """Return the plan with its cells sorted by the seconds that one fit takes."""
        order = sorted(self.cells, key=lambda cell: (seconds.get(cell.key, 0.0), cell.key))
        return replace(self, cells=tuple(order))


def plan_cells(tasks: Sequence[Task], rungs: Sequence[float]) -> tuple[Cell, ...]:
    """Return the cells of all tasks.

    Args:
        tasks: distinct tasks of one direction.
        rungs: ascending; fractions of each task's ``n_steps`` that end with 1, or counts of steps, the last of which
            then is the length of every fit.

    Raises:
        StudyError: no task, two tasks of one name, different directions, or unusable rungs.
    """
    if not tasks:
        raise StudyError("there is no task to search on")
    names = [task.name for task in tasks]
    if len(set(names)) < len(names):
        raise StudyError(f"the tasks {names} do not all have different names")
    directions = {task.name: task.direction for task in tasks}
    if len(set(directions.values())) > 1:
        raise StudyError(f"the tasks differ in direction, {directions}; their metrics have no common mean")
    return tuple(_cell(task, net, rungs) for task in tasks for net in task.nets)


def median_seconds(fits: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the median seconds of each cell over fits given as {cell: seconds}."""
    cells = {cell for fit in fits for cell in fit}
    return {cell: statistics.median(fit[cell] for fit in fits if cell in fit) for cell in cells}


def state_path(folder: Path | None, fingerprint: str, cell: Cell, replicate: int) -> str | None:
    """Return where a candidate's training state is kept between rungs: named by function, so that any trial of the
    same function continues it.
    """
    return None if folder is None else str(folder / f"{fingerprint}-{cell.key.replace('/', '-')}-{replicate}.state")


def _cell(task: Task, net: str, rungs: Sequence[float]) -> Cell:
    steps = steps_of(rungs, task.n_steps)
    if task.measured_at:
        steps = _measured(task, rungs, steps)
    if steps[-1] != task.n_steps:
        task = replace(task, n_steps=steps[-1])
    return Cell(f"{task.name}/{net}", task, net, steps)


def _measured(task: Task, rungs: Sequence[float], steps: tuple[int, ...]) -> tuple[int, ...]:
    """Return the rungs at which a recorded task was measured: for fractions the nearest ones."""
    if rungs[-1] == 1:
        return tuple(sorted({min(task.measured_at, key=lambda at: abs(at - step)) for step in steps}))
    if set(steps) <= set(task.measured_at) and steps[-1] == task.n_steps:
        return steps
    known = ", ".join(map(str, task.measured_at))
    raise StudyError(
        f"rungs={tuple(rungs)}: the task {task.name!r} is recorded, at the steps {known}; rungs are some of these, and "
        f"the last is {task.n_steps}"
    )


def steps_of(rungs: Sequence[float], n_steps: int) -> tuple[int, ...]:
    """Return rungs as counts of steps.

    Raises:
        StudyError: empty, not ascending, not positive, or fractions that do not end with 1.

    Example:
        >>> steps_of((0.1, 0.3, 1.0), 500), steps_of((50, 200), 500)
        ((50, 150, 500), (50, 200))
    """
    counts = all(isinstance(rung, int) and not isinstance(rung, bool) and rung > 1 for rung in rungs) and bool(rungs)
    steps = tuple(int(rung) if counts else max(1, round(rung * n_steps)) for rung in rungs)
    bad = not steps or any(rung <= 0 for rung in rungs) or any(a >= b for a, b in pairwise(steps))
    if bad or (not counts and rungs[-1] != 1):
        raise StudyError(
            f"rungs={tuple(rungs)} for {n_steps} steps: rungs ascend, and are fractions of the task's steps that end "
            "with 1, as in (0.1, 0.3, 1.0), or counts of steps, as in (50, 150, 500)"
        )
    return steps
