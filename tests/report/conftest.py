from __future__ import annotations

import pytest

from actsearch.study.result import StudyResult

from . import fakes


@pytest.fixture(scope="session")
def result() -> StudyResult:
    """A study with finals; nobody changes it."""
    return fakes.run()
