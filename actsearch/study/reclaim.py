"""Trials that died with their process: failed, and put in the queue again with the same choices.

Optuna's own heartbeat does this for SQL only; here each running trial names its owner, in any storage.
"""

from __future__ import annotations

from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from actsearch.study.owner import Owner, this_process

_KEY = "actsearch:owner"
_FIXED = "fixed_params"  # where Optuna keeps the choices that an enqueued trial must make

# A candidate that takes its process down every time would do so for ever; a worker gets three tries, so does this.
MAX_RETRIES = 3


def sign(trial: Trial) -> None:
    """Note on a running trial that this process owns it; call it right after ``study.ask()``."""
    trial.storage.set_trial_system_attr(trial._trial_id, _KEY, this_process().to_dict())


def reclaim(
    study: Study, *, enqueue: bool = True, take_over: bool = False, max_retries: int = MAX_RETRIES
) -> list[int]:
    """Fail the running trials whose owner is dead, and enqueue them again with the choices they had made.

    A trial without an owner's name died before it could be signed, as nobody but the holder of the study's session
    asks it for trials; call this inside :func:`actsearch.study.session.session`. Trials of live owners, and of owners
    on other hosts, stay as they are. Killed half-way, it can simply be called again.

    Args:
        study: any study of the search.
        enqueue: whether to put them in the queue again; not for trials without choices (panel, finals).
        take_over: reclaim the trials of owners on other hosts, too.
        max_retries: a trial that died more often than this is failed for good.

    Returns:
        The numbers of the trials that were failed, ascending. A new trial's user attributes ``retry_of`` and
        ``n_retries`` name the one it repeats and count how often.
    """
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    lost = [trial for trial in running if _is_lost(trial, take_over)]
    for trial in lost:
        if enqueue and _n_retries(trial) < max_retries:
            _enqueue_again(study, trial)
        _fail(study, trial)
    return [trial.number for trial in lost]


def _is_lost(trial: FrozenTrial, take_over: bool) -> bool:
    owner = Owner.from_dict(trial.system_attrs.get(_KEY))
    return owner is None or owner.is_dead or (take_over and owner.is_elsewhere)


def _n_retries(trial: FrozenTrial) -> int:
    return int(trial.user_attrs.get("n_retries", 0))


def _enqueue_again(study: Study, trial: FrozenTrial) -> None:
    choices: dict[str, Any] = {**trial.system_attrs.get(_FIXED, {}), **trial.params}
    # enqueued first and failed after: a kill between the two is found here, and loses nothing
    later = study.get_trials(deepcopy=False)[trial.number + 1 :]
    if choices and not any(other.user_attrs.get("retry_of") == trial.number for other in later):
        study.enqueue_trial(choices, user_attrs={"retry_of": trial.number, "n_retries": _n_retries(trial) + 1})


def _fail(study: Study, trial: FrozenTrial) -> None:
    owner = Owner.from_dict(trial.system_attrs.get(_KEY))
    reason = f"{owner or 'the process that ran it'} ended before the trial did"
    for key, value in {"outcome": "failed", "reason": reason}.items():
        study._storage.set_trial_user_attr(trial._trial_id, key, value)
    study.tell(trial.number, state=TrialState.FAIL)
