"""The identity of a function by its values: two equal fingerprints are one function.

A function is evaluated at 24 sample points with its parameters moved away from their start values. Each value is named
by its cell (a relative width of 1.4e-9). Where rounding leaves the cell open, mpmath settles it to 20 digits, so that
equal functions get equal fingerprints however they are written, and functions that are merely close do not.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import sympy

from actsearch.expr.cells import NOT_FINITE, cells, exact_cell, negated
from actsearch.expr.graph import Program
from actsearch.expr.noisy import noisy_values
from actsearch.expr.parameters import Parameter
from actsearch.expr.points import DRAWS, SAMPLE_POINTS, assignment
from actsearch.expr.program import evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.expr.settle import settled

Array = npt.NDArray[np.float64]
Cells = tuple[str, ...]

CONSTANT = "constant-"
"""What the fingerprint of a function that does not depend on x begins with."""
_MAX_PERMUTED = 4  # parameters whose every order is tried: 24 evaluations


def fingerprint(expr: sympy.Expr | str) -> str:
    """Return the identity of a function: equal for equal functions, whatever their form and their parameters' names.

    Start value, constraint and granularity of parameters belong to it. Values beyond 1e280, infinite ones and ones that
    are not real count as one: not finite. The string of a constant begins with ``constant-``.

    Args:
        expr: an expression in x and parameters, a catalog name, or text.

    Raises:
        ExprError: it is no such expression.

    Example:
        >>> fingerprint("x*sigmoid(x)") == fingerprint("x/(1 + exp(-x))") == fingerprint("silu")
        True
        >>> fingerprint("gelu") == fingerprint("x*sigmoid(1.702*x)")
        False
        >>> fingerprint("alpha[1.0]*x") == fingerprint("beta[1.0]*x"), fingerprint("beta[1.0]*x") == fingerprint("x")
        (True, False)
    """
    return _fingerprint(to_expr(expr) if isinstance(expr, str) else expr)


def is_constant(expr: sympy.Expr | str) -> bool:
    """Return whether a function does not depend on x (a parameter alone is constant)."""
    return fingerprint(expr).startswith(CONSTANT)


def value_vector(expr: sympy.Expr | str) -> Array:
    """Return the values at the sample points, parameters at their start; float64 of shape (24,)."""
    return evaluate(lower(to_expr(expr) if isinstance(expr, str) else expr), SAMPLE_POINTS)


def fingerprint_of_negative(expr: sympy.Expr) -> str:
    """Return the fingerprint of ``-expr``, from that of ``expr`` where this says it."""
    parameters = [p for p in lower(expr).parameters if isinstance(p, Parameter)]
    if len(parameters) > _MAX_PERMUTED:  # they are ordered by what they do, which the sign changes
        return fingerprint(-expr)
    return _digest([tuple(map(negated, row)) for row in _identity(expr)])


@lru_cache(maxsize=16384)
def _fingerprint(expr: sympy.Expr) -> str:
    return _digest(_identity(expr))


@lru_cache(maxsize=1024)
def _identity(expr: sympy.Expr) -> list[Cells]:
    """Return the cells at all sample points, for each order of the parameters."""
    program = lower(expr)
    parameters = tuple(p for p in program.parameters if isinstance(p, Parameter))
    return _signatures(program, parameters, _orders(program, parameters))


def _digest(signatures: Iterable[Cells]) -> str:
    rows = sorted(signatures)
    constant = all(_is_constant(row) for row in rows)
    digest = hashlib.sha256("\n".join(",".join(row) for row in rows).encode()).hexdigest()
    return f"{CONSTANT if constant else ''}{digest[:32]}"


def _is_constant(signature: Cells) -> bool:
    n = len(SAMPLE_POINTS)
    draws = [set(signature[i : i + n]) for i in range(0, len(signature), n)]
    return all(len(draw) == 1 and NOT_FINITE not in draw for draw in draws)


def _signatures(
    program: Program, parameters: Sequence[Parameter], orders: Sequence[Mapping[Parameter, int]]
) -> list[Cells]:
    """Return for each order the cells at all sample points, one draw after the other (one draw if nothing moves)."""
    draws = DRAWS if any(orders) else DRAWS[:1]
    slots = [[order.get(p) for p in parameters] for order in orders]
    rows = _rows(program, parameters, [assignment(parameters, s, draw) for s in slots for draw in draws])
    n = len(draws)
    return [tuple(itertools.chain(*rows[n * i : n * i + n])) for i in range(len(orders))]


def _rows(program: Program, parameters: Sequence[Parameter], wanted: Sequence[Sequence[float]]) -> list[Cells]:
    """Return the cells at all sample points, for each assignment of parameter values."""
    shape = (len(wanted), len(SAMPLE_POINTS))
    x = np.broadcast_to(SAMPLE_POINTS, shape)
    table = np.array(wanted, dtype=np.float64).reshape(len(wanted), len(parameters))
    named = {p.name: table[:, [i]] for i, p in enumerate(parameters)}
    values, errors = noisy_values(program, x, named)
    found: list[Cells] = []
    for row, row_values, row_errors in zip(wanted, values, errors, strict=True):
        by_name = {p.name: value for p, value in zip(parameters, row, strict=True)}
        names = cells(row_values, row_errors)
        found.append(
            tuple(
                exact_cell(settled(program, float(point), by_name)) if name is None else name
                for point, name in zip(SAMPLE_POINTS, names, strict=True)
            )
        )
    return found


def _orders(program: Program, parameters: Sequence[Parameter]) -> list[dict[Parameter, int]]:
    """Return orders of the parameters (parameter -> slot) that do not depend on names.

    Up to four parameters take all orders of as many slots. More are ordered by what each does on its own; what is left
    undecided then is symmetric in all but contrived cases.
    """
    used = moving(program, parameters)
    if len(used) <= _MAX_PERMUTED:
        return [dict(zip(used, slots, strict=True)) for slots in itertools.permutations(range(len(used)))]
    alone = _signatures(program, parameters, [{p: 0} for p in used])
    ranked = sorted(zip(alone, used, strict=True), key=lambda pair: pair[0])
    return [{p: slot for slot, (_, p) in enumerate(ranked)}]


def moving(program: Program, parameters: Sequence[Parameter]) -> list[Parameter]:
    """Return the parameters that move the function at all; ``sigmoid(b) + sigmoid(-b)`` has none."""
    if not parameters:
        return []
    base = dict(zip(parameters, range(len(parameters)), strict=True))
    moved = [base, *({**base, p: len(parameters) + 1} for p in parameters)]
    first, *others = _signatures(program, parameters, moved)
    return [p for p, signature in zip(parameters, others, strict=True) if signature != first]
