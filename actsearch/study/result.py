"""What a search found: a view of its stored studies, made after a run or from the storage at any later time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from actsearch.errors import StudyError, suggest
from actsearch.study.comparison import Comparison, summarise
from actsearch.study.function import stored_function
from actsearch.study.panel import members, null_scores
from actsearch.study.screen import SKIPPED
from actsearch.study.storage import open_storage, storage_errors

if TYPE_CHECKING:
    import os

    from torch import nn

TRAINED = ("finished", "pruned", "diverged", "failed")


@dataclass(frozen=True)
class LeaderboardRow:
    """One distinct candidate that finished.

    Attributes:
        rank: from 1, by score.
        number: its trial's number.
        expr: its text.
        score: panel seed standard deviations above the panel's median, mean over cells.
        scores: metric by cell.
        seconds: time of its fits.
        n_parameters: trainable numbers of the largest net.
        baseline: the baseline of the panel that it is, or that the nets cannot tell it from, or an empty string.
    """

    rank: int
    number: int
    expr: str
    score: float
    scores: Mapping[str, float]
    seconds: float
    n_parameters: int
    baseline: str = ""


@dataclass(frozen=True, repr=False)
class StudyResult:
    """A search's result.

    Attributes:
        name: the study's name.
        storage: where it is stored, a path or URL (empty for a storage object that was handed in).
        study: the Optuna study of the candidates.
        panel_study: that of the panel and the null control, ``NAME/panel``.
        finals: what the finals showed, None when there were none.
        config: the resolved settings.
        interrupted: whether Ctrl-C ended the search; the same call continues it.
        stopped: why fewer functions were trained than asked for, a sentence; else empty.
        seconds: time of the call (of its fits, when loaded from a storage).
    """

    name: str
    storage: str
    study: optuna.Study
    panel_study: optuna.Study
    finals: Comparison | None
    config: Mapping[str, Any]
    interrupted: bool = False
    stopped: str = ""
    seconds: float = 0.0

    def __repr__(self) -> str:
        state = "interrupted, " if self.interrupted else ""
        return f"StudyResult({self.name!r}: {state}{self.n_trained} trained, {self.n_pruned} of them pruned)"

    def leaderboard(self, limit: int | None = None) -> list[LeaderboardRow]:
        """Return the distinct candidates that finished, best score first."""
        baselines = {function.key: function for function in members(self.panel_study).values()}
        return [
            _row(rank, trial, baselines.get(stored_function(trial.user_attrs).key))
            for rank, trial in enumerate(finished(self.study)[:limit], 1)
        ]

    @property
    def best(self) -> str:
        """The text of the best candidate: of the finalists the best on validation over fresh seeds, else by score.

        Raises:
            StudyError: no candidate finished.
        """
        if self.finals is not None and self.finals.best is not None:
            return self.finals.best.spec
        rows = self.leaderboard(1)
        if not rows:
            raise StudyError(f"study {self.name!r} has no best candidate: {self.stopped or 'none has finished'}")
        return rows[0].expr

    def best_activation(self, **settings: Any) -> nn.Module:
        """Return the best candidate as a fresh module, normalised as in the search.

        Args:
            **settings: of :func:`actsearch.make`.
        """
        from actsearch.nn.make import make

        return make(self.best, **({"normalise": bool(self.config.get("normalise", False))} | settings))

    @property
    def n_trained(self) -> int:
        """How many distinct functions were trained, to the first rung at least or until they diverged or failed."""
        counts = self.outcomes
        return sum(counts[outcome] for outcome in TRAINED)

    @property
    def n_tried(self) -> int:
        """How many distinct functions were trained or rejected by the screen."""
        return self.n_trained + self.n_rejected

    @property
    def n_pruned(self) -> int:
        """How many functions were stopped before their last rung."""
        return self.outcomes["pruned"]

    @property
    def n_duplicates(self) -> int:
        """How many candidates were functions seen before, or mirror images of these (``n_mirrored``)."""
        return self.outcomes["duplicate"]

    @property
    def n_mirrored(self) -> int:
        """How many functions took over the score of another that the nets cannot tell from them: trainings saved."""
        trials = self.study.get_trials(deepcopy=False)
        prints = [trial.user_attrs.get("fingerprint") for trial in trials]
        firsts = {n: trial.user_attrs.get("duplicate_of") for n, trial in enumerate(trials)}
        return len({prints[n] for n, first in firsts.items() if first is not None and prints[first] != prints[n]})

    @property
    def n_rejected(self) -> int:
        """How many functions the screen rejected."""
        return self.outcomes["rejected"]

    @property
    def n_skipped(self) -> int:
        """How many of the rejected functions a proxy (``screen_by``) kept from being trained: trainings saved."""
        trials = self.study.get_trials(deepcopy=False)
        return sum(trial.user_attrs.get("reason", "").startswith(SKIPPED) for trial in trials)

    @property
    def n_diverged(self) -> int:
        """How many functions ended in NaN or infinity."""
        return self.outcomes["diverged"]

    @property
    def n_failed(self) -> int:
        """How many functions could not be fitted."""
        return self.outcomes["failed"]

    @property
    def outcomes(self) -> Counter[str]:
        """Trials by outcome; trials that were interrupted and enqueued again are not counted."""
        return outcomes(self.study)

    @property
    def null_scores(self) -> list[float]:
        """The scores of relu under other seeds: a search score near their largest needs luck only."""
        return null_scores(self.panel_study)


def load_result(storage: str | os.PathLike[str] | optuna.storages.BaseStorage, name: str | None = None) -> StudyResult:
    """Return the result of a search from its storage, also while it runs.

    Args:
        storage: path or URL.
        name: the study; None: the only one there.

    Raises:
        StorageError: the storage cannot be read.
        StudyError: there is no such study, or more than one and no name.
    """
    opened = open_storage(storage, read_only=True)
    place = storage if isinstance(storage, str) else "" if isinstance(storage, optuna.storages.BaseStorage) else storage
    with storage_errors(str(place)):
        names = [study.study_name for study in opened.get_all_studies()]
        searches = [found for found in names if f"{found}/panel" in names]
        if name is None and len(searches) == 1:
            name = searches[0]
        if name is None or name not in searches:
            wanted = f"there is no study {name!r}{suggest(name, searches)}" if name else "name one study"
            raise StudyError(f"{wanted} (in {place or 'the storage'}: {', '.join(searches) or 'none'})")
        study = optuna.load_study(study_name=name, storage=opened)
        panel_study = optuna.load_study(study_name=f"{name}/panel", storage=opened)
        finals = optuna.load_study(study_name=f"{name}/finals", storage=opened) if f"{name}/finals" in names else None
        return make_result(str(place), study, panel_study, finals)


def make_result(
    place: str,
    study: optuna.Study,
    panel_study: optuna.Study,
    finals_study: optuna.Study | None,
    *,
    interrupted: bool = False,
    seconds: float | None = None,
) -> StudyResult:
    """Return the result that three studies hold."""
    counts = outcomes(study)
    scores = {trial.user_attrs["expr"]: trial.value for trial in ranked(study) if trial.value is not None}
    begun = finals_study is not None and "functions" in finals_study.user_attrs
    finals = None
    if finals_study is not None and begun:
        finals = summarise(finals_study, sum(counts[outcome] for outcome in TRAINED), scores)
    return StudyResult(
        name=study.study_name,
        storage=place,
        study=study,
        panel_study=panel_study,
        finals=finals,
        config=study.user_attrs.get("config", {}),
        interrupted=interrupted or study.user_attrs.get("phase") == "interrupted",
        stopped=study.user_attrs.get("stopped", ""),
        seconds=_seconds(study, panel_study, finals_study) if seconds is None else seconds,
    )


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials of the distinct candidates that finished, best score first."""
    trials = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    own = [trial for trial in trials if trial.user_attrs.get("outcome") == "finished" and trial.value is not None]
    return sorted(own, key=lambda trial: (-(trial.value or 0.0), trial.number))


