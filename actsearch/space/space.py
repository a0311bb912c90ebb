"""A search space: choices to expressions and back."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import sympy

from actsearch.errors import SpaceError
from actsearch.expr.family import Family
from actsearch.space.choosers import Chooser, RandomChooser
from actsearch.space.derivation import build, choices_of, derivation_at, derivations, derive
from actsearch.space.encode import Encoder
from actsearch.space.families import FORMULA, PLACE, FamilyRule, encode_family
from actsearch.space.levels import Levels
from actsearch.space.rules import Alternative, Grammar

_NO_RULES = Grammar(Alternative("x", "x"), {}, {})


class Space:
    """The expressions that a set of rules makes possible; see :func:`actsearch.space.load.load_space`.

    Args:
        name: short name, such as ``"core_unit"``.
        grammar: the rules; None for a space of families alone.
        title: one line saying what the space is.
        citation: where it comes from.
        path: the file it was read from.
        families: adaptive families beside the expressions: name -> settings to choose from.

    Example:
        >>> from actsearch.space.load import load_space
        >>> space = load_space("core_unit")
        >>> space.size()
        6250
        >>> space.decode(lambda name, options: options[0])
        2*x
    """

    def __init__(
        self,
        name: str,
        grammar: Grammar | None,
        title: str = "",
        citation: str = "",
        path: Path | None = None,
        families: Mapping[str, FamilyRule] | None = None,
    ) -> None:
        if grammar is None and not families:
            raise SpaceError(f"the space {name!r} has neither rules nor families")
        self.name = name
        self.grammar = grammar or _NO_RULES
        self.title = title
        self.citation = citation
        self.path = path
        self.families = dict(families or {})
        self.levels = Levels(self.grammar)
        self.n_formulas = 0 if grammar is None else self.levels.size_of(grammar.start, 0)

    def __repr__(self) -> str:
        return f"<Space {self.name!r} of {self.size():,} candidates>"

    def size(self) -> int:
        """Return the exact number of candidates: of different sets of choices, not of different functions."""
        return self.n_formulas + sum(rule.size() for rule in self.families.values())

    def decode(self, chooser: Chooser) -> sympy.Expr:
        """Return the expression that a chooser decides, or the :class:`~actsearch.expr.family.Family`.

        A candidate asks ``chooser(name, options)`` for its choices in order of evaluation. A candidate with a constant
        part that is not a real number, such as 1/0, is ``sqrt(-x**2 - 1)``: real nowhere, and the screen rejects it.

        Raises:
            SpaceError: a :class:`~actsearch.space.choosers.ReplayChooser` lacks a choice; whatever the chooser raises.
        """
        if (rule := self._rule(chooser)) is not None:
            return rule.build(rule.choose(chooser))
        derivation = derive(self.levels, chooser)
        expr = build(self.grammar, derivation)
        self._encoder.remember(expr, choices_of(derivation))
        return expr

    def choose(self, chooser: Chooser) -> dict[str, str]:
        """Return the choices that a chooser decides, without making the expression: name -> option, in order."""
        if (rule := self._rule(chooser)) is not None:
            return {PLACE: rule.name, **rule.choose(chooser)}
        return self._as_formula(choices_of(derive(self.levels, chooser)))

    def sample(self, seed: int) -> sympy.Expr:
        """Return a random candidate: at each place every option has the same probability.

        That is not uniform over candidates when alternatives lead to different numbers of them.
        """
        return self.decode(RandomChooser(seed))

    def enumerate(self) -> Iterator[sympy.Expr]:
        """Yield every candidate, equal ones included: expressions first; the last choice changes first."""
        if self.n_formulas:
            yield from (build(self.grammar, derivation) for derivation in derivations(self.levels))
        for rule in self.families.values():
            yield from map(rule.build, rule.enumerate_choices())

    def enumerate_choices(self) -> Iterator[dict[str, str]]:
        """Yield the choices of every candidate, in the order of :meth:`enumerate`."""
        if self.n_formulas:
            yield from (self._as_formula(choices_of(derivation)) for derivation in derivations(self.levels))
        yield from self._family_choices()

    def choices_at(self, index: int) -> dict[str, str]:
        """Return the choices of candidate number ``index``, from 0, in the order of :meth:`enumerate`.

        Raises:
            SpaceError: the space has no such candidate.
        """
        if not 0 <= index < self.size():
            raise SpaceError(
                f"the space {self.name!r} has candidates 0 to {self.size() - 1}, and none numbered {index}"
            )
        if index < self.n_formulas:
            return self._as_formula(choices_of(derivation_at(self.levels, index)))
        return next(itertools.islice(self._family_choices(), index - self.n_formulas, None))

    def encode(self, expr: sympy.Expr) -> dict[str, str]:
        """Return choices that decode to ``expr``, up to the names of parameters.

        Up to 200 million candidates are searched, the less nested ones of a larger recursive space first. What this
        space made before is remembered, whatever its size.

        Raises:
            SpaceError: no candidate was found to be this expression; the message says when the same function is there
                in another form.
        """
        if isinstance(expr, Family):
            return encode_family(self.families, expr, self.name)
        if not self.n_formulas:
            raise SpaceError(f"{expr} is not in the space {self.name!r}, which has families alone")
        return self._as_formula(self._encoder.encode(expr))

    def places(self) -> dict[str, tuple[str, ...]]:
        """Return the choices that every candidate makes: name -> options."""
        if self.families:
            return {PLACE: self._kinds}
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
            *([{name: dict(rule.settings) for name, rule in self.families.items()}] if self.families else []),
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def _kinds(self) -> tuple[str, ...]:
        return (*([FORMULA] if self.n_formulas else []), *self.families)

    def _rule(self, chooser: Chooser) -> FamilyRule | None:
        """Return the family that a chooser decides for, None for a formula; without families nothing is asked."""
        return self.families.get(chooser(PLACE, self._kinds)) if self.families else None

    def _as_formula(self, choices: dict[str, str]) -> dict[str, str]:
        return {PLACE: FORMULA, **choices} if self.families else choices

    def _family_choices(self) -> Iterator[dict[str, str]]:
        for rule in self.families.values():
            yield from ({PLACE: rule.name, **choices} for choices in rule.enumerate_choices())

    @cached_property
    def _encoder(self) -> Encoder:
        formulas = Space(self.name, self.grammar, path=self.path) if self.families else self
        return Encoder(formulas)


def _identity(alternative: Alternative) -> list[object]:
    made = [[p.name, p.start, p.constraint, p.granularity] for p in alternative.parameters]
    return [alternative.text, alternative.template, made]
