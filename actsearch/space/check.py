"""From a document to a grammar: what the texts mean, with every fault noted."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Mapping

import sympy

from actsearch.errors import ExprError, suggest
from actsearch.expr.parameters import Parameter
from actsearch.expr.primitives import PRIMITIVES
from actsearch.expr.text import format, parse
from actsearch.space.document import Document, Text
from actsearch.space.faults import Faults
from actsearch.space.levels import heights
from actsearch.space.rules import Alternative, Grammar, Rule
from actsearch.space.template import make_alternative

MAX_DEPTH = 20
"""Of rules within rules; Python's own stack and the readability of place names end there."""
_HEADING = re.compile(r"([A-Za-z]\w*)\s*(?:\(\s*([A-Za-z]\w*(?:\s*,\s*[A-Za-z]\w*)*)?\s*\))?")
_NAME = re.compile(r"[A-Za-z]\w*")


def make_grammar(document: Document, faults: Faults) -> Grammar | None:
    """Return the grammar of a document, or None when something in it is wrong."""
    before = len(faults.found)
    headings = _headings(document, faults)
    constants = _constants(document, faults)
    parameters = _parameters(document, set(constants), faults)
    reader = _Reader(headings, constants, parameters, faults)
    start = reader.alternative(document.texts["start"], "start", ()) if "start" in document.texts else None
    rules = {}
    for heading, (name, arguments) in headings.items():
        alternatives = reader.alternatives(document.rules[heading], f"rules.{name}", arguments)
        rules[name] = Rule(name, arguments, alternatives, document.rule_lines[heading])
    depth = _depth(document, faults)
    if start is None:
        return None
    grammar = Grammar(start, rules, {name: text for name, (text, _) in constants.items()}, depth)
    if len(faults.found) == before:
        _check_reach(grammar, faults)
        _check_depth(grammar, faults)
    return grammar if len(faults.found) == before else None


def _headings(document: Document, faults: Faults) -> dict[str, tuple[str, tuple[str, ...]]]:
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for heading, line in document.rule_lines.items():
        match = _HEADING.fullmatch(heading)
        if match is None:
            faults.add(line, f"rules.{heading}", "a rule is headed by its name and arguments, as in: unary(a)")
            continue
        name, arguments = match[1], tuple(re.findall(r"\w+", match[2] or ""))
        if name in PRIMITIVES:
            faults.add(line, f"rules.{name}", "a primitive has this name; call the rule something else")
        if any(name == other for other, _ in found.values()):
            faults.add(line, f"rules.{name}", "two rules have this name")
        if len(set(arguments)) < len(arguments):
            faults.add(line, f"rules.{name}", "two arguments have one name")
        found[heading] = name, arguments
    return found


def _constants(document: Document, faults: Faults) -> dict[str, tuple[str, sympy.Expr]]:
    found = {}
    for name, given in document.mappings["constants"].items():
        key = f"constants.{name}"
        if not _NAME.fullmatch(name) or name == "x" or keyword.iskeyword(name):
            faults.add(given.line, key, "a constant is named by letters, digits and underscores, and not x")
        try:
            value = parse(given.text)
        except ExprError as error:
            faults.add(given.line, key, str(error))
            continue
        if value.free_symbols:
            faults.add(given.line, key, f"a constant does not contain {sorted(map(str, value.free_symbols))[0]}")
        found[name] = given.text, value
    return found


def _parameters(document: Document, taken: set[str], faults: Faults) -> dict[str, Parameter]:
    found = {}
    for name, given in document.mappings["parameters"].items():
        key = f"parameters.{name}"
        if name in taken:
            faults.add(given.line, key, "a constant has this name")
        try:
            parameter = parse(f"{name}[{given.text}]")
        except ExprError as error:
            faults.add(given.line, key, str(error))
            continue
        if isinstance(parameter, Parameter):
            found[name] = parameter
        else:
            faults.add(given.line, key, "a parameter is given by its start and kind, as in: beta: 1.0, channel")
    return found


def _depth(document: Document, faults: Faults) -> int | None:
    given = document.texts.get("depth")
    if given is None:
        return None
    if not re.fullmatch(r"[0-9]{1,6}", given.text) or not 1 <= int(given.text) <= MAX_DEPTH:
        faults.add(given.line, "depth", f"a whole number from 1 to {MAX_DEPTH} is expected, not {given.text!r}")
        return 1
    return int(given.text)


