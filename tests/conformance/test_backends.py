"""The public suite over every backend that runs on a CPU; Triton's is in ``tests/compiler/triton_cases.py``."""

from __future__ import annotations

import pytest

from actsearch import testing
from actsearch.compiler.build import c_compiler
from actsearch.nn.make import make

BACKENDS = [
    "reference",
    pytest.param("c", marks=pytest.mark.skipif(c_compiler() is None, reason="needs a C compiler")),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["gelu", "swish"])
def test_activation(name: str, backend: str) -> None:
    testing.check_activation(lambda: make(name, backend=backend))
