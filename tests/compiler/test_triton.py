"""Triton kernels: ``triton_cases.py`` under the interpreter or on a GPU; what a GPU is given; who serves."""

from __future__ import annotations

import copy
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from actsearch.compiler import compile, compiled, triton_backend
from actsearch.compiler.triton_backend import TritonKernels, is_installed, load, printable, source_of
from actsearch.errors import CompileError, MissingExtraError
from actsearch.expr import parse
from actsearch.expr.functions import x as X
from actsearch.expr.primitives import PRIMITIVES
from actsearch.expr.program import lower

needs_triton = pytest.mark.skipif(not is_installed(), reason="needs Triton")
CASES = Path(__file__).with_name("triton_cases.py")
ACCURACY = Path(__file__).with_name("triton_accuracy_cases.py")
TEXT = "x * sigmoid(a[1.3] * x)"


def run_cases(file: Path, marks: str, interpreted: bool) -> None:
    """Run the cases in a process of their own: Triton reads its variable when it is imported."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-W", "ignore::RuntimeWarning", "-m", marks]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(file)],
        env={**os.environ, "TRITON_INTERPRET": "1" if interpreted else "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


@needs_triton
def test_cases_under_the_interpreter() -> None:
    run_cases(CASES, "not slow", interpreted=True)


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("file", [CASES, ACCURACY], ids=lambda file: file.stem)
def test_dear_cases_under_the_interpreter(file: Path) -> None:
    run_cases(file, "slow", interpreted=True)


@pytest.mark.gpu
@pytest.mark.parametrize(("file", "marks"), [(CASES, "not slow"), (CASES, "slow"), (ACCURACY, "slow")])
def test_cases_on_a_gpu(file: Path, marks: str) -> None:
    run_cases(file, marks, interpreted=False)


@pytest.mark.gpu
def test_more_than_2_31_elements() -> None:
    x = torch.zeros(2**31 + 5, dtype=torch.bfloat16, device="cuda")
    x[-3:] = 2.0
    y = compile("x + 1", "triton")(x)
    assert y[-5:].tolist() == [1.0, 1.0, 3.0, 3.0, 3.0]
    assert y[2**31 - 2 : 2**31 + 1].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.gpu
def test_auto_takes_triton_for_cuda_tensors() -> None:
    f = compile("mish")
    assert f.backend in ("auto", "triton")
    f(torch.randn(1000, device="cuda"))
    assert f._triton is not None
    assert f._triton.served


def ptx(text: str, kernel: str, pointers: dict[str, str], numbers: dict[str, object]) -> str:
    """Return what Triton makes of a kernel for a GPU of compute capability 9.0; none is needed for that."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function = getattr(load(source_of(lower(parse(text)), False)), kernel)
    aligned = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(function.arg_names) if name in pointers}
    constants = {name: value for name, value in numbers.items() if name in function.arg_names}
    signature = {name: pointers.get(name, "constexpr") for name in function.arg_names}
    source = ASTSource(function, signature=signature, constexprs=constants, attrs=aligned)
    options = {"num_warps": 4, "enable_fp_fusion": False}
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["ptx"]


