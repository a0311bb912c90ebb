"""Which alternatives are open at which depth, and how many functions that makes: exact, in Python integers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from actsearch.space.rules import Alternative, Grammar

_MAX_VISITS = 20_000


class Levels:
    """Depth arithmetic of a grammar, memoised.

    A choice stands at a level: the calls of ``start`` at 1, the calls of their alternatives at 2, and so on. With a
    depth limit, an alternative is open at a level only when everything below it can end within the limit. Hence the
    options of a choice depend on its rule and level alone, never on other choices.
    """

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.heights = heights(grammar)
        self._open: dict[tuple[str, int], tuple[Alternative, ...]] = {}
        self._sizes: dict[tuple[str, int], int] = {}

    def open(self, rule: str, level: int) -> tuple[Alternative, ...]:
        """Return the alternatives of ``rule`` that are open at ``level``."""
        key = (rule, level if self.grammar.depth is not None else 0)
        found = self._open.get(key)
        if found is None:
            alternatives = self.grammar.rules[rule].alternatives
            found = self._open[key] = tuple(a for a in alternatives if self._fits(a, level))
        return found

    def _fits(self, alternative: Alternative, level: int) -> bool:
        depth = self.grammar.depth
        return depth is None or level + _height(alternative, self.heights) - 1 <= depth

    def size(self, rule: str, level: int) -> int:
        """Return the number of ways to go on from a call of ``rule`` at ``level``."""
        key = (rule, level if self.grammar.depth is not None else 0)
        found = self._sizes.get(key)
        if found is None:
            found = self._sizes[key] = sum(self.size_of(a, level) for a in self.open(rule, level))
        return found

    def size_of(self, alternative: Alternative, level: int) -> int:
        """Return the number of ways to go on from an alternative that stands at ``level``."""
        return math.prod(self.size(call.rule, level + 1) for call in alternative.calls)

    def shared(self, alternative: Alternative, level: int, place: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield name and options of the choices below an alternative that are made whatever else is chosen."""
        for index, call in enumerate(alternative.calls):
            here = f"{place}{index}"
            open_here = self.open(call.rule, level + 1)
            yield f"{here}:{call.rule}", tuple(a.text for a in open_here)
            below = [dict(self.shared(a, level + 1, f"{here}.")) for a in open_here]
            yield from ((name, options) for name, options in below[0].items() if all(name in b for b in below[1:]))


def heights(grammar: Grammar) -> dict[str, float]:
    """Return for each rule the least number of levels that a call of it needs; infinity when it can never end."""
    found = dict.fromkeys(grammar.rules, math.inf)
    while True:
        news = {name: min((_height(a, found) for a in rule.alternatives), default=math.inf)
                for name, rule in grammar.rules.items()}  # fmt: skip
        if news == found:
            return found
        found = news


def _height(alternative: Alternative, heights: dict[str, float]) -> float:
    return 1 + max((heights[call.rule] for call in alternative.calls), default=0)


def parameter_places(levels: Levels, at_most: int) -> list[tuple[str, str]] | None:
    """Return place and name of every parameter that a candidate may make, or None when there are more than ``at_most``.

    Places of different candidates that bear one name are one.
    """
    grammar = levels.grammar
    if not any(a.parameters for a in (grammar.start, *(a for r in grammar.rules.values() for a in r.alternatives))):
        return []
    found: dict[tuple[str, str], None] = {}
    todo = [(grammar.start, "", 0)]
    for _ in range(_MAX_VISITS):
        if not todo or len(found) > at_most:
            break
        alternative, place, level = todo.pop()
        found.update(dict.fromkeys((place, parameter.name) for parameter in alternative.parameters))
        for index, call in enumerate(alternative.calls):
            here = f"{place}.{index}" if place else str(index)
            todo += [(option, here, level + 1) for option in levels.open(call.rule, level + 1)]
    return None if todo or len(found) > at_most else list(found)
