"""Trials as plain data: what a study stored in a trial's attributes, read once and in one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

OUTCOMES = ("finished", "pruned", "duplicate", "rejected", "diverged", "failed")


@dataclass(frozen=True)
class Curve:
    """Validation and training curves of one fit, one value a rung."""

    steps: tuple[int, ...]
    metric: tuple[float, ...]
    val_loss: tuple[float, ...] = ()
    train_loss: tuple[float, ...] = ()


@dataclass(frozen=True)
class Record:
    """One trial: its function, what became of it, and its numbers. ``score`` is None where none was reached."""

    number: int
    text: str
    outcome: str
    score: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    role: str = ""
    replicate: int | None = None
    seconds: float = 0.0
    n_parameters: int | None = None
    reason: str = ""
    duplicate_of: int | None = None
    fingerprint: str = ""
    learned: Mapping[str, str] = field(default_factory=dict)


def record(trial: Any) -> Record:
    """Return an Optuna trial (``FrozenTrial``) as a record; attributes that are missing take their empty value."""
    stored = trial.user_attrs
    return Record(
        number=trial.number,
        text=str(stored.get("expr", "")),
        outcome=_outcome(trial),
        score=_finite(trial.value),
        scores={str(cell): float(value) for cell, value in (stored.get("scores") or {}).items()},
        curves={str(cell): _curve(curve) for cell, curve in (stored.get("curves") or {}).items()},
        role=str(stored.get("role", "")),
        replicate=stored.get("replicate"),
        seconds=float(stored.get("seconds") or 0.0),
        n_parameters=stored.get("n_parameters"),
        reason=str(stored.get("reason") or ""),
        duplicate_of=stored.get("duplicate_of"),
        fingerprint=str(stored.get("fingerprint", "")),
        learned=dict(stored.get("learned") or {}),
    )


def records(trials: Iterable[Any]) -> list[Record]:
    """Return the records of all trials that came to an outcome, in order.

    Left out: trials that run or wait, and interrupted ones whose choices were enqueued again.
    """
    trials = list(trials)
    again = {trial.user_attrs["retry_of"] for trial in trials if "retry_of" in trial.user_attrs}
    return [
        record(trial)
        for trial in trials
        if trial.state.name in ("COMPLETE", "PRUNED", "FAIL")
        and trial.user_attrs.get("expr")
        and trial.number not in again
    ]


def ranked(rows: Iterable[Record]) -> list[Record]:
    """Return the finished candidates, best score first, each function once."""
    finished = [row for row in rows if row.outcome == "finished" and row.score is not None]
    return sorted(finished, key=lambda row: (-(row.score or 0.0), row.number))


def counts(rows: Iterable[Record]) -> dict[str, int]:
    """Return how many trials had each outcome, in the order of ``OUTCOMES``."""
    outcomes = [row.outcome for row in rows]
    return {outcome: outcomes.count(outcome) for outcome in OUTCOMES}


@dataclass(frozen=True)
class Baseline:
    """One panel member over its replicates: mean score and mean metric in each cell."""

    text: str
    score: float | None
    scores: Mapping[str, float]
    n_replicates: int


def baselines(rows: Iterable[Record], role: str = "panel") -> list[Baseline]:
    """Return the mean over replicates of every panel member, best first."""
    groups: dict[str, list[Record]] = {}
    for row in rows:
        if row.role == role and row.outcome in ("finished", "diverged"):
            groups.setdefault(row.text, []).append(row)
    return sorted((_baseline(text, group) for text, group in groups.items()), key=_order)


def _baseline(text: str, group: list[Record]) -> Baseline:
    scores = [row.score for row in group if row.score is not None]
    cells = sorted({cell for row in group for cell in row.scores})
    by_cell = {cell: fmean(row.scores[cell] for row in group if cell in row.scores) for cell in cells}
    return Baseline(text, fmean(scores) if scores else None, by_cell, len(group))


def _order(row: Baseline) -> tuple[float, str]:
    if row.score is not None:
        return -row.score, row.text
    return -fmean(row.scores.values()) if row.scores else 0.0, row.text


def _outcome(trial: Any) -> str:
    stored = trial.user_attrs.get("outcome")
    if stored:
        return str(stored)
    return {"COMPLETE": "finished", "PRUNED": "pruned"}.get(trial.state.name, "failed")


def _finite(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)


def _curve(stored: Mapping[str, Any]) -> Curve:
    def column(key: str) -> tuple[float, ...]:
        return tuple(float("nan") if value is None else float(value) for value in stored.get(key) or ())

    return Curve(
        tuple(int(step) for step in stored.get("steps") or ()),
        column("metric"),
        column("val_loss"),
        column("train_loss"),
    )
