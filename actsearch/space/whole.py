"""Judging every candidate of a space in NumPy: what is wrong with each, and which of them are one function."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sympy

from actsearch.expr.checks import REASONS, fault_codes, value_faults
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.points import CHECK_POINTS, DRAWS, SAMPLE_POINTS, assignment, perturbed
from actsearch.expr.program import evaluate, lower
from actsearch.space.blocks import Block, Evaluator, blocks
from actsearch.space.choosers import ReplayChooser
from actsearch.space.classes import classes
from actsearch.space.levels import parameter_places
from actsearch.space.space import Space

Array = npt.NDArray[np.float64]
Order = dict[tuple[str, str], int]
"""Place and name of a parameter -> slot (see :func:`actsearch.expr.points.perturbed`)."""
Progress = Callable[[int, int], None]
"""``progress(done, total)``, in candidates."""

_MAX_PARAMETERS = 4  # 24 orders
_BLOCK = 20_000  # candidates evaluated at a time: some 10 MB an array
_MAX_SECOND_LOOKS = 2_500  # some milliseconds each
_NOT_FINITE = REASONS.index("not finite")
_IS_SAMPLE_POINT = np.isin(CHECK_POINTS, SAMPLE_POINTS)


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found of each examined candidate.

    Attributes:
        labels: int64 of shape (n,); candidates of one label are one function.
        codes: int8 of shape (n,); what is wrong: an index into ``REASONS``, or -1.
    """

    labels: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int8]


def fault_of(expr: sympy.Expr) -> str | None:
    """Return what the value checks have against a candidate, or None."""
    faults = value_faults(expr)
    return faults[0] if faults else None


def parameter_orders(space: Space) -> list[Order] | None:
    """Return every way to give different slots to the parameters of a space; None when there are more than 24.

    Which parameter of a function gets which slot must not matter, since parameters of one kind are interchangeable:
    functions are compared over all orders together. A space without parameters has one order, which is empty.
    """
    owners = parameter_places(space.levels, _MAX_PARAMETERS)
    if owners is None:
        return None
    return [dict(zip(owners, slots, strict=True)) for slots in itertools.permutations(range(len(owners)))]


def judge_whole(space: Space, orders: Sequence[Order], progress: Progress) -> Judged:
    """Return what is found of every candidate, in the space's order of enumeration.

    Some functions are saved by SymPy's algebra alone: ``relu/relu`` is 1 for SymPy, and 0/0 in numbers. Unless they are
    more than 2,500, candidates that are not finite are therefore looked at again as expressions. In larger spaces some
    candidates count as not finite that as expressions are not (4 % of them in ``aquasurf_large``, most of these are
    constants), and apart from them one label or fault in a thousand differs.

    Args:
        space: a space that fits into memory: some 200 bytes for each candidate and order.
        orders: see :func:`parameter_orders`.
        progress: called after each block.
    """
    started = Evaluator(space.levels, CHECK_POINTS)
    moved = [
        [Evaluator(space.levels, SAMPLE_POINTS, _moving(order, draw)) for order in orders]
        for draw in DRAWS
        if orders[0]
    ]
    codes, signatures = [], []
    for block in blocks(space.levels, max(1, _BLOCK // len(orders))):
        values = started.values(block)
        codes.append(fault_codes(values))
        signatures.append(_symmetric(moved, block) if moved else values[:, _IS_SAMPLE_POINT])
        progress(block.first + block.size, space.size())
    code, signature = np.concatenate(codes), np.concatenate(signatures)
    doubtful = np.flatnonzero(code == _NOT_FINITE)
    if len(doubtful) <= _MAX_SECOND_LOOKS:
        for index in doubtful.tolist():
            _look_again(space, index, len(orders[0]), code, signature)
    return Judged(classes(signature), code)


def _moving(order: Order, draw: int) -> Callable[[str, Parameter], float]:
    return lambda place, parameter: perturbed(parameter, order[place, parameter.name], draw)


def _symmetric(moved: Sequence[Sequence[Evaluator]], block: Block) -> Array:
    return np.concatenate([_sorted([e.values(block) for e in evaluators]) for evaluators in moved], axis=1)


def _sorted(values: Sequence[Array]) -> Array:
    """Return values over all orders of parameters, sorted at each point, so that the order does not count."""
    return np.concatenate(list(np.sort(np.stack(values), axis=0)), axis=-1)


def _look_again(space: Space, index: int, n_slots: int, codes: npt.NDArray[np.int8], signatures: Array) -> None:
    """Judge a candidate by its expression, and enter what is found."""
    expr = space.decode(ReplayChooser(space.choices_at(index)))
    reason = fault_of(expr)
    if reason == "not finite":
        return
    codes[index] = -1 if reason is None else REASONS.index(reason)
    program, parameters = lower(expr), parameters_of(expr)
    signatures[index] = np.concatenate(
        [
            _sorted(
                [
                    evaluate(program, SAMPLE_POINTS, assignment(parameters, slots[: len(parameters)], draw))
                    for slots in itertools.permutations(range(n_slots))
                ]
            )
            for draw in (DRAWS if n_slots else DRAWS[:1])
        ]
    )
