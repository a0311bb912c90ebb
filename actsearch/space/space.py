"""A search space: choices to expressions and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import sympy

from actsearch.errors import SpaceError
from actsearch.space.choosers import Chooser, RandomChooser
from actsearch.space.derivation import build, choices_of, derivation_at, derivations, derive
from actsearch.space.encode import Encoder
from actsearch.space.levels import Levels
from actsearch.space.rules import Alternative, Grammar


class Space:
    """The expressions that a set of rules makes possible; see :func:`actsearch.space.load.load_space`.

    Args:
        name: short name, such as ``"core_unit"``.
        grammar: the rules.
        title: one line saying what the space is.
        citation: where it comes from.
        path: the file it was read from.

    Example:
        >>> from actsearch.space.load import load_space
        >>> space = load_space("core_unit")
        >>> space.size()
        6250
        >>> space.decode(lambda name, options: options[0])
        2*x
    """

    def __init__(
        self, name: str, grammar: Grammar, title: str = "", citation: str = "", path: Path | None = None
    ) -> None:
        self.name = name
        self.grammar = grammar
        self.title = title
        self.citation = citation
        self.path = path
        self.levels = Levels(grammar)

    def __repr__(self) -> str:
        return f"<Space {self.name!r} of {self.size():,} candidates>"

    def size(self) -> int:
        """Return the exact number of candidates: of different sets of choices, not of different functions."""
        return self.levels.size_of(self.grammar.start, 0)

    def decode(self, chooser: Chooser) -> sympy.Expr:
        """Return the expression that a chooser decides.

        A candidate asks ``chooser(name, options)`` for its choices in order of evaluation. A candidate with a constant
        part that is not a real number, such as 1/0, is ``sqrt(-x**2 - 1)``: real nowhere, and the screen rejects it.

        Raises:
            SpaceError: a :class:`~actsearch.space.choosers.ReplayChooser` lacks a choice; whatever the chooser raises.
        """
        derivation = derive(self.levels, chooser)
        expr = build(self.grammar, derivation)
        self._encoder.remember(expr, choices_of(derivation))
        return expr

    def choose(self, chooser: Chooser) -> dict[str, str]:
        """Return the choices that a chooser decides, without making the expression: name -> option, in order."""
        return choices_of(derive(self.levels, chooser))

    def sample(self, seed: int) -> sympy.Expr:
        """Return a random expression: at each place every option has the same probability.

        That is not uniform over expressions when alternatives lead to different numbers of them.
        """
        return self.decode(RandomChooser(seed))

    def enumerate(self) -> Iterator[sympy.Expr]:
        """Yield the expression of every candidate, equal ones included; the last choice changes first."""
        return (build(self.grammar, derivation) for derivation in derivations(self.levels))

    def enumerate_choices(self) -> Iterator[dict[str, str]]:
        """Yield the choices of every candidate, in the order of :meth:`enumerate`."""
        return (choices_of(derivation) for derivation in derivations(self.levels))

    def choices_at(self, index: int) -> dict[str, str]:
        """Return the choices of candidate number ``index``, from 0, in the order of :meth:`enumerate`.

        Raises:
            SpaceError: the space has no such candidate.
        """
        if not 0 <= index < self.size():
            raise SpaceError(
                f"the space {self.name!r} has candidates 0 to {self.size() - 1}, and none numbered {index}"
            )
        return choices_of(derivation_at(self.levels, index))

    def encode(self, expr: sympy.Expr) -> dict[str, str]:
        """Return choices that decode to ``expr``, up to the names of parameters.

        Up to 200 million candidates are searched, the less nested ones of a larger recursive space first. What this
        space made before is remembered, whatever its size.

        Raises:
            SpaceError: no candidate was found to be this expression; the message says when the same function is there
                in another form.
        """
        return self._encoder.encode(expr)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self)

    def places(self) -> dict[str, tuple[str, ...]]:
        """Return the choices that every candidate makes: name -> options."""
        return dict(self.levels.shared(self.grammar.start, 0, ""))

    @cached_property
    def digest(self) -> str:
        """Hash of everything that decides which expressions there are; comments and titles do not count."""
        grammar = self.grammar
        content = [
            grammar.start.text,
            {rule.name: [list(rule.arguments), [_identity(a) for a in rule.alternatives]]
             for rule in grammar.rules.values()},
            dict(grammar.constants),
            grammar.depth,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _identity(alternative: Alternative) -> list[object]:
    made = [[p.name, p.start, p.constraint, p.granularity] for p in alternative.parameters]
    return [alternative.text, alternative.template, made]
