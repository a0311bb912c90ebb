"""Which of the activations found in a model are to be replaced: the ``old`` of :func:`actsearch.swap`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import sympy
from torch import nn

from actsearch.errors import ExprError, SwapError, suggest
from actsearch.expr import catalog
from actsearch.expr.resolve import to_expr
from actsearch.nn.activation import Activation
from actsearch.nn.known import BY_NAME, ROWS, row_of_class, row_of_function, spelled_as_in_catalog

# Activations made by this package that gate, squash or shape an output, like torch's of the same names.
_GATES = tuple(row.name for row in ROWS if not row.hidden)


@dataclass(frozen=True)
class Selection:
    """A choice of activations.

    Attributes:
        labels: names of torch's activations and of catalog activations that are selected.
        classes: further module classes, such as a model's own ``Swish``.
        functions: further functions, such as a model's own ``swish``.
        exprs: formulas, selecting the activations made by this package that compute them.
        own: whether every activation made by this package is selected that is not a gate.
    """

    labels: frozenset[str]
    classes: tuple[type, ...] = ()
    functions: tuple[Callable[..., Any], ...] = ()
    exprs: tuple[sympy.Expr, ...] = ()
    own: bool = False

    def label(self, thing: object) -> str | None:
        """Return what an object found in a model is called, or None when it is no activation."""
        if isinstance(thing, functools.partial):
            thing = thing.func
        if isinstance(thing, Activation):
            return _name_of(thing.expr) or thing.text
        if isinstance(thing, self.classes):
            return type(thing).__name__
        if any(thing is function for function in self.functions):
            return str(getattr(thing, "__name__", thing))
        if isinstance(thing, nn.Module):
            row = row_of_class(type(thing))
        else:
            row = row_of_function(thing) if callable(thing) else None
        return row.name if row else None

    def has(self, thing: object) -> bool:
        """Return whether an object found in a model is to be replaced."""
        if isinstance(thing, functools.partial):
            thing = thing.func
        if isinstance(thing, Activation):
            name = _name_of(thing.expr)
            if name in _GATES:
                return name in self.labels
            return self.own or name in self.labels or thing.expr in self.exprs
        if isinstance(thing, self.classes) or any(thing is function for function in self.functions):
            return True
        return self.label(thing) in self.labels

    def is_class(self, thing: object) -> bool:
        """Return whether an object is a class of activation modules."""
        return isinstance(thing, type) and (
            issubclass(thing, self.classes) or (issubclass(thing, nn.Module) and row_of_class(thing) is not None)
        )


def selection(old: object) -> Selection:
    """Return the selection for a name, a formula, a class, a function, or several of them; None: the hidden ones.

    A class or function of torch stands for its activation however it is called: ``nn.ReLU`` is "relu".

    Raises:
        SwapError: something is neither.
    """
    if old is None:
        return Selection(frozenset(row.name for row in ROWS if row.hidden), own=True)
    several = isinstance(old, Iterable) and not isinstance(old, str | nn.Module)
    parts = [_part(item) for item in (list(old) if several else [old])]  # type: ignore[call-overload]
    return Selection(
        frozenset(label for part in parts for label in part.labels),
        tuple(kind for part in parts for kind in part.classes),
        tuple(function for part in parts for function in part.functions),
        tuple(expr for part in parts for expr in part.exprs),
    )


def _part(item: Any) -> Selection:
    if isinstance(item, str):
        return _named(item)
    if isinstance(item, sympy.Expr):
        return Selection(frozenset(), exprs=(to_expr(item),))
    if isinstance(item, type) and issubclass(item, nn.Module):
        if issubclass(item, Activation):
            return Selection(frozenset(), own=True, classes=(item,))
        row = next((row for row in ROWS if row.module is item), None)
        return Selection(frozenset({row.name})) if row else Selection(frozenset(), classes=(item,))
    if callable(item) and not isinstance(item, nn.Module):
        known = row_of_function(item)
        return Selection(frozenset({known.name})) if known else Selection(frozenset(), functions=(item,))
    raise SwapError(f"old={item!r} names no activation; give a name, a module class, a function, or a list of them")


def _named(name: str) -> Selection:
    known = spelled_as_in_catalog(name.strip())
    try:
        exprs: tuple[sympy.Expr, ...] = (to_expr(known),)
    except ExprError as error:
        if known not in BY_NAME:
            hint = suggest(name, [*BY_NAME, *catalog.names()]) if name.strip().isidentifier() else f" ({error})"
            raise SwapError(f"old={name!r} names no activation{hint}") from None
        exprs = ()
    return Selection(frozenset({known}), exprs=exprs)


def _name_of(expr: sympy.Expr) -> str | None:
    """Return the catalog name of an activation made by this package."""
    return _catalog_names().get(expr)


@functools.lru_cache(maxsize=1)
def _catalog_names() -> dict[sympy.Expr, str]:
    return {catalog.get(name).expr: name for name in reversed(catalog.names())}
