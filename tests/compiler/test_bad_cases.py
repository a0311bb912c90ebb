"""What a kernel may meet: tensors of every kind, wrong parameters, damaged caches, users without a home.

Each gives the right result or one clear error. What else can go wrong with builds is in ``test_c_build.py``.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from actsearch import make
from actsearch.compiler import build, c_backend, c_op, compile
from actsearch.compiler.c_prefetch import prefetch
from actsearch.errors import ActivationError, CompileError

pytestmark = pytest.mark.skipif(build.c_compiler() is None, reason="needs a C compiler")

TEXT = "x * sigmoid(a[1.3] * x) + b[0.7] * tanh(x)"
A, B = torch.tensor(1.3), torch.tensor(0.7)
CACHES = (build._private_folder, build.notice, c_backend.load)


@pytest.fixture(params=["python", pytest.param("cpp", marks=pytest.mark.slow)])
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Kernels called through either op."""
    if request.param == "cpp" and c_op.load() is None:
        pytest.skip("needs a C++ compiler")
    monkeypatch.setattr(c_op, "ready", c_op.load if request.param == "cpp" else lambda: None)
    return str(request.param)


def textbook(x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(a * x) + b * torch.tanh(x)


def close(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


# --- tensors

VIEWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "0-d": lambda x: x[0, 0, 0, 0],
    "empty": lambda x: x[:, :0],
    "transposed": lambda x: x.transpose(1, 3),
    "strided": lambda x: x[::2, :, 1::3],
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "expanded": lambda x: x[:, :1, :1].expand(4, 5, 6, 7),
    "expanded, 0-d": lambda x: x[0, 0, 0, 0].expand(5, 5),
    "flipped": lambda x: x.flip(0, 3),
    "overlapping windows": lambda x: x.flatten().unfold(0, 5, 2),
    "with an offset": lambda x: x.flatten()[3:],
    "of the other sign": lambda x: torch._neg_view(x),
    "the imaginary part of a conjugate": lambda x: torch.complex(x, x).conj().imag,
}


@pytest.mark.parametrize("view", VIEWS)
def test_views(view: str, door: str) -> None:
    base = torch.randn(4, 5, 6, 7)
    results = []
    for f in (compile(TEXT, "c"), textbook):
        leaf = base.clone().requires_grad_()
        x = VIEWS[view](leaf)
        y = f(x, A, B)
        assert (y.shape, y.dtype) == (x.shape, x.dtype)
        (gradient,) = torch.autograd.grad(y.square().sum(), leaf)
        results.append((y.detach(), gradient))
    close(*results)


@pytest.mark.parametrize(
    "make_gradient",
    [
        lambda y: torch.ones(()).expand_as(y),
        lambda y: torch.ones(7, 5).t(),
        lambda y: torch._neg_view(torch.ones_like(y)),
        lambda y: torch._efficientzerotensor(y.shape),
        lambda y: torch.full_like(y, math.inf),
        lambda y: torch.full_like(y, math.nan),
    ],
    ids=["expanded", "transposed", "of the other sign", "zeros without memory", "inf", "nan"],
)
def test_gradients_of_every_kind(make_gradient: Callable[[torch.Tensor], torch.Tensor], door: str) -> None:
    results = []
    for f in (compile(TEXT, "c"), compile(TEXT, "reference")):
        leaves = [t.clone().requires_grad_() for t in (torch.linspace(-2, 2, 35).view(5, 7), A, B)]
        y = f(*leaves)
        results.append(torch.autograd.grad(y, leaves, make_gradient(y)))
    torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5, equal_nan=True)


def test_zeros_without_memory_are_zeros(door: str) -> None:
    assert compile("x + cos(x)", "c")(torch._efficientzerotensor(4)).tolist() == [1.0] * 4


def test_the_result_shares_no_memory_with_the_input(door: str) -> None:
    x = torch.ones(100)
    y = compile("x", "c")(x)
    y.add_(1)
    assert x.sum().item() == 100
    assert y.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()


