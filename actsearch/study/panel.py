"""The panel: baselines fitted before any candidate, and copies of one of them that show what luck alone does.

Both live in the study ``NAME/panel``. A panel trial is one baseline with one replicate in all cells. Its score needs
the whole panel, so a finished fit waits as a running trial with all its attributes (a kill loses nothing) and is told
its score when the last one is in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from actsearch.errors import StudyError
from actsearch.study.executor import Pool
from actsearch.study.fits import Attributes, Wanted, run_fits, stored_key
from actsearch.study.function import Function, resolve, stored_function
from actsearch.study.jobs import NO_SIZES, Sizes
from actsearch.study.plan import Plan, median_seconds
from actsearch.study.scale import Scale, cell_scale

_log = logging.getLogger(__name__)

PANEL = ("relu", "leaky_relu", "elu", "selu", "silu", "gelu", "mish", "softplus", "tanh", "identity")
NULL_CONTROL = "relu"
NULL_REPLICATES = 100  # the first replicate number of the null control; search and panel stay below, finals above

Notify = Callable[[optuna.Study, FrozenTrial], None]


def panel_fits(
    panel: Sequence[str], n_replicates: int, n_null_control: int, normalise: bool, symmetric: bool = False
) -> list[Wanted]:
    """Return the fits of the panel and of the null control, which is relu under seeds that nothing else uses."""
    baselines = [
        Wanted(function, "panel", "panel", replicate)
        for replicate in range(n_replicates)
        for function in (resolve(spec, normalise, symmetric=symmetric) for spec in panel)
    ]
    relu = resolve(NULL_CONTROL, normalise)
    copies = range(NULL_REPLICATES, NULL_REPLICATES + n_null_control)
    return baselines + [Wanted(relu, "null_control", "panel", replicate) for replicate in copies]


def fit_panel(
    study: optuna.Study, wanted: Sequence[Wanted], plan: Plan, pool: Pool[Any], notify: Notify, sizes: Sizes = NO_SIZES
) -> tuple[Scale, Plan]:
    """Fit what is missing of the panel; return the scale and the plan with its cells in the order of their cost.

    Raises:
        StudyError: no baseline could be fitted in some cell.
    """
    study.set_user_attr("n_planned", len(wanted))
    known = _forget_unfinished(study)
    run_fits(wanted, known, plan, pool, lambda attributes: _keep(study, attributes, notify), sizes)
    scale = panel_scale(study, plan)
    _settle(study, scale)
    plan = plan.cheapest_first(_seconds(study))
    study.set_user_attr("cell_order", [cell.key for cell in plan.cells])
    return scale, plan


def panel_scale(study: optuna.Study, plan: Plan) -> Scale:
    """Return the scale that the fitted panel gives."""
    fits = [trial for trial in study.get_trials(deepcopy=False) if trial.user_attrs.get("role") == "panel"]
    cells = {}
    for cell in plan.cells:
        curves: dict[str, list[list[float]]] = {}
        for trial in fits:
            if trial.user_attrs.get("outcome") == "finished":
                curve = trial.user_attrs["curves"][cell.key]["metric"]
                curves.setdefault(trial.user_attrs["expr"], []).append(curve)
        if not curves:
            raise StudyError(f"no baseline of the panel could be fitted on {cell.key}: {_reasons(fits)}")
        cells[cell.key] = cell_scale(curves, cell.task.direction, cell.task.chance)
    return Scale(cells)


def members(study: optuna.Study) -> dict[str, Function]:
    """Return the panel's baselines by fingerprint."""
    return {
        trial.user_attrs["fingerprint"]: stored_function(trial.user_attrs)
        for trial in study.get_trials(deepcopy=False)
        if trial.user_attrs.get("role") == "panel"
    }


def null_scores(study: optuna.Study) -> list[float]:
    """Return the scores of the null control's copies: how high luck alone lifts a relu."""
    return [
        trial.value
        for trial in study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        if trial.user_attrs.get("role") == "null_control" and trial.value is not None
    ]


def _forget_unfinished(study: optuna.Study) -> list[Any]:
    """Return the keys of the fits that are there; end trials whose attributes were cut off by a kill."""
    known = []
    for trial in study.get_trials(deepcopy=False):
        if "outcome" in trial.user_attrs:
            known.append(stored_key(trial.user_attrs))
        elif trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
    return known


def _keep(study: optuna.Study, attributes: Attributes, notify: Notify) -> None:
    trial = study.ask()
    outcome = attributes.pop("outcome")
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    trial.set_user_attr("outcome", outcome)  # the last one: it says that all are there
    if outcome == "failed":
        _log.warning("baseline %s could not be fitted: %s", attributes["expr"], attributes["reason"])
        notify(study, study.tell(trial, state=TrialState.FAIL))
        return
    seen = copy(study.get_trials(deepcopy=False)[trial.number])
    seen.state = TrialState.COMPLETE  # for callbacks: its fit is over, its score is not known yet
    notify(study, seen)


def _settle(study: optuna.Study, scale: Scale) -> None:
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        study.tell(trial.number, value_of(trial.user_attrs, scale))


def value_of(attributes: Attributes, scale: Scale) -> float:
    """Return the score of a fit that ran to its end, chance level if it diverged."""
    if attributes["outcome"] == "diverged":
        return scale.chance
    return scale.score({cell: (metric, -1) for cell, metric in attributes["scores"].items()})


def _seconds(study: optuna.Study) -> dict[str, float]:
    fits = [trial.user_attrs.get("seconds_by_cell") for trial in study.get_trials(deepcopy=False)]
    return median_seconds([fit for fit in fits if fit])


def _reasons(fits: Sequence[FrozenTrial]) -> str:
    reasons = {trial.user_attrs.get("reason", trial.user_attrs.get("outcome", "unknown")) for trial in fits}
    return "; ".join(sorted(reasons)) or "the panel is empty"
