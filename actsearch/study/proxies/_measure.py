"""Measure proxies of one candidate, with what each costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sympy

from actsearch.study.proxies._load import load_proxy, proxy_names
from actsearch.study.proxies._start import Start
from actsearch.tasks.task import Cell

if TYPE_CHECKING:
    from actsearch.tasks.task import Task


@dataclass(frozen=True)
class Measured:
    """One proxy of one candidate.

    Attributes:
        value: the number, in the unit that the proxy's file names; NaN where it does not exist.
        milliseconds: processor time that it took, from the candidate's formula on.
    """

    value: float
    milliseconds: float


def measure(
    spec: sympy.Expr | str,
    task: Task | str | None = None,
    net: str | None = None,
    *,
    names: Sequence[str] | None = None,
    normalise: bool = True,
    seed: int = 0,
) -> dict[str, Measured]:
    """Return proxies of an activation: what can be said of it before any training.

    The same seed gives the same numbers, to the bit on one machine.

    Args:
        spec: catalog name, text or SymPy expression.
        task: a task or its name, for proxies that look at a net; None: those of the function alone.
        net: one of the task's nets; None: its first, the cheapest.
        names: which proxies; None: all that can be measured.
        normalise: whether it is fitted with mean 0 and variance 1 for a unit-normal input.
        seed: of the net's first weights and of the batch.

    Raises:
        StudyError: there is no such proxy, or it needs a task and none is given.
        TaskError: there is no such task or net, or it only looks recorded fits up.
        ExprError: ``spec`` is no expression.
        ActivationError: it cannot be normalised.

    Example:
        >>> found = measure("tanh", names=["edge_of_chaos", "nonlinearity"])
        >>> {name: round(proxy.value, 4) for name, proxy in found.items()}
        {'edge_of_chaos': 0.1778, 'nonlinearity': 0.0695}
    """
    cell = None if task is None else _cell(task, net)
    proxies = [load_proxy(name) for name in (proxy_names() if names is None else names)]
    if names is None and cell is None:
        proxies = [proxy for proxy in proxies if not proxy.needs_net]
    found = {}
    for proxy in proxies:
        began = time.process_time()
        value = proxy.measure(Start(spec, cell, normalise=normalise, seed=seed))
        found[proxy.name] = Measured(value, 1e3 * (time.process_time() - began))
    return found


def _cell(task: Task | str, net: str | None) -> Cell:
    from actsearch.tasks.load import load_task

    loaded = load_task(task) if isinstance(task, str) else task
    return Cell(loaded.with_nets(net), net) if net is not None else loaded.cells[0]
