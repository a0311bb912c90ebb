from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def steps_trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps that fits train, in order: a fit that starts again instead of resuming shows here."""
    from actsearch.tasks._session import Session

    seen: list[int] = []
    after_step = Session.on_train_batch_end

    def noting(session: Session, *arguments: Any) -> None:
        seen.append(session.step)
        after_step(session, *arguments)

    monkeypatch.setattr(Session, "on_train_batch_end", noting)
    return seen