class _Reader:
    """Checks and reads alternatives, knowing the names that they may use."""

    def __init__(
        self,
        headings: Mapping[str, tuple[str, tuple[str, ...]]],
        constants: Mapping[str, tuple[str, sympy.Expr]],
        parameters: Mapping[str, Parameter],
        faults: Faults,
    ) -> None:
        self.arguments = dict(headings.values())
        self.names = {**{name: value for name, (_, value) in constants.items()}, **parameters}
        self.parameters = parameters
        self.faults = faults

    def alternatives(self, texts: list[Text], key: str, arguments: tuple[str, ...]) -> tuple[Alternative, ...]:
        read: dict[str, Alternative] = {}
        for given in texts:
            made = self.alternative(given, key, arguments)
            if made is None:
                continue
            same = " ".join((made.template, *(str(call) for call in made.calls), *map(format, made.parameters)))
            if same in read or any(made.text == other.text for other in read.values()):
                first = read[same].line if same in read else 0
                self.faults.add(given.line, key, f"{given.text!r} is there twice; the first is in line {first}")
            else:
                read[same] = made
        return tuple(read.values())

    def alternative(self, given: Text, key: str, arguments: tuple[str, ...]) -> Alternative | None:
        hidden = [name for name in arguments if name in self.names]
        if hidden:
            self.faults.add(given.line, key, f"the argument {hidden[0]!r} has the name of a constant or parameter")
            return None
        names = {**self.names, **{name: sympy.Symbol(f"{name}_", real=True) for name in arguments}}
        try:
            parse(given.text, names=names, functions=self.stand_ins(), finite=False)
            return make_alternative(given.text, self.arguments.keys(), self.parameters, given.line)
        except ExprError as error:
            self.faults.add(given.line, key, str(error))
            return None

    def stand_ins(self) -> dict[str, Callable[..., sympy.Expr]]:
        """Return a function for each rule that checks how it is called."""
        return {name: _stand_in(name, len(arguments)) for name, arguments in self.arguments.items()}


def _stand_in(name: str, arity: int) -> Callable[..., sympy.Expr]:
    def call(*values: sympy.Expr) -> sympy.Expr:
        if len(values) != arity:
            plural = "" if arity == 1 else "s"
            raise ExprError(f"the rule {name!r} takes {arity} argument{plural}, not {len(values)}")
        return sympy.Dummy(name, real=True)

    return call


def _check_reach(grammar: Grammar, faults: Faults) -> None:
    reached = set(_called(grammar, grammar.start))
    todo = list(reached)
    while todo:
        for alternative in grammar.rules[todo.pop()].alternatives:
            news = _called(grammar, alternative) - reached
            reached |= news
            todo += news
    for name, rule in grammar.rules.items():
        if name not in reached:
            faults.add(
                rule.line,
                f"rules.{name}",
                f"nothing calls this rule, neither start nor another rule{_near(name, reached)}",
            )


def _near(name: str, reached: set[str]) -> str:
    return suggest(name, reached).replace("did you mean", "is it meant to be")


def _called(grammar: Grammar, alternative: Alternative) -> set[str]:
    return {call.rule for call in alternative.calls}


def _check_depth(grammar: Grammar, faults: Faults) -> None:
    lowest = heights(grammar)
    for name, rule in grammar.rules.items():
        if lowest[name] == math.inf:
            faults.add(rule.line, f"rules.{name}", "every alternative leads back to this rule, so it never ends")
        elif grammar.depth is None and name in _below(grammar, name):
            faults.add(rule.line, f"rules.{name}", "this rule leads back to itself: the space needs a depth")
    needed = max((lowest[call.rule] for call in grammar.start.calls), default=0)
    if grammar.depth is not None and grammar.depth < needed < math.inf:
        faults.add(grammar.start.line, "depth", f"start needs a depth of at least {needed}, not {grammar.depth}")


def _below(grammar: Grammar, name: str) -> set[str]:
    """Return the rules that a rule can lead to."""
    found: set[str] = set()
    todo = [name]
    while todo:
        for alternative in grammar.rules[todo.pop()].alternatives:
            news = _called(grammar, alternative) - found
            found |= news
            todo += news
    return found
