"""SymPy objects made without SymPy's own rewriting of them.

SymPy compares every pair of arguments of a Max, decides comparisons symbolically, and folds a Piecewise into what
surrounds it. That can take minutes on large polynomials, brings ``I`` into branches that are never taken, and makes the
result depend on the order of construction. What is made here has the arguments that were given, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sympy
from sympy import Piecewise, S
from sympy.functions.elementary.piecewise import ExprCondPair


def power(base: Any, exponent: Any) -> Any:
    """Return ``base**exponent``; of a Piecewise only whole, since SymPy would take the power into its branches."""
    if isinstance(base, Piecewise) and exponent is not S.One:
        return sympy.Pow(base, exponent, evaluate=False)
    if base.is_Pow and isinstance(base.base, Piecewise):
        whole = exponent.is_Integer and base.exp.is_Rational
        return power(base.base, base.exp * exponent) if whole else sympy.Pow(base, exponent, evaluate=False)
    return sympy.Pow(base, exponent)


def extreme(kind: Any, arguments: Iterable[Any]) -> Any:
    """Return the Max or Min (``kind``) of the arguments; only nesting is undone and numbers are put together."""
    flat = [inner for a in arguments for inner in (a.args if isinstance(a, kind) else (a,))]
    numbers = [a for a in flat if a.is_Number]
    others = [a for a in flat if not a.is_Number]
    return kind(*others, *([kind(*numbers)] if numbers else []), evaluate=False)


def comparison(relation: Any, left: Any, right: Any) -> Any:
    """Return ``left < right`` or the like (``relation``), decided only when both sides are numbers."""
    return relation(left, right, evaluate=bool(left.is_number and right.is_number))


def choice(pairs: Iterable[tuple[Any, Any]]) -> Any:
    """Return the Piecewise of (value, condition) pairs, or the one value when the conditions leave only one."""
    kept = []
    for value, condition in pairs:
        if condition is not S.false:
            kept.append((value, condition))
        if condition is S.true:
            break
    if kept[0][1] is S.true:
        return kept[0][0]
    # past both constructors: they would fold a Piecewise inside a condition, even with evaluate=False
    return sympy.Basic.__new__(Piecewise, *(sympy.Tuple.__new__(ExprCondPair, *pair) for pair in kept))
