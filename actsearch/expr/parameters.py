"""Learnable parameters: SymPy symbols that carry a start value, a constraint and a granularity."""

from __future__ import annotations

import itertools
import keyword
import math
import re
from typing import Any

import sympy

from actsearch.errors import ExprError, suggest

CONSTRAINTS = ("real", "positive", "unit")
"""What values training may reach: all real numbers, (0, inf), or (0, 1)."""
GRANULARITIES = ("layer", "channel")
"""How many values an activation holds: one, or one for each channel."""
RESERVED = frozenset({"x", "pi", "e"})

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_ASSUMPTIONS: dict[str, dict[str, bool]] = {
    "real": {"real": True},
    "positive": {"positive": True},
    "unit": {"positive": True},
}


class Parameter(sympy.Symbol):
    """A number that training learns; a real symbol whose fields all belong to its equality, hash and pickle.

    Args:
        name: letters, digits and underscores, at most 40, starting with a letter; not ``x``, ``pi``, ``e`` or a Python
            keyword.
        start: finite start value; above 0 for "positive", strictly between 0 and 1 for "unit".
        constraint: "real", "positive" or "unit": what values training may reach.
        granularity: "layer" (one value for each activation module) or "channel" (one for each channel).

    Raises:
        ExprError: a field is outside what is said above.

    Example:
        >>> Parameter("beta", 1.0) == Parameter("beta", 1.0)
        True
        >>> Parameter("beta", 1.0) == Parameter("beta", 1.0, granularity="channel")
        False
    """

    __slots__ = ("constraint", "granularity", "start")

    start: float
    constraint: str
    granularity: str

    def __new__(cls, name: str, start: float = 1.0, constraint: str = "real", granularity: str = "layer") -> Parameter:
        """Return the parameter; equal fields give equal parameters."""
        _check_name(name)
        _check_word(name, "constraint", constraint, CONSTRAINTS)
        _check_word(name, "granularity", granularity, GRANULARITIES)
        # past Symbol's cache, which knows names and assumptions only
        parameter = sympy.Symbol.__xnew__(cls, name, **_ASSUMPTIONS[constraint])
        parameter.start = _checked_start(name, start, constraint)
        parameter.constraint = constraint
        parameter.granularity = granularity
        return parameter

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*super()._hashable_content(), self.start, self.constraint, self.granularity)

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (self.name, self.start, self.constraint, self.granularity), {}


def parameters_of(expr: sympy.Basic) -> tuple[Parameter, ...]:
    """Return the parameters of an expression, sorted by name: the order of arguments everywhere.

    Raises:
        ExprError: two different parameters share a name.
    """
    found = sorted(expr.atoms(Parameter), key=lambda parameter: parameter.name)
    for first, second in itertools.pairwise(found):
        if first.name == second.name:
            raise ExprError(
                f"two different parameters are both named {first.name!r}: {_show(first)} and {_show(second)}"
            )
    return tuple(found)


def _show(parameter: Parameter) -> str:
    return f"{parameter.name}[{parameter.start!r}, {parameter.constraint}, {parameter.granularity}]"


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or keyword.iskeyword(name) or name in RESERVED:
        raise ExprError(
            f"{name!r} cannot name a parameter: use letters, digits and underscores, at most 40, starting with a"
            f" letter, and none of {', '.join(sorted(RESERVED))} or Python's keywords"
        )


def _check_word(name: str, kind: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise ExprError(f"parameter {name!r} has {kind} {word!r}{suggest(str(word), words)} ({', '.join(words)})")


def _checked_start(name: str, start: float, constraint: str) -> float:
    try:
        value = math.nan if isinstance(start, bool | str) else float(start)
    except (TypeError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise ExprError(f"parameter {name!r} cannot start at {start!r}; a finite number is needed")
    if constraint == "positive" and value <= 0:
        raise ExprError(f"parameter {name!r} is positive and cannot start at {value!r}")
    if constraint == "unit" and not 0 < value < 1:
        raise ExprError(f"parameter {name!r} is between 0 and 1 and cannot start at {value!r}")
    return value + 0.0  # -0.0 becomes 0.0, so that equal starts hash alike