def test_the_result_may_be_changed_in_place_before_the_backward(door: str) -> None:
    """Only the input is kept: a ReLU with ``inplace=True`` behind is no trouble."""
    x = torch.linspace(-2, 2, 9, requires_grad=True)
    (slope,) = torch.autograd.grad(compile(TEXT, "c")(x, A, B).mul_(3.0).sum(), x)
    close(slope, 3 * torch.autograd.grad(textbook(x, A, B).sum(), x)[0])


def test_an_input_changed_in_place_before_the_backward_is_told(door: str) -> None:
    x = torch.linspace(-2, 2, 9, requires_grad=True) * 1.0
    y = compile(TEXT, "c")(x, A, B)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_result_written_over_the_input(door: str) -> None:
    x = torch.linspace(-2, 2, 9)
    expected = textbook(x, A, B)
    x.copy_(compile(TEXT, "c")(x, A, B))
    close(x, expected)


def test_gradients_of_parameters_alone(door: str) -> None:
    x = torch.randn(3, 5, 7)
    channel = torch.linspace(0.5, 2, 5).view(5, 1)
    for a in (A, channel):
        results = []
        for f in (compile(TEXT, "c"), textbook):
            parameters = [a.clone().requires_grad_(), B.clone()]
            y = f(x, *parameters)
            y.sum().backward()
            assert (x.grad, parameters[1].grad) == (None, None)
            results.append(parameters[0].grad)
        close(*results)


def test_without_gradients(door: str) -> None:
    x, f = torch.randn(9, requires_grad=True), compile(TEXT, "c")
    with torch.no_grad():
        assert not f(x, A, B).requires_grad
    with torch.inference_mode():
        y = f(x, A, B)
        close(y, textbook(x, A, B))
        close(f(y, A, B), textbook(y, A, B))


def test_channels_of_which_there_are_none(door: str) -> None:
    x, a = torch.ones(4, 0, 3, requires_grad=True), torch.ones(0, 1, requires_grad=True)
    y = compile(TEXT, "c")(x, a, B)
    y.sum().backward()
    assert x.grad is not None
    assert a.grad is not None
    assert (y.shape, x.grad.shape, a.grad.shape) == (x.shape, x.shape, a.shape)


def test_rows_of_which_there_are_none_give_parameters_no_gradient(door: str) -> None:
    x, a = torch.ones(0, 5, requires_grad=True), torch.ones(5, requires_grad=True)
    compile(TEXT, "c")(x, a, B).sum().backward()
    assert a.grad is not None
    assert a.grad.tolist() == [0.0] * 5


# --- wrong arguments


@pytest.mark.parametrize("backend", ["c", "reference"])
@pytest.mark.parametrize(
    "x",
    [torch.ones(3, dtype=torch.int32), torch.ones(3, dtype=torch.bool), torch.ones(3, dtype=torch.complex128), [1.0]],
    ids=["integer", "boolean", "complex", "list"],
)
def test_what_is_no_floating_point_tensor(x: Any, backend: str) -> None:
    with pytest.raises(CompileError, match="an activation takes a floating-point tensor, not"):
        compile("silu", backend)(x)


@pytest.mark.parametrize("backend", ["c", "reference"])
def test_what_is_not_dense(backend: str) -> None:
    with pytest.raises(CompileError, match=r"not one of torch\.sparse_coo; use x\.to_dense\(\)"):
        compile("silu", backend)(torch.eye(3).to_sparse())


