"""The state of a study as it runs: which phase, how many trials of each kind, who leads. No drawing here."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from actsearch.report.records import Baseline, Record, baselines, counts, ranked, record, records
from actsearch.study.studies import open_study

# A duplicate or a rejected candidate costs no training and is not one of the planned trials.
FREE = ("duplicate", "rejected")


@dataclass
class Phase:
    """One phase: its trials so far, what is planned, and since when. ``earlier`` were done by a previous run."""

    name: str
    planned: int | None = None
    started: float = 0.0
    earlier: int = 0
    rows: list[Record] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Trials that count against the plan."""
        return sum(row.outcome not in FREE for row in self.rows)

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds left at the mean pace of this run, or None before its first trial ended."""
        fresh = self.done - self.earlier
        if self.planned is None or fresh <= 0:
            return None
        return max(self.planned - self.done, 0) * (now - self.started) / fresh


class Progress:
    """What a display needs to know, gathered from Optuna-style callbacks ``(study, trial)``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.title = ""
        self.started = self._last = clock()
        self.phases: dict[str, Phase] = {}
        self.current = Phase("panel", started=self.started)

    def start(self, study: Any, config: Mapping[str, Any]) -> None:
        """Take the title from the settings, and over what an earlier run left in the study."""
        self.title = title(study.study_name, config)
        self.started = self._last = self.clock()
        self.phases["search"] = self._begin("search", study, records(study.get_trials(deepcopy=False)))
        self._read_panel(study)
        has_begun = bool(self.phases["search"].rows)
        self.current = self.phases["search"] if has_begun else Phase("panel", started=self._last)

    def add(self, study: Any, trial: Any) -> Record:
        """Count one ended trial and return its record. The first one of a study begins that study's phase."""
        name = phase_name(study.study_name)
        if name not in self.phases:
            before = [row for row in records(study.get_trials(deepcopy=False)) if row.number != trial.number]
            self.phases[name] = self._begin(name, study, before)
        phase = self.phases[name]
        if phase is not self.current and phase.done == phase.earlier:
            phase.started = self._last  # a phase begins when the one before it ends
            if name == "search":
                self._read_panel(study)  # its scores are known only now
        phase.planned = study.user_attrs.get("n_planned", phase.planned)
        row = record(trial)
        phase.rows.append(row)
        self.current, self._last = phase, self.clock()
        return row

    def _read_panel(self, study: Any) -> None:
        if phase_name(study.study_name) == "search":
            rows = panel_records(study)
            if rows:
                self.phases["panel"] = Phase("panel", started=self.started, earlier=len(rows), rows=rows)

    def _begin(self, name: str, study: Any, rows: list[Record]) -> Phase:
        phase = Phase(name, study.user_attrs.get("n_planned"), self._last, rows=rows)
        phase.earlier = phase.done
        return phase

    @property
    def outcomes(self) -> dict[str, int]:
        """How many candidates of the search had each outcome."""
        return counts(self.phases["search"].rows if "search" in self.phases else [])

    @property
    def leaders(self) -> list[Record]:
        """The finished candidates of the search, best first."""
        return ranked(self.phases["search"].rows) if "search" in self.phases else []

    @property
    def best_baseline(self) -> Baseline | None:
        """The best panel member so far, or None before the panel was fitted."""
        panel = baselines(self.phases["panel"].rows) if "panel" in self.phases else []
        return panel[0] if panel else None


def panel_records(study: Any) -> list[Record]:
    """Return the records of the panel that a search's study stands beside."""
    panel = open_study(f"{study.study_name}/panel", study._storage)
    return records(panel.get_trials(deepcopy=False))


def phase_name(study_name: str) -> str:
    """Return the phase that a study's name tells.

    Example:
        >>> phase_name("core_unit/panel"), phase_name("core_unit")
        ('panel', 'search')
    """
    last = study_name.rsplit("/", 1)[-1]
    return last if last in ("panel", "finals") else "search"


def title(study_name: str, config: Mapping[str, Any]) -> str:
    """Return one line that says what is searched where, leaving out what the settings don't tell.

    Example:
        >>> title("core", {"space": "core_unit", "cells": {"mnist1d/deep": [200]}, "sampler": "tpe", "seed": 0})
        'core_unit on mnist1d/deep, sampler tpe, seed 0'
    """
    cells = ", ".join(config.get("cells") or ())
    parts = [f"{config.get('space', study_name)} on {cells}" if cells else study_name]
    parts += [f"{word} {config[key]}".strip() for key, word in _TITLE.items() if config.get(key) is not None]
    return ", ".join(parts)


_TITLE = {"sampler": "sampler", "seed": "seed"}


def duration(seconds: float | None) -> str:
    """Return seconds as people say them.

    Example:
        >>> duration(42), duration(200), duration(4020), duration(None)
        ('42 s', '3 min 20 s', '1 h 07 min', '?')
    """
    if seconds is None:
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
