"""The values of candidates in NumPy, straight from their choices: no expression is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.points import DRAWS, perturbed
from actsearch.expr.program import evaluate, lower
from actsearch.nn.make import expression_at_start
from actsearch.space import ReplayChooser, Space
from actsearch.space.blocks import Block, Evaluator, ValueOf, blocks
from actsearch.space.families import FORMULA, PLACE
from actsearch.space.levels import parameter_places

Array = npt.NDArray[np.float64]
_BLOCK = 2_000  # candidates evaluated at a time: some 10 MB


class Values:
    """Values of the candidates of a space: at the start of their parameters and, where any has some, away from it.

    A family counts as the function that it starts at.

    Args:
        space: where the candidates are from.
        points: shape (n_points,).
    """

    def __init__(self, space: Space, points: Array) -> None:
        self._space, self._points = space, points
        has_parameters = parameter_places(space.levels, 0) != []
        self.draws: tuple[int | None, ...] = (None, *DRAWS) if has_parameters or space.families else (None,)
        """How parameters are moved; None: they stand at their start."""
        self._evaluators = [Evaluator(space.levels, points, _moved(draw)) for draw in self.draws]

    def of_all(self) -> Array:
        """Return the values of all candidates in the space's order, shape (size, draws, n_points)."""
        found = np.empty((self._space.size(), len(self.draws), len(self._points)))
        if self._space.n_formulas:
            for block in blocks(self._space.levels, _BLOCK):
                for i, evaluator in enumerate(self._evaluators):
                    found[block.first : block.first + block.size, i] = evaluator.values(block)
        if self._space.families:
            found[self._space.n_formulas :] = self.of(_families(self._space))
        return found

    def of(self, candidates: Sequence[Mapping[str, str]]) -> Array:
        """Return the values of candidates given by their choices, shape (n, draws, n_points)."""
        found = np.empty((len(candidates), len(self.draws), len(self._points)))
        for row, choices in zip(found, candidates, strict=True):
            if choices.get(PLACE, FORMULA) == FORMULA:
                block = Block(0, 1, self._fixed(choices))
                row[:] = np.concatenate([evaluator.values(block) for evaluator in self._evaluators])
            else:
                row[:] = self._family(choices)
        return found

    def _fixed(self, choices: Mapping[str, str]) -> dict[str, int]:
        """Return each place's alternative as its number among those that are open there."""
        found = {}
        for name, option in choices.items():
            place, colon, rule = name.partition(":")
            if colon:
                texts = [alternative.text for alternative in self._space.levels.open(rule, place.count(".") + 1)]
                found[place] = texts.index(option)
        return found

    def _family(self, choices: Mapping[str, str]) -> Array:
        expr = expression_at_start(self._space.decode(ReplayChooser(choices)))
        program, parameters = lower(expr), parameters_of(expr)
        rows = [
            [float(p.start) if draw is None else perturbed(p, slot, draw) for slot, p in enumerate(parameters)]
            for draw in self.draws
        ]
        return np.stack([evaluate(program, self._points, row) for row in rows])


def _families(space: Space) -> list[dict[str, str]]:
    return [{PLACE: name, **choices} for name, rule in space.families.items() for choices in rule.enumerate_choices()]


def _moved(draw: int | None) -> ValueOf | None:
    """Return the values of parameters; all are moved alike, as no two need to be told apart."""

    def value(place: str, parameter: Parameter) -> float:
        assert draw is not None
        return perturbed(parameter, 0, draw)

    return None if draw is None else value
