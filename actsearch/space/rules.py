"""What a search space consists of: rules, their alternatives, and the calls inside an alternative. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from actsearch.expr.parameters import Parameter


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a rule inside an alternative: one choice, made whether or not its value is used.

    Attributes:
        rule: the rule's name.
        args: a formula for each argument, over the names of the alternative and the values ``_0, _1, ...`` of the calls
            before this one.
    """

    rule: str
    args: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to go on: a formula whose calls of rules were taken out and stand before it.

    Attributes:
        text: the formula as the file has it; the option that a chooser sees.
        template: the formula with ``_k`` for the value of call k and ``_beta`` for the parameter ``beta``.
        calls: the calls in order of evaluation: inner ones first, left to right.
        parameters: the parameters that the formula itself makes, in order of appearance.
        line: where the file has it, counted from 1.
    """

    text: str
    template: str
    calls: tuple[Call, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A named choice between alternatives, with arguments that are passed by value."""

    name: str
    arguments: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Grammar:
    """All rules, where to start, and how deep rules may stand in rules.

    Attributes:
        start: the formula that every candidate is made from.
        rules: name -> rule.
        constants: name -> formula without x.
        depth: the longest chain of rules called from rules that is allowed (the calls of ``start`` are 1 deep); None
            when no rule is recursive.
    """

    start: Alternative
    rules: Mapping[str, Rule]
    constants: Mapping[str, str]
    depth: int | None = None
