"""``actsearch bench``: what is compared, what is said, and what is refused. No time is asserted."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from actsearch.cli import main
from actsearch.compiler import build, c_backend, compile
from actsearch.errors import BenchError, CompileError, ExprError
from actsearch.report import native
from actsearch.report.bench import DTYPES, Bench, Row, bench
from actsearch.report.bench_table import WIDTH, duration, print_bench
from actsearch.report.contenders import eager_of
from actsearch.report.timing import inputs, shortest

CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(build.c_compiler() is None, reason="needs a C compiler")


@pytest.fixture
def without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CC", "/nowhere/at-all")
    for cache in (build.c_compiler, build.notice):
        cache.cache_clear()
    yield
    monkeypatch.undo()
    for cache in (build.c_compiler, build.notice):
        cache.cache_clear()
    build.c_compiler()  # tests that count calls of the compiler do not see this one


def quick(spec: str, **settings: object) -> Bench:
    given: dict[str, object] = {"sizes": [50], "seconds": 1e-6, "backend": "reference", **settings}
    return bench(spec, **given)  # type: ignore[arg-type]


# --- torch's own function


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("x / (1 + exp(-x))", "silu"),
        ("x * (1 + erf(x / 2**0.5)) / 2", "gelu"),
        ("gelu_tanh", "gelu(tanh)"),
        ("max(x, 0)", "relu"),
        ("x * tanh(log(1 + exp(x)))", "mish"),
        ("x if x > 0 else exp(x) - 1", "elu"),
        ("x * min(max(x + 3, 0), 6) / 6", "hard_swish"),
        ("sin(x)", "sin"),
        ("x * sigmoid(1.7 * x)", None),
        ("beta[1.0] * x", None),
        ("sinc(x)", None),  # torch's is another function of that name
    ],
)
def test_torchs_own_function_is_found_whatever_the_form(spec: str, name: str | None) -> None:
    found = native.native_of(spec)
    assert (found and found[0]) == name
    if found:
        x = torch.linspace(-4, 4, 101, dtype=torch.float64)
        torch.testing.assert_close(compile(spec, "reference")(x), found[1](x))


def test_every_function_of_torch_that_is_offered_is_the_formulas() -> None:
    from actsearch.expr.primitives import PRIMITIVES

    x = torch.linspace(0.05, 0.95, 40, dtype=torch.float64)
    offered = [(name, function) for name, function in native._by_fingerprint().values() if name in PRIMITIVES]
    assert len(offered) > 20
    for name, function in offered:
        for at in (x, -x, 1 + x):
            torch.testing.assert_close(compile(f"{name}(x)", "reference")(at), function(at), equal_nan=True, msg=name)


# --- inputs and times


def test_inputs_have_the_elements_asked_for_and_parameters_that_learn() -> None:
    f = compile("a[1.5] * x + b[0.5, channel]", "reference")
    for elements in (1, 50, 640):
        data = inputs(f.expr, elements, torch.float32, CPU)
        assert data.x.numel() == data.gradient.numel() == elements
        a, b = data.parameters
        assert (a.item(), b.shape) == (1.5, (math.gcd(elements, 64),))
        gradients = data.both(f)()
        assert [g.shape for g in gradients] == [data.x.shape, a.shape, b.shape]
        torch.testing.assert_close(gradients[0], 1.5 * data.gradient)


def test_a_backward_can_be_done_again_and_a_copy_copies() -> None:
    f = compile("sin(x)", "reference")
    data = inputs(f.expr, 10, torch.float64, CPU)
    backward = data.backward(f)
    for _ in range(2):
        torch.testing.assert_close(backward()[0], data.gradient * data.x.detach().cos())
    assert torch.equal(data.copy()(), data.x)


def test_functions_take_turns() -> None:
    order: list[int] = []
    times = shortest([lambda: order.append(0), lambda: order.append(1)], 1e-9, CPU)
    assert order == [0, 1] * (len(order) // 2)
    assert len(order) >= 16
    assert all(0 < time < math.inf for time in times)


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_operations_compute_the_formula(dtype: str) -> None:
    f = compile("x * sigmoid(a[1.3] * x)", "reference")
    data = inputs(f.expr, 64, DTYPES[dtype], CPU)
    eager = eager_of(f.expr, data)
    assert eager is not None
    assert torch.equal(data.forward(eager)(), data.forward(f)())
    assert eager(data.x, *data.parameters).dtype == DTYPES[dtype]
    assert len(data.saved(eager)) > len(data.saved(f))


# --- what is found


def test_what_is_found_for_a_function_of_torch() -> None:
    found = quick("x*sigmoid(x)", sizes=[100, 50, 100])
    assert [row.elements for row in found.rows] == [50, 100]
    assert (found.native, found.backend, found.reason) == ("silu", "reference", "asked for")
    assert (found.saved_bytes, found.saved_beside) == (400, 0)
    assert found.eager_saved_bytes is not None
    assert found.eager_saved_bytes > 400
    assert found.build_seconds > 0
    for row in found.rows:
        assert row.to_native is not None
        assert row.to_eager is not None
        assert row.to_compiled is None
        assert min(row.seconds, row.to_native, row.to_eager, row.forward_rate, row.backward_rate, row.copy_rate) > 0


def test_what_autograd_cannot_differentiate_and_torch_lacks_is_not_compared() -> None:
    found = quick("1 if x > 0 else 0")
    assert (found.native, found.eager_saved_bytes) == (None, None)
    assert (found.rows[0].to_native, found.rows[0].to_eager) == (None, None)


@needs_compiler
def test_a_kernel_is_built_anew_and_the_cache_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actsearch.compiler.c_op.load", lambda: None)  # a compiler of C++ may be slow
    monkeypatch.setattr("actsearch.compiler.c_op.ready", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = quick("x*sigmoid(x) + a[1.0]", backend="auto")
    assert found.backend == "c"
    assert "no C++ compiler" in found.reason
    assert not list(tmp_path.rglob("*.so"))
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path)
    compile("x*sigmoid(x) + a[1.0]", "c")(torch.ones(3))  # still runs, from the folder that is gone


@needs_compiler
def test_why_the_reference_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not for float16" in quick("silu", backend="auto", dtype="float16").reason
    monkeypatch.setattr(c_backend, "printable", lambda program: False)
    assert "has no form in C" in quick("silu", backend="auto").reason


def test_without_a_compiler(without_a_compiler: None) -> None:
    found = quick("silu", backend="auto")
    assert (found.backend, found.reason) == ("reference", "no C compiler was found (CC, gcc, cc, clang)")


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    assert quick("silu", threads=before + 1).threads == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
def test_torch_compile_is_compared_where_asked_for() -> None:
    found = quick("x * sigmoid(1.7 * x)", torch_compile=True)
    assert found.compile_seconds is not None
    assert found.rows[0].to_compiled is not None


# --- what is refused


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"dtype": "flot32"}, "there is no type 'flot32'; did you mean 'float32'?"),
        ({"device": "gpu"}, "there is no device 'gpu'"),
        ({"device": "meta"}, "only cpu and cuda devices are timed, not 'meta'"),
        ({"device": "cuda:99"}, "there is no device 'cuda:99' here"),
        ({"sizes": []}, "sizes are numbers of elements from 1 to 2.32, not none"),
        ({"sizes": [4096, 0]}, "not 4096, 0"),
        ({"sizes": [2**33]}, "from 1 to 2.32"),
        ({"threads": 0}, "threads go from 1 to 1024, not 0"),
        ({"seconds": 0.0}, "must be positive, not 0"),
        ({"seconds": math.nan}, "must be positive, not nan"),
    ],
)
def test_what_cannot_be_timed_is_refused_in_a_sentence(settings: dict[str, object], answer: str) -> None:
    with pytest.raises(BenchError, match=answer):
        quick("silu", **settings)


def test_what_is_no_activation_is_refused() -> None:
    with pytest.raises(BenchError, match=r"2\.0 is a constant"):
        quick("2.0")
    with pytest.raises(ExprError, match="did you mean 'silu'"):
        quick("sillu")
    with pytest.raises(CompileError, match="there is no backend 'tritn'"):
        quick("silu", backend="tritn")


# --- what is printed

ROW = Row(4_194_304, 0.00368, 1.21, 0.04, None, 20.8e9, 23.3e9, 34.5e9)
FOUND = Bench("x*sigmoid(x)", "float32", "cpu", 2, "c", "", "silu", 0.131, None, 16_777_216, 0, 117_440_512, (ROW,))


def printed(found: Bench) -> str:
    stream = io.StringIO()
    print_bench(found, stream)
    return stream.getvalue()


def test_the_table_in_plain_text() -> None:
    text = printed(FOUND)
    (row,) = [line.split() for line in text.splitlines() if line.lstrip().startswith("4,194,304")]
    assert row == ["4,194,304", "3.68", "ms", "1.21", "0.04", "-", "20.8", "23.3", "34.5"]
    assert all(words in text for words in ("2 threads", "torch's own  silu", "131 ms from a new", "the input, 16.8 MB"))
    assert "\x1b" not in text
    assert all(line == line.rstrip() and len(line) <= WIDTH for line in text.splitlines())


def test_the_widest_table_stays_within_80_columns() -> None:
    row = Row(2**32, 123.4, 1234.56, 1234.56, 1234.56, 12345.6e9, 12345.6e9, 12345.6e9)
    formula = " + ".join(f"sin({n}*x)*sigmoid(beta[{n}.0, channel]*x)" for n in range(9))
    found = Bench(formula, "bfloat16", "A GPU", 1, "c", "because", None, 1.0, 2.5, 2**34, 2, None, (row,))
    text = printed(found)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(words in text for words in ("torch.compile: 2.5", "A GPU, bfloat16", "c: because", "2 tensors of its"))
    assert "1234.56" in text


def test_a_terminal_gets_a_drawn_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actsearch.report.bench_table.is_live", lambda stream: True)
    text = printed(FOUND)
    assert "─" in text
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize(
    ("seconds", "text"), [(9.9951e-4, "1.00 ms"), (0.9991, "999 ms"), (0.9999, "1.00 s"), (123.0, "123 s")]
)
def test_times_have_three_digits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_command_prints_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "x*sigmoid(x)", "--sizes", "10,2^5", "--seconds", "1e-6", "--backend", "reference"]
    assert main(words) == 0
    assert "elements" in capsys.readouterr().out
    assert main([*words, "--json", "--dtype", "bfloat16", "--threads", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["elements"] for row in found["rows"]] == [10, 32]
    assert (found["dtype"], found["threads"], found["formula"]) == ("bfloat16", 1, "x*sigmoid(x)")


@pytest.mark.parametrize(
    ("words", "code", "answer"),
    [
        (["silu", "--sizes", "many"], 2, "--sizes needs whole numbers such as 4096,2^20, not 'many'"),
        (["silu", "--sizes", "10^400"], 2, "--sizes needs whole numbers"),
        (["silu", "--dtype", "flot32"], 1, "did you mean 'float32'?"),
        (["sillu"], 1, "did you mean 'silu'?"),
        ([], 2, "bench needs spec"),
    ],
)
def test_mistakes_on_the_command_line(
    words: list[str], code: int, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *words]) == code
    error = capsys.readouterr().err
    assert answer in error
    assert len(error.strip().splitlines()) == 1
