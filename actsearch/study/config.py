"""The settings of a search, resolved and stored with its study, so that a later call continues the same study."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import actsearch
from actsearch.errors import StudyError
from actsearch.study.plan import Cell

if TYPE_CHECKING:
    from actsearch.space.space import Space

# What a later call may change: how far to go, not what was measured.
GROWING = ("n_trials", "finalists", "n_replicates", "n_null_control", "version")


@dataclass(frozen=True)
class Settings:
    """What :func:`actsearch.search` takes besides space, task and places; see there."""

    n_trials: int
    sampler: str
    seed: int
    rungs: tuple[float, ...]
    pruner: str
    reduction_factor: int
    normalise: bool
    n_search_replicates: int
    panel: tuple[str, ...]
    n_panel_replicates: int
    n_null_control: int
    finalists: int
    n_replicates: int
    n_tuning_replicates: int
    learning_rate_factors: tuple[float, ...]
    symmetry: str = "auto"
    screen_by: str | None = None
    screen_share: float = 0.5
    mode: str = "auto"
    population_size: int | None = None

    def __post_init__(self) -> None:
        least = {
            "n_trials": 0,
            "seed": 0,
            "reduction_factor": 2,
            "n_search_replicates": 1,
            "n_panel_replicates": 3,
            "n_null_control": 0,
            "finalists": 0,
            "n_replicates": 2,
            "n_tuning_replicates": 1,
        }
        faults = [
            f"{name}={getattr(self, name)!r} (a whole number from {low})"
            for name, low in least.items()
            if not isinstance(getattr(self, name), int) or getattr(self, name) < low
        ]
        if not self.panel:
            faults.append("panel=() (at least one baseline)")
        if not self.learning_rate_factors or min(self.learning_rate_factors, default=0) <= 0:
            faults.append(f"learning_rate_factors={self.learning_rate_factors} (positive numbers)")
        if self.screen_by is not None:
            from actsearch.study.proxies import load_proxy  # needs torch

            load_proxy(self.screen_by)
        if not 0 < self.screen_share < 1:
            faults.append(f"screen_share={self.screen_share} (between 0 and 1, such as 0.25 to skip a quarter)")
        if self.symmetry not in ("auto", "off"):
            faults.append(f"symmetry={self.symmetry!r} ('auto' or 'off')")
        if faults:
            raise StudyError(f"the search was given {'; '.join(faults)}")


def config_of(space: Space, cells: Sequence[Cell], settings: Settings) -> dict[str, Any]:
    """Return everything that determines a search's scores, as JSON-able data."""
    tasks = {cell.task.name: cell.task for cell in cells}
    first = cells[0].task
    config = {
        "space": space.name,
        "space_digest": space.digest,
        "space_size": space.size(),
        "tasks": {
            name: {"n_steps": task.n_steps, "metric": task.metric, "test_metric": task.test_metric}
            | {"sign_symmetric": sorted(task.sign_symmetric)}
            | {key: _plain(value) for key, value in task.settings.items()}
            for name, task in tasks.items()
        },
        "cells": {cell.key: list(cell.rungs) for cell in cells},
        "metric": first.metric,
        "test_metric": first.test_metric,
        "direction": first.direction,
        **{key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()},
        "version": actsearch.__version__,
    }
    return json.loads(json.dumps(config))


def check_same(name: str, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Check that a call continues what a study holds.

    Raises:
        StudyError: a setting that scores depend on differs; every such setting is named with both values.
    """
    differing = [
        f"{key} is {stored.get(key)!r} there and {wanted.get(key)!r} here"
        for key in sorted({*stored, *wanted} - set(GROWING))
        if stored.get(key) != wanted.get(key)
    ]
    if differing:
        raise StudyError(
            f"study {name!r} was begun with other settings: {'; '.join(differing)}. "
            "Call with the settings that it has to continue it, or with another name= to begin a new one"
        )


def _plain(value: Any) -> Any:
    """Return a setting as JSON-able data; objects by their repr without an address, which changes from run to run."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return getattr(value, "__qualname__", type(value).__qualname__)
