"""A derivation: all choices of one candidate as a tree; chosen first, then built into an expression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sympy
from sympy import S

from actsearch.errors import ExprError
from actsearch.expr.functions import x
from actsearch.expr.parameters import Parameter
from actsearch.expr.text import parse
from actsearch.space.choosers import Chooser
from actsearch.space.levels import Levels
from actsearch.space.rules import Alternative, Grammar

_NOT_REAL = (S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity, S.ImaginaryUnit)

NOWHERE_REAL = sympy.sqrt(-1 - x**2)
"""What a candidate such as 1/0 is: an expression like all others, with a text, that is not finite at any x."""


@dataclass(frozen=True, slots=True)
class Derivation:
    """An alternative at a place, and the derivations of its calls.

    Attributes:
        place: positions of calls from ``start`` down, such as ``"0.1"``; empty for ``start`` itself.
    """

    place: str
    alternative: Alternative
    below: tuple[Derivation, ...]


def derive(levels: Levels, chooser: Chooser) -> Derivation:
    """Return the derivation that a chooser decides, asking in order of evaluation."""
    return _derive(levels, chooser, levels.grammar.start, "", 0)


def _derive(levels: Levels, chooser: Chooser, alternative: Alternative, place: str, level: int) -> Derivation:
    below: list[Derivation] = []
    for index, call in enumerate(alternative.calls):
        here = f"{place}.{index}" if place else str(index)
        below.append(_derive(levels, chooser, _ask(levels, chooser, call.rule, here, level + 1), here, level + 1))
    return Derivation(place, alternative, tuple(below))


def _ask(levels: Levels, chooser: Chooser, rule: str, place: str, level: int) -> Alternative:
    by_text = {alternative.text: alternative for alternative in levels.open(rule, level)}
    return by_text[chooser(f"{place}:{rule}", tuple(by_text))]


def derivations(levels: Levels) -> Iterator[Derivation]:
    """Yield every derivation; the last choice changes first."""
    return _all(levels, levels.grammar.start, "", 0)


def _all(levels: Levels, alternative: Alternative, place: str, level: int) -> Iterator[Derivation]:
    for below in _all_below(levels, alternative, place, level, 0):
        yield Derivation(place, alternative, below)


def _all_below(
    levels: Levels, alternative: Alternative, place: str, level: int, index: int
) -> Iterator[tuple[Derivation, ...]]:
    if index == len(alternative.calls):
        yield ()
        return
    here = f"{place}.{index}" if place else str(index)
    for option in levels.open(alternative.calls[index].rule, level + 1):
        for first in _all(levels, option, here, level + 1):
            for rest in _all_below(levels, alternative, place, level, index + 1):
                yield (first, *rest)


def derivation_at(levels: Levels, index: int) -> Derivation:
    """Return the derivation number ``index``, from 0, in the order of :func:`derivations`."""
    return _at(levels, levels.grammar.start, "", 0, index)


def _at(levels: Levels, alternative: Alternative, place: str, level: int, index: int) -> Derivation:
    below: list[Derivation] = []
    for number, call in reversed(list(enumerate(alternative.calls))):
        here = f"{place}.{number}" if place else str(number)
        index, rest = divmod(index, levels.size(call.rule, level + 1))
        for option in levels.open(call.rule, level + 1):
            size = levels.size_of(option, level + 1)
            if rest < size:
                below.append(_at(levels, option, here, level + 1, rest))
                break
            rest -= size
    return Derivation(place, alternative, tuple(reversed(below)))


def choices_of(derivation: Derivation) -> dict[str, str]:
    """Return name -> option of a derivation, in the order of choosing."""
    found: dict[str, str] = {}
    for call, below in zip(derivation.alternative.calls, derivation.below, strict=True):
        found[f"{below.place}:{call.rule}"] = below.alternative.text
        found.update(choices_of(below))
    return found


def build(grammar: Grammar, derivation: Derivation) -> sympy.Expr:
    """Return the expression of a derivation; ``NOWHERE_REAL`` when a part of it is a constant that is no real number.

    Parameters that several places make under one name become ``beta``, ``beta_1``, ...: numbered over those that are
    left in the expression, so that a parameter in a value that nobody uses takes no name.
    """
    try:
        first = _Builder(grammar, {}).expr(derivation, {"x": x})
        if first is S.NaN:
            return NOWHERE_REAL
        names = _names(first)
        if not names:
            return first
        return _Builder(grammar, {parameter.name: name for parameter, name in names.items()}).expr(derivation, {"x": x})
    except ExprError:
        # within a checked space only constants that leave float64 are refused (5**5**5**5): a result, not a mistake
        return NOWHERE_REAL


_PLACED = "At"


def _names(expr: sympy.Expr) -> dict[Parameter, str]:
    """Return the final name of each parameter of an expression whose parameters carry their place."""
    found = sorted(expr.atoms(Parameter), key=_place)
    counts: dict[str, int] = {}
    names: dict[Parameter, str] = {}
    for parameter in found:
        base = parameter.name.rpartition(_PLACED)[0]
        names[parameter] = f"{base}_{counts[base]}" if base in counts else base
        counts[base] = counts.get(base, 0) + 1
    return names


def _place(parameter: Parameter) -> int:
    return int(parameter.name.rpartition(_PLACED)[2])


class _Builder:
    """Builds one expression; ``renames`` maps parameters that carry their place to their final names."""

    def __init__(self, grammar: Grammar, renames: Mapping[str, str]) -> None:
        self.rules = grammar.rules
        self.constants = {name: parse(text) for name, text in grammar.constants.items()}
        self.renames = renames
        self.n_parameters = 0

    def expr(self, derivation: Derivation, arguments: Mapping[str, sympy.Expr]) -> sympy.Expr:
        alternative = derivation.alternative
        made = {f"_{parameter.name}": self.parameter(parameter) for parameter in alternative.parameters}
        scope = {**self.constants, **arguments, **made}
        for index, (call, below) in enumerate(zip(alternative.calls, derivation.below, strict=True)):
            values = [_value(text, scope) for text in call.args]
            scope[f"_{index}"] = self.expr(below, dict(zip(self.rules[call.rule].arguments, values, strict=True)))
        return _value(alternative.template, scope)

    def parameter(self, made: Parameter) -> Parameter:
        placed = f"{made.name}{_PLACED}{self.n_parameters}"
        self.n_parameters += 1
        return Parameter(self.renames.get(placed, placed), made.start, made.constraint, made.granularity)


def _value(text: str, scope: Mapping[str, sympy.Expr]) -> sympy.Expr:
    if text in scope:
        return scope[text]
    if text == "x":
        return x
    value = parse(text, names=scope, finite=False)
    return S.NaN if value.has(*_NOT_REAL) else value
