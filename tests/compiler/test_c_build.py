"""Building kernels where things go wrong: no compiler, a failing one, no place to write, neighbours, interruptions."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from actsearch.compiler import build, c_backend, c_op, compile
from actsearch.errors import CompileError

FOUND = build.c_compiler()
needs_compiler = pytest.mark.skipif(FOUND is None, reason="needs a C compiler")
CACHES = (build.c_compiler, build._private_folder, build.notice, c_backend.load)
RUN = "import torch, actsearch; print(actsearch.compile('x + sin(x)', 'c')(torch.ones(3)).sum().item())"


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and nothing remembered before or after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(c_op, "ready", lambda: None)  # the op is not to be built anew for this cache
    for cache in CACHES:
        cache.cache_clear()
    yield tmp_path / "actsearch" / "kernels"
    monkeypatch.undo()
    for cache in CACHES:
        cache.cache_clear()


def script(folder: Path, text: str) -> str:
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def agrees(backend: str) -> None:
    x = torch.linspace(-3, 3, 50, requires_grad=True)
    y = compile("x * sigmoid(x)", backend)(x)
    torch.testing.assert_close(y, torch.nn.functional.silu(x))
    y.sum().backward()
    assert x.grad is not None


def test_no_compiler(kernels: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("CC", "/nowhere/at-all")
    with caplog.at_level(logging.WARNING, "actsearch"):
        assert compile("silu").backend == "reference"
        agrees("auto")
    assert len(caplog.records) == 1
    assert "no C compiler was found" in caplog.text
    with pytest.raises(CompileError, match="needs a C compiler"):
        compile("silu", "c")


@needs_compiler
def test_a_failing_compiler_gives_one_notice_and_the_reference(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    text = 'if [ "$1" = --version ]; then echo broken 1.0; else echo "it is broken" >&2; exit 1; fi'
    monkeypatch.setenv("CC", script(tmp_path, text))
    with caplog.at_level(logging.WARNING, "actsearch"):
        agrees("auto")
        agrees("c")
    assert len(caplog.records) == 1
    assert "it is broken" in caplog.text
    assert not list(kernels.iterdir())


@needs_compiler
def test_a_cache_that_cannot_be_written(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels.parent.write_text("a file where the folder should be")  # root may write into a read-only folder
    agrees("c")
    assert list(build._private_folder().glob("*.so"))


@needs_compiler
@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_cache(kernels: Path) -> None:
    kernels.mkdir(parents=True)
    kernels.chmod(0o555)
    try:
        agrees("c")
    finally:
        kernels.chmod(0o755)
    assert list(build._private_folder().glob("*.so"))


@needs_compiler
def test_a_read_only_cache_that_holds_the_kernel_serves(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agrees("c")
    c_backend.load.cache_clear()
    monkeypatch.setattr(build, "_build", lambda *_: pytest.fail("built again"))
    agrees("c")


@needs_compiler
def test_a_cache_written_by_another_cpu_is_not_used(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "cpu", lambda: "another")
    agrees("c")
    foreign = set(kernels.glob("*.so"))
    for cache in CACHES:
        cache.cache_clear()
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(kernels.parents[1]))
    monkeypatch.setattr(c_op, "ready", lambda: None)
    agrees("c")
    assert len(foreign) == 1
    assert len(set(kernels.glob("*.so")) - foreign) == 1


def test_the_op_of_another_cpu_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    here = c_op._key(["c++"], "source")
    monkeypatch.setattr(c_op, "cpu", lambda: "another")
    assert c_op._key(["c++"], "source") != here


@needs_compiler
def test_a_damaged_library_gives_a_notice_and_the_reference(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = tmp_path / "damaged.so"
    damaged.write_text("not a library")
    monkeypatch.setattr(c_backend, "library", lambda *_: damaged)
    with caplog.at_level(logging.WARNING, "actsearch"):
        agrees("c")
    assert "could not be loaded" in caplog.text


def test_who_wants_the_op_waits_for_who_builds_it(kernels: Path) -> None:
    inside: list[int] = []

    def build_it() -> None:
        with c_op._alone("op"):  # opens the lock file anew, as processes do
            inside.append(1)
            time.sleep(0.05)
            assert len(inside) == 1
            inside.pop()

    threads = [threading.Thread(target=build_it) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not inside


@needs_compiler
@pytest.mark.slow
def test_two_processes_build_the_same_kernel_at_once(kernels: Path) -> None:
    found = [
        subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    results = [process.communicate(timeout=300) for process in found]
    assert [process.returncode for process in found] == [0, 0], results
    assert results[0][0] == results[1][0]
    assert not list(kernels.glob("building-*"))
    assert list(kernels.glob("*.so"))


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_no_library(kernels: Path, tmp_path: Path, number: signal.Signals) -> None:
    assert FOUND is not None
    real = shutil.which(FOUND.command[0])
    slow = script(tmp_path, f'if [ "$1" = --version ]; then exec {real} "$@"; fi\nsleep 60\nexec {real} "$@"')
    # a shell's background has SIGINT ignored
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {RUN}"
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "CC": slow}, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 200
    while not list(kernels.glob("building-*/source.c")):
        assert time.monotonic() < end
        time.sleep(0.05)
    process.send_signal(number)
    process.wait(60)
    assert not list(kernels.glob("*.so"))
    assert bool(list(kernels.glob("building-*"))) == (number == signal.SIGKILL)
    for folder in kernels.glob("building-*"):  # swept by a later build
        os.utime(folder, (0, 0))
    agrees("c")
    assert not list(kernels.glob("building-*"))
    assert list(kernels.glob("*.so"))