def ranked(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials of the distinct candidates: the finished ones by score, then the pruned, furthest first."""
    trials = study.get_trials(deepcopy=False, states=[TrialState.PRUNED])
    own = [trial for trial in trials if trial.user_attrs.get("outcome") == "pruned" and trial.value is not None]
    far = sorted(own, key=lambda trial: (-(trial.last_step or 0), -(trial.value or 0.0), trial.number))
    return finished(study) + far


def outcomes(study: optuna.Study) -> Counter[str]:
    """Return how many trials had each outcome; interrupted ones that were enqueued again are left out."""
    trials = study.get_trials(deepcopy=False)
    again = retried(trials)
    return Counter(
        trial.user_attrs["outcome"]
        for trial in trials
        if trial.state.is_finished() and "outcome" in trial.user_attrs and trial.number not in again
        if "fingerprint" in trial.user_attrs  # without, it ended before it had a function
    )


def retried(trials: list[FrozenTrial]) -> set[int]:
    """Return the numbers of the trials that were interrupted and whose choices were enqueued again."""
    return {trial.user_attrs["retry_of"] for trial in trials if "retry_of" in trial.user_attrs}


def _row(rank: int, trial: FrozenTrial, baseline: Any) -> LeaderboardRow:
    attributes = trial.user_attrs
    assert trial.value is not None
    return LeaderboardRow(
        rank=rank,
        number=trial.number,
        expr=attributes["expr"],
        score=trial.value,
        scores=attributes["scores"],
        seconds=attributes["seconds"],
        n_parameters=attributes["n_parameters"],
        baseline=baseline.spec if baseline is not None else "",
    )


def _seconds(*studies: optuna.Study | None) -> float:
    trials = [trial for study in studies if study is not None for trial in study.get_trials(deepcopy=False)]
    return sum(trial.user_attrs.get("seconds", 0.0) for trial in trials)
