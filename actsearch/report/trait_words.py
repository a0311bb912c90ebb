"""The traits of an activation as lines, and the words by which ``actsearch catalog --where`` picks activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache

from actsearch.errors import ReportError, suggest
from actsearch.expr import catalog
from actsearch.expr.catalog import Entry
from actsearch.expr.limits import Limit
from actsearch.expr.parameters import parameters_of
from actsearch.expr.traits import SMOOTHNESS, Traits, traits

Test = Callable[[Entry, Traits], bool]

WORDS: dict[str, tuple[str, Test]] = {
    "increasing": ("never falls", lambda row, of: of.monotone == "increasing"),
    "decreasing": ("never rises", lambda row, of: of.monotone == "decreasing"),
    "monotone": ("never turns", lambda row, of: bool(of.monotone)),
    "odd": ("f(-x) = -f(x)", lambda row, of: of.symmetry == "odd"),
    "even": ("f(-x) = f(x)", lambda row, of: of.symmetry == "even"),
    "bounded": ("of finite range", lambda row, of: all(map(math.isfinite, of.range))),
    "bounded-below": ("has a least value", lambda row, of: math.isfinite(of.range[0])),
    "bounded-above": ("has a largest value", lambda row, of: math.isfinite(of.range[1])),
    "positive": ("nowhere below 0", lambda row, of: of.range[0] >= 0),
    "saturating": ("ends in constants", lambda row, of: all(side.kind == "constant" for side in of.limits)),
    "oscillating": ("has no limit", lambda row, of: any(side.kind == "oscillating" for side in of.limits)),
    "continuous": ("without jumps", lambda row, of: of.smoothness != SMOOTHNESS[0]),
    "c1": ("without jumps and kinks", lambda row, of: of.smoothness in SMOOTHNESS[2:]),
    "smooth": ("and its curvature without jumps", lambda row, of: of.smoothness == SMOOTHNESS[-1]),
    "lipschitz": ("of finite slope", lambda row, of: math.isfinite(of.lipschitz)),
    "through-zero": ("f(0) = 0", lambda row, of: any(first <= 0 <= last for first, last in of.zeros)),
    "learned": ("has parameters", lambda row, of: bool(parameters_of(row.expr))),
    "confirmed": ("two sources agree on the formula", lambda row, of: row.is_confirmed),
}
"""Word -> what it says, and how it is decided."""
_NOT = "not-"


def matching(words: Iterable[str]) -> list[str]:
    """Return the names of the activations that all words hold for; ``not-`` before a word turns it round.

    Raises:
        ReportError: a word is unknown.
    """
    tests = [(_test(word), not word.startswith(_NOT)) for word in words]
    return [name for name in catalog.names() if all(_holds(name, test) is wanted for test, wanted in tests)]


def lines(of: Traits) -> list[str]:
    """Return what a reader wants to know of a function, a line each."""
    low, high = of.range
    shape = [of.smoothness if of.smoothness in ("smooth", "jumps") else f"{of.smoothness}, not further"]
    shape += [of.monotone or "not monotone", *([of.symmetry] if of.symmetry else [])]
    return [
        f"range from {_number(low)} to {_number(high)}; {', '.join(shape)}",
        f"{_side(of.limits[0], '-inf')}; {_side(of.limits[1], 'inf')}",
        f"steepest slope {_number(of.lipschitz)}; {_zeros(of.zeros)}",
    ]


@cache
def _traits(name: str) -> Traits:
    return traits(catalog.get(name).expr)


def _holds(name: str, test: Test) -> bool:
    return test(catalog.get(name), _traits(name))


def _test(word: str) -> Test:
    known = WORDS.get(word.removeprefix(_NOT))
    if known is None:
        raise ReportError(f"{word!r} is no trait{suggest(word, WORDS)} ({', '.join(WORDS)}; not- before one turns it)")
    return known[1]


def _side(side: Limit, where: str) -> str:
    if side.kind == "constant":
        return f"goes to {_number(side.value)} at {where}"
    if side.kind == "linear":
        return f"like {_number(side.slope)}*x at {where}"
    if side.kind in ("oscillating", "unknown"):
        return f"{'oscillates' if side.kind == 'oscillating' else 'not finite'} at {where}"
    return f"{side.kind} to {_number(side.value)} at {where}"


def _zeros(zeros: tuple[tuple[float, float], ...]) -> str:
    if not zeros:
        return "no zero"
    nearest = sorted(sorted(zeros, key=lambda pair: min(map(abs, pair)))[:3])
    shown = [_number(a) if a == b else f"{_number(a)} to {_number(b)}" for a, b in nearest]
    more = f" and {len(zeros) - 3} more" if len(zeros) > 3 else ""
    return f"zero{'s' if len(zeros) > 1 else ''} at {', '.join(shown)}{more}"


def _number(value: float) -> str:
    return f"{value:.5g}"
