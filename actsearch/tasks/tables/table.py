"""A table of recorded fits in memory: functions, their classes, and one row a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from actsearch.errors import TaskError, suggest
from actsearch.expr.symmetry import symmetry_class
from actsearch.expr.text import format

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Recorded:
    """The fits of all classes in one net, normalised or not; NaN where a fit is not in the table.

    Attributes:
        functions: the member of each class that was trained, its row in ``Table.functions``; shape (classes,).
        metric: validation metric at the rungs, float32 of shape (classes, seeds, rungs).
        val_loss: the validation loss; NaN after a divergence too.
        train_loss: the mean training loss since the rung before.
        test: the test metric at the end, shape (classes, seeds).
        diverged: whether the fit diverged, shape (classes, seeds).
        seconds: a fit's share of the time of its population, shape (classes, seeds).
        candidates: the class of each candidate of the space, -1 for those that the screen rejects.
    """

    functions: Ints
    metric: Floats
    val_loss: Floats
    train_loss: Floats
    test: Floats
    diverged: NDArray[np.bool_]
    seconds: Floats
    candidates: Ints

    @property
    def is_whole(self) -> NDArray[np.bool_]:
        """Whether all seeds of a class are recorded, shape (classes,)."""
        return np.asarray(np.isfinite(self.test).all(axis=1))


@dataclass(frozen=True, eq=False)
class Table:
    """How every function of a space trained.

    Attributes:
        functions: texts of the distinct functions of the space that are finite, and of some others.
        reasons: why the screen rejects a function, empty where nothing speaks against it.
        classes: ``{True: ..., False: ...}``, the symmetry class of each function, for normalised activations and for
            others: strings of shape (functions,); see :func:`actsearch.expr.symmetry.symmetry_class`.
        candidates: the function of each candidate of the space, in its order; -1: not finite.
        rows: one array a column, all of one length, a row a fit: ``function``, ``net`` (its number in ``nets``),
            ``normalise``, ``seed``, ``metric``, ``val_loss``, ``train_loss`` (fits, rungs), ``test``, ``diverged``,
            ``seconds``.
        meta: what made the table: task, nets, rungs, seeds, command, versions, hardware.
    """

    functions: tuple[str, ...]
    reasons: tuple[str, ...]
    classes: Mapping[bool, NDArray[np.str_]]
    candidates: Ints
    rows: Mapping[str, NDArray[Any]]
    meta: Mapping[str, Any]
    _views: dict[tuple[str, bool], Recorded] = field(default_factory=dict, init=False, repr=False)

    @property
    def nets(self) -> tuple[str, ...]:
        """Names of the nets."""
        return tuple(self.meta["nets"])

    @property
    def rungs(self) -> tuple[int, ...]:
        """Steps at which fits were measured."""
        return tuple(self.meta["rungs"])

    def recorded(self, net: str, normalise: bool) -> Recorded:
        """Return the fits of all classes in one net, one class for each that has been trained at all.

        Raises:
            TaskError: the table holds no such net, or nothing of it.
        """
        if net not in self.nets:
            known = ", ".join(self.nets)
            raise TaskError(f"the table has no net {net!r}{suggest(net, self.nets)} (known: {known})")
        if (net, normalise) not in self._views:
            self._views[net, normalise] = self._view(net, normalise)
        return self._views[net, normalise]

    def class_of(self, expr: sympy.Expr | str, net: str, normalise: bool) -> int:
        """Return a function's class, its row in :meth:`recorded`.

        Raises:
            TaskError: the table holds no fit of this function or of one of its class.
        """
        view = self.recorded(net, normalise)
        name = symmetry_class(expr, affine=normalise)
        found = self._class_numbers[normalise].get(name)
        row = None if found is None else self._rows_of(view, normalise).get(found)
        if row is None:
            text = expr if isinstance(expr, str) else format(expr)
            kind = "normalised" if normalise else "un-normalised"
            raise TaskError(
                f"the table does not hold {text!r} ({kind}, net {net!r}): it has the functions of the space "
                f"{self.meta['space']!r} that the screen accepts, and {', '.join(self.meta['extras'])}"
            )
        return row

    @cached_property
    def _class_numbers(self) -> dict[bool, dict[str, int]]:
        """Class -> its number, counted by first appearance among the functions, for each normalisation."""
        return {
            normalise: {name: i for i, name in enumerate(dict.fromkeys(names.tolist()))}
            for normalise, names in self.classes.items()
        }

    def _numbers(self, normalise: bool) -> Ints:
        """Return the class number of each function."""
        numbers = self._class_numbers[normalise]
        return np.array([numbers[name] for name in self.classes[normalise].tolist()], dtype=np.int64)

    def _rows_of(self, view: Recorded, normalise: bool) -> dict[int, int]:
        numbers = self._numbers(normalise)
        return {int(number): row for row, number in enumerate(numbers[view.functions])}

    def _view(self, net: str, normalise: bool) -> Recorded:
        rows = self.rows
        chosen = np.flatnonzero((rows["net"] == self.nets.index(net)) & (rows["normalise"] == normalise))
        if len(chosen) == 0:
            kind = "normalised" if normalise else "un-normalised"
            raise TaskError(f"the table holds no {kind} fit of the net {net!r} yet")
        numbers = self._numbers(normalise)
        trained = rows["function"][chosen].astype(np.int64)
        # the member with the lowest function number stands for its class; others are there to check the symmetry
        functions = np.unique(trained)
        _, first = np.unique(numbers[functions], return_index=True)
        functions = functions[np.sort(first)]
        of_function = np.full(len(self.functions), -1, dtype=np.int64)
        of_function[functions] = np.arange(len(functions))
        chosen = chosen[of_function[trained] >= 0]
        seeds = rows["seed"][chosen].astype(np.int64)
        place = (of_function[rows["function"][chosen].astype(np.int64)], seeds)
        shape = (len(functions), int(seeds.max()) + 1)

        def spread(name: str, *more: int) -> Floats:
            out = np.full((*shape, *more), np.nan, dtype=np.float32)
            out[place] = rows[name][chosen]
            return out

        n = len(self.rungs)
        diverged = np.zeros(shape, dtype=bool)
        diverged[place] = rows["diverged"][chosen]
        class_row = np.full(int(numbers.max()) + 1, -1, dtype=np.int64)
        class_row[numbers[functions]] = np.arange(len(functions))
        accepted = np.array([not reason for reason in self.reasons])
        of_any = np.where(accepted, class_row[numbers], -1)
        return Recorded(
            functions=functions,
            metric=spread("metric", n),
            val_loss=spread("val_loss", n),
            train_loss=spread("train_loss", n),
            test=spread("test"),
            diverged=diverged,
            seconds=spread("seconds"),
            candidates=np.where(self.candidates >= 0, of_any[self.candidates], -1),
        )