def moved(text: str, which: str) -> int:
    """Return how many bytes a thread loads from or stores to the arrays of elements."""
    found = re.findall(rf"{which}\.global(?:\.v(\d))?\.b(\d+)", text)
    return sum(int(vector or 1) * int(bits) // 8 for vector, bits in found)


FLAT = {"channels": 1, "inner": 1, "BLOCK": 1024, "WIDE": False, "FLAT": True, "BESIDE": True, "ROWS": 1024}
FLAT |= {"COLUMNS": 1, "steps": 1, "groups": 1, "p_a_varies": False}


@needs_triton
@pytest.mark.parametrize(("kind", "width"), [("fp32", 4), ("bf16", 2), ("fp16", 2)])
def test_a_gpu_reads_and_writes_each_element_once_in_words_of_16_bytes(kind: str, width: int) -> None:
    arrays = dict.fromkeys(("x_at", "y_at", "g_at", "dx_at"), f"*{kind}") | {"n": "i32", "rows": "i32"}
    value, slopes = (ptx("mish(x)", kernel, arrays, FLAT) for kernel in ("value", "slopes"))
    eight = 8 * width  # a thread has eight elements
    assert (moved(value, "ld"), moved(value, "st")) == (eight, eight)
    assert (moved(slopes, "ld"), moved(slopes, "st")) == (2 * eight, eight)
    assert "global.v4.b32" in value
    more = {"sums_at": "*fp64", "p_a_at": "*fp32"}
    slopes = ptx(TEXT, "slopes", arrays | more, FLAT)
    assert (moved(slopes, "ld"), moved(slopes, "st")) == (2 * eight + 4, eight + 8)  # the parameter, and its sum
    assert "ld.global.v4.b32" in slopes
    assert "atom" not in slopes


@needs_triton
def test_nothing_is_fused_or_flushed_behind_our_back() -> None:
    """Exact arithmetic on words needs plain products and sums; only the fused steps that we ask for are there."""
    arrays = {"x_at": "*fp32", "y_at": "*fp32", "n": "i32"}
    assert "fma" not in ptx("1 + 3*x*x", "value", arrays, FLAT)
    assert "ftz" not in ptx("x * sigmoid(x)", "value", arrays, FLAT)
    assert "approx" not in ptx("sqrt(x*x + 1) * exp(x)", "value", arrays, FLAT)


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("row", [row for row in PRIMITIVES.values() if row.arity == 1], ids=lambda row: row.name)
def test_every_primitive_builds_for_a_gpu(row) -> None:
    arrays = dict.fromkeys(("x_at", "y_at", "g_at", "dx_at"), "*fp32") | {"n": "i32"}
    text = str(row.name) + "(x)"
    assert printable(lower(row.build(X)), False)
    for kernel in ("value", "slopes"):
        assert ".visible .entry" in ptx(text, kernel, arrays, FLAT)


@needs_triton
def test_on_a_cpu_the_reference_serves() -> None:
    f, x = compile(TEXT, "triton"), torch.randn(5)
    assert f.backend == "triton"
    assert torch.equal(f(x), compile(TEXT, "reference")(x))
    for twin in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
        assert twin.backend == "triton"
        assert torch.equal(twin(x), f(x))


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "is_installed", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(MissingExtraError, match=r"pip install 'actsearch\[triton\]'"):
        compile("silu", "triton")
    assert compile("silu").backend in ("c", "reference")


@pytest.mark.parametrize(
    ("compiler", "gpu", "expected"),
    [(True, True, "auto"), (True, False, "c"), (False, True, "triton"), (False, False, "reference")],
)
def test_auto(compiler: bool, gpu: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "c_compiler", lambda: object() if compiler else None)
    monkeypatch.setattr(compiled, "is_installed", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    f = compile("silu")
    assert f.backend == expected
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # on another machine it is looked up again
    assert pickle.loads(pickle.dumps(f)).backend == ("c" if compiler else "reference")


@needs_triton
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("backend", ["c", "triton"])
def test_torch_compile_traces_the_reference_as_one_graph(backend: str) -> None:
    try:
        f = compile(TEXT, backend)
    except CompileError:
        pytest.skip("needs a C compiler")
    x, a = torch.randn(4, 6, requires_grad=True), torch.tensor(1.3, requires_grad=True)
    f(x, a)  # kernels that have been built must not be met by the trace
    traced = torch.compile(lambda *args: f(*args), fullgraph=True, backend="aot_eager")
    results = [torch.autograd.grad(g(x, a).square().sum(), (x, a)) for g in (traced, compile(TEXT, "reference"))]
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@needs_triton
def test_a_damaged_file_is_written_anew_and_a_cache_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(lower(parse("x + sin(x)")), False)
    monkeypatch.setattr(triton_backend, "cache_folder", lambda: tmp_path)
    load.cache_clear()
    load(source)
    (file,) = tmp_path.glob("triton_*.py")
    assert file.read_text() == source
    file.write_text("half of")
    load.cache_clear()
    load(source)
    assert file.read_text() == source
    blocked = tmp_path / "a file"
    blocked.write_text("where the folder should be")
    monkeypatch.setattr(triton_backend, "cache_folder", lambda: blocked)
    load.cache_clear()
    assert load(source).__file__ != str(file)
    load.cache_clear()


@needs_triton
def test_what_fails_is_said_once_and_left_to_the_reference(caplog: pytest.LogCaptureFixture) -> None:
    kernels = TritonKernels(lower(parse("x + sin(x)")), lambda *_: ())
    kernels.fail(RuntimeError("no C compiler\nfor Triton's launcher"))
    kernels.fail(RuntimeError("no C compiler\nfor Triton's launcher"))
    assert caplog.text.count("for Triton's launcher") == 1
    assert kernels(torch.ones(3)) is None
