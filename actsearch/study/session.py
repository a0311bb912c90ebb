"""One search at a time on a study: a claim that names its owner, in the study itself and so in any storage."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.study import Study

from actsearch.errors import StorageError
from actsearch.study.owner import Owner, this_process

_logger = logging.getLogger(__name__)

_PREFIX = "actsearch:session:"

# Tokens of the sessions that this very process holds: one that could not be released (a full disk) is no obstacle
# for a later search in the same notebook.
_held: set[str] = set()


@contextmanager
def session(study: Study, take_over: bool = False) -> Iterator[Owner]:
    """Hold a study for one search; everybody may read it meanwhile.

    Each claimant writes a claim of its own and then looks for others, so that of two that start in the same moment at
    least one sees the other and leaves: never do both go on. The claims of dead processes count for nothing.

    Args:
        study: the study NAME; the claim covers NAME/panel and NAME/finals too.
        take_over: go on although a process that cannot be looked at from here (one on another host) claims the study.

    Yields:
        The owner that stands for this process.

    Raises:
        StorageError: another process, which lives or cannot be looked at, holds the study.
    """
    storage, study_id = study._storage, study._study_id
    owner, token = this_process(), uuid.uuid4().hex
    _refuse_if_held(study, token, take_over)
    _held.add(token)  # before it is written: another thread must not take it for a left-over
    try:
        storage.set_study_system_attr(study_id, _PREFIX + token, owner.to_dict())
        _refuse_if_held(study, token, take_over)
        yield owner
    finally:
        _held.discard(token)
        try:
            storage.set_study_system_attr(study_id, _PREFIX + token, None)
        except StorageError as error:
            # the search's own end or error matters more, and the claim of an ended process is void anyway
            _logger.warning("the claim on study %r could not be withdrawn: %s", study.study_name, error)


def holders(study: Study) -> list[Owner]:
    """Return the processes that hold a study and are not known to have ended."""
    return list(_claims(study).values())


def _refuse_if_held(study: Study, token: str, take_over: bool) -> None:
    for other_token, owner in _claims(study).items():
        if other_token == token or (owner.is_elsewhere and take_over):
            continue
        advice = "if that no longer runs, take the study over" if owner.is_elsewhere else "wait for it or stop it"
        raise StorageError(
            f"study {study.study_name!r} is being searched by {owner}; {advice}, or give this search another name"
        )


def _claims(study: Study) -> dict[str, Owner]:
    found = {}
    for key, value in study._storage.get_study_system_attrs(study._study_id).items():
        owner = Owner.from_dict(value) if key.startswith(_PREFIX) else None
        token = key.removeprefix(_PREFIX)
        if owner is None or owner.is_dead or (owner == this_process() and token not in _held):
            continue
        found[token] = owner
    return found
