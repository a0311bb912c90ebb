"""Values of whole blocks of a space in NumPy, on shared sub-values: every choice is an axis.

``binary(unary(x), unary(x))`` over 10 and 25 alternatives evaluates 25 unary functions once, and each binary one on
25 x 25 pairs at once. A block is all candidates that share their first choices, so that memory stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from actsearch.expr.graph import Program
from actsearch.expr.parameters import Parameter
from actsearch.expr.program import evaluate, lower
from actsearch.expr.text import parse
from actsearch.space.levels import Levels
from actsearch.space.rules import Alternative

Array = npt.NDArray[np.float64]
Fixed = Mapping[str, int]
"""Place -> index of the alternative among those open there: the choices that a block shares."""
ValueOf = Callable[[str, Parameter], float]
"""From the place that makes a parameter, and the parameter, to its value."""


@dataclass(frozen=True, slots=True)
class Block:
    """All candidates that share their first choices: a run of the space's order of enumeration.

    Attributes:
        first: index of the first candidate in that order.
        size: number of candidates.
        fixed: the shared choices.
    """

    first: int
    size: int
    fixed: Fixed


def blocks(levels: Levels, at_most: int) -> Iterator[Block]:
    """Yield the blocks of a space in its order of enumeration, none with more than ``at_most`` candidates."""
    yield from _split(_Counter(levels), {}, 0, at_most)


def _split(counter: _Counter, fixed: dict[str, int], first: int, at_most: int) -> Iterator[Block]:
    size = counter.size(fixed)
    undecided = None if size <= at_most else counter.next_choice(fixed)
    if undecided is None:
        yield Block(first, size, fixed)
        return
    place, n_options = undecided
    for index in range(n_options):
        part = {**fixed, place: index}
        yield from _split(counter, part, first, at_most)
        first += counter.size(part)


class _Counter:
    """Counts the candidates of a space with some choices fixed."""

    def __init__(self, levels: Levels) -> None:
        self.levels = levels

    def size(self, fixed: Fixed) -> int:
        return self._size(self.levels.grammar.start, "", 0, fixed)

    def _size(self, alternative: Alternative, place: str, level: int, fixed: Fixed) -> int:
        product = 1
        for index, call in enumerate(alternative.calls):
            here = f"{place}.{index}" if place else str(index)
            if here in fixed:
                chosen = self.levels.open(call.rule, level + 1)[fixed[here]]
                product *= self._size(chosen, here, level + 1, fixed)
            else:
                product *= self.levels.size(call.rule, level + 1)
        return product

    def next_choice(self, fixed: Fixed) -> tuple[str, int] | None:
        """Return the first choice that is not fixed, and how many options it has."""
        return self._next(self.levels.grammar.start, "", 0, fixed)

    def _next(self, alternative: Alternative, place: str, level: int, fixed: Fixed) -> tuple[str, int] | None:
        for index, call in enumerate(alternative.calls):
            here = f"{place}.{index}" if place else str(index)
            options = self.levels.open(call.rule, level + 1)
            if here not in fixed:
                return here, len(options)
            if found := self._next(options[fixed[here]], here, level + 1, fixed):
                return found
        return None


class Evaluator:
    """Evaluates blocks at given points.

    Args:
        levels: the space.
        points: float64 of shape (n_points,).
        value_of: values of parameters; their start values when left out.
    """

    def __init__(self, levels: Levels, points: Array, value_of: ValueOf | None = None) -> None:
        self.levels = levels
        self.grammar = levels.grammar
        self.points = points
        self.value_of = value_of or (lambda place, parameter: float(parameter.start))

    def values(self, block: Block) -> Array:
        """Return the values of a block's candidates in order of enumeration; shape (block.size, n_points)."""
        found = self._alternative(self.grammar.start, "", 0, {}, 0, block.fixed)
        return np.ascontiguousarray(np.broadcast_to(found, (block.size, len(self.points))))

    def _alternative(
        self, alternative: Alternative, place: str, level: int, arguments: Mapping[str, Array], outer: int, fixed: Fixed
    ) -> Array:
        """Return values of shape (*outer axes, candidates, n_points); outer axes are those of the arguments.

        Within an alternative there is an axis for each of its calls, of length 1 where a value does not depend on it.
        """
        n_calls = len(alternative.calls)
        scope = {name: value.reshape(*value.shape[:-1], *[1] * n_calls, value.shape[-1])
                 for name, value in arguments.items()}  # fmt: skip
        for index, call in enumerate(alternative.calls):
            here = f"{place}.{index}" if place else str(index)
            values = [self._formula(text, scope, alternative.parameters, place) for text in call.args]
            names = self.grammar.rules[call.rule].arguments
            made = self._rule(call.rule, here, level + 1, dict(zip(names, values, strict=True)), outer + n_calls, fixed)
            scope[f"_{index}"] = np.moveaxis(np.squeeze(made, axis=outer + index), -2, outer + index)
        made = self._formula(alternative.template, scope, alternative.parameters, place)
        made = made.reshape(*[1] * (outer + n_calls + 1 - made.ndim), *made.shape)
        full = [scope[f"_{i}"].shape[outer + i] for i in range(n_calls)]
        made = np.broadcast_to(made, (*made.shape[:outer], *full, len(self.points)))
        return made.reshape(*made.shape[:outer], -1, len(self.points))

    def _rule(
        self, rule: str, place: str, level: int, arguments: Mapping[str, Array], outer: int, fixed: Fixed
    ) -> Array:
        options = self.levels.open(rule, level)
        if place in fixed:
            options = (options[fixed[place]],)
        found = [self._alternative(option, place, level, arguments, outer, fixed) for option in options]
        shape = np.broadcast_shapes(*(value.shape[:-2] for value in found))
        return np.concatenate([np.broadcast_to(v, (*shape, *v.shape[-2:])) for v in found], axis=-2)

    def _formula(self, text: str, scope: Mapping[str, Array], made: tuple[Parameter, ...], place: str) -> Array:
        if text in scope:
            return scope[text]
        if text == "x":
            return self.points
        program = _program(text, tuple(scope), tuple(self.grammar.constants.items()), tuple(f"_{p.name}" for p in made))
        values = {_letter(name): value for name, value in scope.items()}
        values |= {_letter(f"_{p.name}"): np.array(self.value_of(place, p)) for p in made}
        used = [values[name] for name in program.parameter_names]
        shape = np.broadcast_shapes(self.points.shape, *(value.shape for value in used))
        found = evaluate(program, np.broadcast_to(self.points, shape), used)
        # as in SymPy, what is infinite everywhere is no number to go on with
        found[~np.isfinite(found).any(axis=-1)] = np.nan
        return found


@lru_cache(maxsize=4096)
def _program(
    text: str, names: tuple[str, ...], constants: tuple[tuple[str, str], ...], made: tuple[str, ...]
) -> Program:
    """Return the program of a template, in which every name is a parameter."""
    symbols = {name: Parameter(_letter(name)) for name in (*names, *made)}
    return lower(parse(text, names={**{n: parse(t) for n, t in constants}, **symbols}, finite=False))


def _letter(name: str) -> str:
    return f"value{name}"