@pytest.mark.parametrize("backend", ["c", "reference"])
@pytest.mark.parametrize(
    ("parameters", "answer"),
    [
        ((A,), r"1 parameters given, 2 needed \(a, b\)"),
        ((A, B, B), r"3 parameters given, 2 needed \(a, b\)"),
        ((A, "b"), "'b' is str, not a number or a tensor"),
        ((A, None), "'b' is NoneType, not a number"),
        ((1j, B), "'a' is complex, not a number"),
        ((A, torch.tensor(1)), r"'b' is a tensor of torch\.int64"),
        ((A, torch.tensor(1j)), r"'b' is a tensor of torch\.complex64"),
        ((torch.ones(4), B), r"'a' of shape \(4,\) does not broadcast to x of shape \(2, 3\)"),
        ((torch.ones(1, 2, 3), B), r"'a' of shape \(1, 2, 3\) does not broadcast"),
    ],
)
def test_wrong_parameters(parameters: tuple[Any, ...], answer: str, backend: str) -> None:
    with pytest.raises(CompileError, match=answer):
        compile(TEXT, backend)(torch.ones(2, 3), *parameters)


def test_plain_numbers_are_parameters(door: str) -> None:
    x = torch.randn(9)
    for a in (2, 2.0, torch.tensor(2.0, dtype=torch.float64).numpy()):
        close(compile(TEXT, "c")(x, a, B), textbook(x, torch.tensor(2.0), B))


def test_a_module_tells_the_wrong_number_of_channels() -> None:
    module = make("a[1.0, channel] * tanh(x)", n_channels=3, backend="c")
    assert module(torch.ones(2, 3, 4)).shape == (2, 3, 4)
    for x in (torch.ones(2, 4), torch.ones(2, 1, 3), torch.ones(3)):
        with pytest.raises(ActivationError, match="channel"):
            module(x)


# --- caches


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and nothing remembered before or after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(c_op, "ready", lambda: None)  # the op is not to be built anew for this cache
    for cache in CACHES:
        cache.cache_clear()
    yield tmp_path / "actsearch" / "kernels"
    for cache in CACHES:
        cache.cache_clear()


def silu_is_right() -> None:
    x = torch.linspace(-3, 3, 50)
    f = compile("x * sigmoid(x)", "c")
    torch.testing.assert_close(f(x), torch.nn.functional.silu(x))
    assert f.kernels is not None
    assert f.kernels.served  # by a kernel, not by the reference


def cut(content: bytes) -> list[bytes]:
    half = len(content) // 2
    return [
        b"",
        content[:10],
        content[:half],
        content[:-1],
        content[:half] + bytes(len(content) - half),
        content + b"x",
    ]


