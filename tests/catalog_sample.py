"""Which rows of the catalog the cheap run tries in full; ``make test-all`` tries the others."""

from __future__ import annotations

import zlib

import pytest

from actsearch.expr import catalog

ONE_IN = 48
ALWAYS = ("relu", "gelu", "silu", "prelu", "hardshrink", "pau")


def sample(one_in: int = ONE_IN) -> list[str]:
    """Return one name in so many: by the hash of the name, so that it stays where it is when rows are added."""
    return [name for name in catalog.names() if name in ALWAYS or zlib.crc32(name.encode()) % one_in == 0]


def rows() -> list:
    """Return every name as a test parameter; those outside the sample are slow."""
    cheap = sample()
    return [pytest.param(name, marks=() if name in cheap else pytest.mark.slow) for name in catalog.names()]
