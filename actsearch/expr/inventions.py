"""Which names of the catalog mean one function: what was invented more than once, and how many functions there are."""

from __future__ import annotations

from functools import cache

from actsearch.expr import catalog
from actsearch.expr.fingerprint import fingerprint, is_constant


@cache
def functions() -> dict[str, tuple[str, ...]]:
    """Return fingerprint -> names of the rows that have it, for every function of the catalog but constants.

    Its length is the number of functions that the catalog counts: neither aliases nor what was invented again is in it.

    Example:
        >>> functions()[fingerprint("reu")]
        ('reu', 'suish')
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in catalog.names():
        expr = catalog.get(name).expr
        if not is_constant(expr):
            found[fingerprint(expr)] = (*found.get(fingerprint(expr), ()), name)
    return found


def same_as(name: str) -> tuple[str, ...]:
    """Return the other rows that are the same function as a name's.

    Raises:
        ExprError: there is no such name.

    Example:
        >>> same_as("golu")
        ('exp_expish',)
    """
    own = catalog.get(name)
    return tuple(other for other in functions().get(fingerprint(own.expr), ()) if other != own.name)


def count() -> tuple[int, int, int]:
    """Return the numbers of functions, of those that two sources confirm, and of names without aliases.

    A function of several names is confirmed when one of its rows is.
    """
    confirmed = [any(catalog.get(name).is_confirmed for name in names) for names in functions().values()]
    return len(confirmed), sum(confirmed), len(catalog.names())