def test_a_half_written_library_is_built_again(kernels: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Loaded as it is, it would end the process (SIGBUS)."""
    silu_is_right()
    (library,) = kernels.glob("*.so")
    whole = library.read_bytes()
    for damaged in cut(whole):
        library.unlink()  # this process has it mapped
        library.write_bytes(damaged)
        c_backend.load.cache_clear()
        assert not build.is_cached(library.stem)
        silu_is_right()
        assert library.read_bytes() != damaged
        assert build.is_whole(library)
    assert not caplog.records


def test_a_batch_of_one_replaces_a_half_written_library(kernels: Path) -> None:
    """Its library has the key of the kernel that is on its way: the builder does not wait for itself."""
    silu_is_right()
    (library,) = kernels.glob("*.so")
    library.unlink()
    library.write_bytes(b"half")
    thread = prefetch(["x * sigmoid(x)"])
    assert thread is not None
    thread.join(60)
    assert not thread.is_alive()
    assert build.is_whole(library)


def test_a_half_written_library_in_a_cache_that_cannot_be_written(
    kernels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    silu_is_right()
    (library,) = kernels.glob("*.so")
    library.unlink()
    library.write_bytes(b"half")
    c_backend.load.cache_clear()
    make_library = build._build

    def refused(place: Path, *rest: Any) -> Path:
        if place == kernels:
            raise PermissionError(13, "Permission denied")
        return make_library(place, *rest)

    monkeypatch.setattr(build, "_build", refused)
    silu_is_right()
    assert library.read_bytes() == b"half"
    assert list(build._private_folder().glob("*.so"))


def test_an_op_that_cannot_be_loaded_is_told_once_and_kernels_run(
    kernels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = tmp_path / "damaged.so"
    damaged.write_text("not a library")
    monkeypatch.setattr(c_op, "cxx_compiler", lambda: ("c++",))
    monkeypatch.setattr(c_op, "library", lambda *_: damaged)
    monkeypatch.setattr(c_op, "ready", c_op.load.__wrapped__)
    with caplog.at_level(logging.WARNING, "actsearch"):
        silu_is_right()
        silu_is_right()
    assert len(caplog.records) == 1
    assert "the op could not be loaded, kernels are called through Python" in caplog.text


def test_a_user_without_a_home(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(build, "Path", SimpleNamespace(home=nobody))
    monkeypatch.setattr(build, "_private_folder", lambda: kernels)
    assert build.cache_folder() == kernels


AS_ANOTHER_USER = """
import os, sys, torch, actsearch
from actsearch.compiler import build, c_backend, c_op
actsearch.compile("x", "reference")(torch.ones(1))
c_op.ready = lambda: None
assert build.c_compiler()
os.environ["XDG_CACHE_HOME"] = sys.argv[1]
os.setgid(65534), os.setuid(65534)  # what root may not enter, nobody may not
print(actsearch.compile("x + sin(x)", "c")(torch.zeros(3)).tolist(), len(list(build._private_folder().glob("*.so"))))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs to become another user")
@pytest.mark.parametrize("mode", [0o700, 0o755], ids=["closed", "read-only"])
def test_a_cache_of_another_user(tmp_path: Path, mode: int) -> None:
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        if folder.owner() == "root" and "pytest" in str(folder):
            folder.chmod(0o755)
    cache = tmp_path / "cache"
    (cache / "actsearch" / "kernels").mkdir(parents=True)
    cache.chmod(mode)
    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER_USER, str(cache)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    values, built = done.stdout.rsplit(" ", 1)
    assert values == "[0.0, 0.0, 0.0]"
    assert int(built) == 1 or "could not be built" in done.stderr  # nobody may not read every compiler


# --- more than 2**31 elements


def available() -> int:
    """Return how many bytes of memory are free."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))


@pytest.mark.slow
def test_more_than_2_31_elements() -> None:
    """One test of both kinds of parameters: as two they could run at once, in twice the memory."""
    rows, width = 2**16 + 1, 2**15
    n = rows * width
    if available() < 3.5 * 2 * n:
        pytest.skip(f"needs {3.5 * 2 * n / 1e9:.0f} GB of free memory")
    for channels in (False, True):
        check_large(rows, width, channels)
        gc.collect()


def check_large(rows: int, width: int, channels: bool) -> None:
    """Zeros but for some numbers at the ends and around 2**31; the gradient is the value, so three tensors suffice."""
    n = rows * width
    places = [0, 1, 2**31 - 1, 2**31, 2**31 + 1, n - 1]
    x = torch.zeros(n, dtype=torch.bfloat16)
    x[places] = 2.0
    x = x.view(rows, width).requires_grad_()
    a = torch.ones(width if channels else (), requires_grad=True)
    y = compile("a[1.0] * x**2 / 2", "c")(x, a)
    g = y.detach()
    assert g.view(-1)[places].tolist() == [2.0] * len(places)
    assert g.view(-1)[[2, 2**31 - 2, 2**31 + 2, n - 2]].tolist() == [0.0] * 4
    slope, slope_a = torch.autograd.grad(y, (x, a), g)
    assert slope.view(-1)[places].tolist() == [4.0] * len(places)  # a * x * g
    assert slope.view(-1)[[2, 2**31 - 2, 2**31 + 2, n - 2]].tolist() == [0.0] * 4
    expected = torch.zeros(width)
    expected.index_add_(0, torch.tensor(places) % width, torch.full((len(places),), 4.0))  # g * x**2 / 2
    assert torch.equal(slope_a, expected if channels else expected.sum())
