"""Finds the activations that the functions of a model call or hand on."""

from __future__ import annotations

import types
from collections.abc import Sequence

from torch import nn

from actsearch.nn.known import ROWS
from actsearch.nn.surgery.edits import Edit, Findings
from actsearch.nn.surgery.reader import Reader
from actsearch.nn.surgery.resolve import Scope
from actsearch.nn.surgery.selection import Selection
from actsearch.nn.surgery.source import definition, place

_FUNCTION_NAMES = frozenset(f.__name__ for row in ROWS for f in row.functions)


class Analysis:
    """Reads the functions of one module of a model.

    Args:
        chosen: which activations are to be replaced.
        registered: ids of the model's registered modules, which are replaced as modules and not in code.
        findings: gathers what is left alone and what cannot be followed.
    """

    def __init__(self, chosen: Selection, registered: set[int], findings: Findings) -> None:
        self.chosen = chosen
        self.registered = registered
        self.findings = findings
        self._open: list[types.FunctionType] = []

    def edits(
        self, function: types.FunctionType, owner: nn.Module | None, kind: type | None, known: Sequence[Edit] = ()
    ) -> tuple[Edit, ...]:
        """Return the places in a function, those of an earlier swap included.

        Args:
            function: the function, below its decorators.
            owner: the module that its first parameter stands for, when it is a method.
            kind: the class that defines it, when it is a method.
            known: the places that an earlier swap replaced.
        """
        if function in self._open:
            return ()
        node = definition(function)
        if node is None:
            self._without_source(function)
            return tuple(known)
        self._open.append(function)
        try:
            return Reader(self, function, Scope(function, node, owner), kind, known).read(node)
        finally:
            self._open.pop()

    def _without_source(self, function: types.FunctionType) -> None:
        named = sorted(_FUNCTION_NAMES & set(function.__code__.co_names))
        if named:
            self.findings.problems.append(
                f"{place(function)}: the source of {function.__qualname__} cannot be read or has changed since it was "
                f"loaded, and it names {', '.join(named)}"
            )
