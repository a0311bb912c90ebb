"""Many kernels from one call of the compiler."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from actsearch.compiler import build, c_backend, c_op, compile
from actsearch.compiler.c_prefetch import prefetch

pytestmark = pytest.mark.skipif(build.c_compiler() is None, reason="needs a C compiler")
SPECS = [f"x * sigmoid({n} * x) + {n}" for n in range(2, 7)]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """An empty cache, and the calls of the compiler."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(c_op, "ready", lambda: None)  # the op is not to be built anew for this cache
    c_backend.load.cache_clear()
    build.c_compiler()  # found before the calls are counted, whatever other tests forgot
    found: list[Any] = []
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, **kw: (found.append(args[0]), run(*args, **kw))[1])
    return found


def test_one_call_serves_all_and_gives_the_bits_of_single_builds(calls: list[Any]) -> None:
    x = torch.randn(1000)
    single = [compile(spec, "c")(x) for spec in SPECS]
    assert len(calls) == len(SPECS)
    for path in build.cache_folder().iterdir():
        path.unlink()
    c_backend.load.cache_clear()
    calls.clear()
    prefetch([*SPECS, SPECS[0]], wait=True)
    assert all(torch.equal(compile(spec, "c")(x), y) for spec, y in zip(SPECS, single, strict=True))
    assert len(calls) == 1
    assert len(list(build.cache_folder().iterdir())) == len(SPECS)
    assert prefetch(SPECS, wait=True) is None


def test_who_asks_early_waits(calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    start, run = threading.Event(), subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *args, **kw: (start.wait(60), run(*args, **kw))[1])
    thread = prefetch(SPECS)
    assert thread is not None
    threading.Timer(0.1, start.set).start()
    x = torch.randn(10)
    torch.testing.assert_close(compile(SPECS[1], "c")(x), x * torch.sigmoid(3 * x) + 3)
    thread.join()
    assert len(calls) == 1


def test_a_failing_batch_leaves_nobody_waiting(calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise subprocess.CalledProcessError(1, "cc", stderr="broken")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", fail)
        prefetch(SPECS, wait=True)
    assert not build.coming
    torch.testing.assert_close(compile(SPECS[0], "c")(torch.ones(1)), torch.sigmoid(torch.tensor([2.0])) + 2)
    assert calls
