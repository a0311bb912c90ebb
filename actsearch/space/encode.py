"""From an expression back to the choices that make it.

Candidates are found by their values and confirmed as expressions: SymPy rearranges what a formula says (x*x is x**2),
so the form of an expression does not tell how it was made, but its values do. What a space has made is remembered.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sympy

from actsearch.errors import ExprError, SpaceError
from actsearch.expr.fingerprint import fingerprint
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.points import SAMPLE_POINTS, perturbed
from actsearch.expr.program import evaluate, lower
from actsearch.expr.text import format
from actsearch.space.blocks import Evaluator, blocks
from actsearch.space.choosers import ReplayChooser
from actsearch.space.derivation import choices_of, derivation_at
from actsearch.space.levels import Levels
from actsearch.space.rules import Grammar

if TYPE_CHECKING:
    from actsearch.space.space import Space

Array = npt.NDArray[np.float64]

MAX_INDEXED = 10_000
"""Candidates of a space of which, when values did not help, every expression is made."""
MAX_SEARCHED = 200_000_000
"""Candidates that are searched by their values (some ten million a second)."""
MAX_REMEMBERED = 10_000
_MAX_CONFIRMED = 300  # expressions made to confirm equal values
_MAX_PERMUTED = 4
_BLOCK = 200_000
_POINTS = SAMPLE_POINTS[[2, 8, 12, 15, 20]]
_CLOSE = 1e-9


class Encoder:
    """Finds the choices of expressions in one space; what was worked out once is kept."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._known: dict[sympy.Expr, Mapping[str, str]] = {}
        self._index: dict[sympy.Expr, int] | None = None

    def remember(self, expr: sympy.Expr, choices: Mapping[str, str]) -> None:
        """Note the choices of an expression that the space made; the oldest are forgotten."""
        if expr not in self._known:
            if len(self._known) >= MAX_REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[expr] = choices

    def encode(self, expr: sympy.Expr) -> dict[str, str]:
        """Return choices of ``expr``; see :meth:`actsearch.space.space.Space.encode`."""
        if expr in self._known:
            return dict(self._known[expr])
        wanted = forms(expr)
        choices = self._search(expr, wanted)
        if choices is None and self.space.size() <= MAX_INDEXED:  # relu(x)**2/relu(x) has no finite values in numbers
            found = next((self.index[form] for form in wanted if form in self.index), None)
            choices = None if found is None else self.space.choices_at(found)
        if choices is None:
            raise SpaceError(self._not_found(expr))
        self.remember(expr, choices)
        return dict(choices)

    @property
    def index(self) -> dict[sympy.Expr, int]:
        """Every expression of a small space, its parameters renamed, and the first candidate that makes it."""
        if self._index is None:
            self._index = {}
            for number, made in enumerate(self.space.enumerate()):
                self._index.setdefault(_renamed(made, parameters_of(made)), number)
        return self._index

    def _decode(self, choices: Mapping[str, str]) -> sympy.Expr:
        return self.space.decode(ReplayChooser(choices))

    def _search(self, expr: sympy.Expr, wanted: list[sympy.Expr]) -> dict[str, str] | None:
        for levels in _shallow_first(self.space.grammar):
            for choices in itertools.islice(_of_equal_values(levels, expr), _MAX_CONFIRMED):
                made = self._decode(choices)
                if _renamed(made, parameters_of(made)) in wanted:
                    return choices
        return None

    def _not_found(self, expr: sympy.Expr) -> str:
        text, name = _shown(expr), self.space.name
        if other := self._equal_function(expr):
            return f"{text} is not in the space {name!r} in this form; the same function is there as {_shown(other)}"
        searched = [levels.size_of(levels.grammar.start, 0) for levels in _shallow_first(self.space.grammar)]
        if max(searched, default=0) < self.space.size():
            return (
                f"{text} was not found in the space {name!r}; its {self.space.size():,} candidates are too many to look"
                " at all of them, so only the less nested ones were searched"
            )
        return f"{text} is not in the space {name!r}"

    def _equal_function(self, expr: sympy.Expr) -> sympy.Expr | None:
        try:
            same = fingerprint(expr)
        except ExprError:
            return None
        for levels in _shallow_first(self.space.grammar):
            for choices in itertools.islice(_of_equal_values(levels, expr), _MAX_CONFIRMED):
                made = self._decode(choices)
                if fingerprint(made) == same:
                    return made
        return None


def forms(expr: sympy.Expr) -> list[sympy.Expr]:
    """Return the expression with its parameters renamed in every order (in one order when they are more than four).

    Names are no part of a function: an expression is in a space when one of these is.
    """
    found = parameters_of(expr)
    orders = itertools.permutations(found) if len(found) <= _MAX_PERMUTED else iter([found])
    return [_renamed(expr, order) for order in orders]


def _renamed(expr: sympy.Expr, order: tuple[Parameter, ...]) -> sympy.Expr:
    names = {p: Parameter(f"p{i}", p.start, p.constraint, p.granularity) for i, p in enumerate(order)}
    return expr.xreplace(names) if names else expr


def _shallow_first(grammar: Grammar) -> Iterator[Levels]:
    """Yield the space with ever larger depth limits, as long as it can be searched; names of choices stay the same."""
    for depth in [None] if grammar.depth is None else range(1, grammar.depth + 1):
        levels = Levels(Grammar(grammar.start, grammar.rules, grammar.constants, depth))
        size = levels.size_of(grammar.start, 0)
        if size > MAX_SEARCHED:
            return
        if size:
            yield levels


def _of_equal_values(levels: Levels, expr: sympy.Expr) -> Iterator[dict[str, str]]:
    """Yield the choices of candidates whose values at a few points are those of ``expr``."""
    program = lower(expr)
    target = evaluate(program, _POINTS, [perturbed(p, 0, 0) for p in parameters_of(expr)])
    evaluator = Evaluator(levels, _POINTS, lambda place, parameter: perturbed(parameter, 0, 0))
    for block in blocks(levels, _BLOCK):
        values = evaluator.values(block)
        for row in np.flatnonzero(np.isclose(values, target, rtol=_CLOSE, atol=1e-12, equal_nan=True).all(axis=1)):
            yield choices_of(derivation_at(levels, block.first + int(row)))


def _shown(expr: sympy.Expr) -> str:
    try:
        return repr(format(expr))
    except ExprError:
        return repr(str(expr))
