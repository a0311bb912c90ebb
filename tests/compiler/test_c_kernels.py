"""The C backend beside the reference: shapes, layouts, types, sums, what is saved, and who serves what."""

from __future__ import annotations

import math
import re
import sys
import warnings
from pathlib import Path

import pytest
import torch

from actsearch.compiler import c_backend, c_op, compile, python_op
from actsearch.compiler.build import c_compiler
from actsearch.compiler.compiled import CompiledActivation
from actsearch.compiler.reference import Reference
from actsearch.errors import CompileError
from actsearch.expr import parse
from actsearch.expr.program import lower

pytestmark = pytest.mark.skipif(c_compiler() is None, reason="needs a C compiler")

TEXT = "x * sigmoid(a[1.3] * x) + b[0.7] * tanh(x)"


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often the reference served."""
    calls: list[int] = []
    for name in ("__call__", "backward"):
        method = getattr(Reference, name)
        monkeypatch.setattr(Reference, name, lambda self, *args, m=method: (calls.append(1), m(self, *args))[1])
    return calls


def gradients(f: CompiledActivation, x: torch.Tensor, *parameters: torch.Tensor) -> list[torch.Tensor]:
    leaves = [t.detach().clone(memory_format=torch.preserve_format).requires_grad_() for t in (x, *parameters)]
    y = f(*leaves)
    weights = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).to(y.dtype).view(y.shape)
    return [y.detach(), *torch.autograd.grad((y * weights).sum(), leaves)]


def assert_agree(x: torch.Tensor, *parameters: torch.Tensor, text: str = TEXT) -> None:
    eps = {torch.float64: 1e-13, torch.float32: 2e-5, torch.bfloat16: 2e-2}[x.dtype]
    ours, theirs = (gradients(compile(text, backend), x, *parameters) for backend in ("c", "reference"))
    for a, b in zip(ours, theirs, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        torch.testing.assert_close(a, b, rtol=eps, atol=eps * max(1.0, float(b.abs().max()) if b.numel() else 1.0))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (64,), (1000,), (2, 5, 7, 3)], ids=str)
def test_shapes(shape: tuple[int, ...], dtype: torch.dtype, count: list[int]) -> None:
    x = torch.randn(shape).to(dtype)
    gradients(compile(TEXT, "c"), x, torch.tensor(1.3), torch.tensor(0.7))
    assert not count  # the kernels did it
    assert_agree(x, torch.tensor(1.3), torch.tensor(0.7))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(
    "shape", [(4, 5, 1, 1), (6, 130), (3, 5, 9, 9), (0, 5, 2, 2), (90, 3), (3, 7, 100), (2, 600)], ids=str
)
def test_a_number_a_channel(shape: tuple[int, ...], dtype: torch.dtype, count: list[int]) -> None:
    x = torch.randn(shape).to(dtype)
    a = torch.linspace(0.5, 2, shape[1]).view(-1, *(1,) * (len(shape) - 2))
    gradients(compile(TEXT, "c"), x, a, torch.tensor(0.7))
    assert not count
    assert_agree(x, a, torch.tensor(0.7))
    if len(shape) == 4:
        assert_agree(x.contiguous(memory_format=torch.channels_last), a, torch.tensor(0.7))


def test_strided_and_expanded_input() -> None:
    x = torch.randn(12, 10, dtype=torch.float64)
    p = torch.tensor(1.3, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    f = compile(TEXT, "c")
    for view in (x.t(), x[::2, 1::3], x[:, :1].expand(12, 10), x.t()[3]):
        torch.testing.assert_close(f(view, *p), f(view.contiguous(), *p), rtol=0, atol=0)
        assert_agree(view, *p)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_bits_depend_on_the_value_alone(dtype: torch.dtype) -> None:
    x = torch.randn(1000).to(dtype)
    for text in ("gelu(x)", "log(1 + exp(x))", "x**1.7"):
        f = compile(text, "c")
        whole = f(x)
        for start, stop in ((0, 1), (3, 77), (500, 1000)):
            assert torch.equal(f(x[start:stop]).nan_to_num(), whole[start:stop].nan_to_num())


@pytest.mark.parametrize("shape", [(900, 5), (2, 5, 70), (3, 5, 8, 8)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_bits_depend_on_the_value_and_its_channel_s_parameters_alone(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    x, a = torch.randn(shape).to(dtype), torch.linspace(0.5, 2, 5).view(-1, *(1,) * (len(shape) - 2))
    whole = gradients_of_sum(x, a)
    for part in (
        (slice(1, None),),
        (slice(0, 1),),
        (slice(None), slice(1, 4)),
        (slice(None), slice(2, 4), slice(3, 40)),
    ):
        if len(part) <= len(shape):
            found = gradients_of_sum(x[part], a[part[1]] if len(part) > 1 else a)
            assert all(torch.equal(one, two[part]) for one, two in zip(found, whole, strict=True))


def gradients_of_sum(x: torch.Tensor, a: torch.Tensor) -> list[torch.Tensor]:
    x = x.detach().clone().requires_grad_()
    y = compile(TEXT, "c")(x, a, torch.tensor(0.7))
    return [y.detach(), torch.autograd.grad(y.sum(), x)[0]]


def test_what_is_not_finite_stays_in_its_channel() -> None:
    """Lanes of one strip belong to several channels, and the last strip is filled up with copies of its first."""
    x = torch.randn(7, 3)
    x[3:, 0] = math.nan
    slope = gradients_of_ones(x, torch.full((3,), 2.0))[-1]
    assert slope.isnan().tolist() == [True, False, False]
    torch.testing.assert_close(slope[1:], x.sum(0)[1:])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the op has one thread")
@pytest.mark.slow
def test_the_op_has_threads() -> None:
    op = c_op.load()
    if op is None:
        pytest.skip("needs a C++ compiler")
    assert op.__file__ is not None
    code = Path(op.__file__).read_bytes()
    assert b"GOMP_parallel" in code or b"__kmpc_fork_call" in code  # GCC's call of threads, or Clang's


@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_gradients_do_not_depend_on_the_number_of_threads(dtype: torch.dtype, channels: bool) -> None:
    x = torch.randn(130, 3, 37, 21).to(dtype)  # 300,000 elements
    a = torch.full((3, 1, 1), 1.3) if channels else torch.tensor(1.3)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(gradients(compile(TEXT, "c"), x, a, torch.tensor(0.7)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(*results, strict=True))


@pytest.mark.parametrize("shape", [(100_003,), (200, 7, 61)], ids=str)
def test_parameter_gradients_are_summed_as_fsum(shape: tuple[int, ...]) -> None:
    """Ones, then numbers that a plain float64 sum loses one by one."""
    x = torch.full(shape, 2.0**-53, dtype=torch.float64)
    x.view(-1)[:64] = 1.0
    a = torch.tensor(2.0, dtype=torch.float64) if len(shape) == 1 else torch.full((7, 1), 2.0, dtype=torch.float64)
    slope = gradients_of_ones(x, a)[-1]
    for channel, found in enumerate(slope.flatten().tolist()):
        exact = math.fsum((x if len(shape) == 1 else x[:, channel]).flatten().tolist())
        assert abs(found - exact) <= 3 * 2**-53 * exact


@pytest.mark.parametrize("shape", [(100_003,), (300, 7, 61)], ids=str)
def test_parameter_gradients_of_float32_are_summed_to_the_rounding_of_their_terms(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape) * torch.linspace(-8, 8, shape[-1]).exp2()
    a = torch.tensor(2.0) if len(shape) == 1 else torch.full((7, 1), 2.0)
    found = gradients_of_ones(x, a)[-1].double()
    dims = (0,) if len(shape) == 1 else (0, 2)
    exact, terms = (t.double().sum(dims).view_as(found) for t in (x, x.abs()))
    assert torch.all((found - exact).abs() <= 2.0**-23 * terms)


def test_a_choice_that_hangs_on_a_parameter() -> None:
    """Such conditions are computed before the loop."""
    text = "x * sign(a[-0.5]) + min(a[-0.5], 0) * (x if a[-0.5] < 0 else x**2) + abs(b[0.3]) * x"
    for a, b in ((-0.5, 0.3), (0.5, -0.3)):
        assert_agree(torch.randn(200), torch.tensor(a), torch.tensor(b), text=text)


def gradients_of_ones(x: torch.Tensor, a: torch.Tensor) -> list[torch.Tensor]:
    x, a = x.clone().requires_grad_(), a.clone().requires_grad_()
    y = compile("a[2.0] * x", "c")(x, a)
    return [y, *torch.autograd.grad(y, (x, a), torch.ones_like(y))]


@pytest.mark.parametrize("text", ["silu", "gelu", "log(x)", "x**1.5", "relu", "mish", "max(x, -x)", "elu", "1/x"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_nan_and_infinity_as_in_the_reference(text: str, dtype: torch.dtype) -> None:
    x = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e4, -1e4]).to(dtype)
    for a, b in zip(*(gradients(compile(text, backend), x) for backend in ("c", "reference")), strict=True):
        assert torch.equal(a.isnan(), b.isnan())
        assert torch.equal(a.isinf(), b.isinf())
        assert torch.equal(a.isinf() & (a > 0), b.isinf() & (b > 0))


def test_only_the_input_and_the_parameters_are_saved() -> None:
    saved: list[torch.Tensor] = []
    x = torch.randn(50, 4, requires_grad=True)
    a, b = (torch.tensor(v, requires_grad=True) for v in (1.3, 0.7))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (saved.append(t), t)[1], lambda t: t):
        compile(TEXT, "c")(x, a, b)
    assert [t.data_ptr() for t in saved] == [t.data_ptr() for t in (x, a, b)]


def test_second_derivatives_are_the_reference_s() -> None:
    x = torch.randn(40, dtype=torch.float64)
    a, b = torch.tensor(1.3, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    results = []
    for backend in ("c", "reference"):
        leaves = [t.clone().requires_grad_() for t in (x, a, b)]
        first = torch.autograd.grad(compile(TEXT, backend)(*leaves).sum(), leaves, create_graph=True)
        results.append(torch.autograd.grad(sum(g.square().sum() for g in first), leaves))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    x.requires_grad_()
    assert torch.autograd.gradgradcheck(compile(TEXT, "c"), (x, a.requires_grad_(), b.requires_grad_()))


@pytest.mark.parametrize("shape", [(4, 3), (70, 30), (5, 2, 3, 3)], ids=str)
def test_parameters_of_every_element(shape: tuple[int, ...], count: list[int]) -> None:
    """As those of a rational with noise; an element is a channel of its own."""
    x = torch.randn(shape)
    x = x.to(memory_format=torch.channels_last) if x.dim() == 4 else x
    a, b = 1 + torch.rand(shape), torch.tensor(0.7)
    gradients(compile(TEXT, "c"), x, a, b)
    assert not count  # the kernels did it
    assert_agree(x, a, b)


def test_what_kernels_do_not_serve_is_the_reference_s(count: list[int]) -> None:
    f, plain = compile(TEXT, "c"), compile(TEXT, "reference")
    a, b = torch.tensor(1.3), torch.tensor(0.7)
    x = torch.randn(4, 3)
    cases = [
        (x.half(), a, b),
        (x, torch.full((4, 3), 1.3), torch.full((3,), 0.7)),
        (x, torch.full((4, 1), 1.3), torch.full((3,), 0.7)),
        (x.to("meta"), a.to("meta"), b.to("meta")),
    ]
    for case in cases:
        y = f(*case)
        assert len(count) == 1
        if y.device.type != "meta":
            assert torch.equal(y, plain(*case))
        assert y.shape == x.shape
        count.clear()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, when jvp is first used
def test_transforms_are_the_reference_s_and_right(count: list[int]) -> None:
    f = compile("x * sigmoid(1.3 * x)", "c")
    x = torch.randn(6, 5, dtype=torch.float64)
    s = torch.sigmoid(1.3 * x)
    slope = s + 1.3 * x * s * (1 - s)
    torch.testing.assert_close(torch.func.vmap(f)(x), x * s)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(lambda row: f(row).sum()))(x), slope)
    torch.testing.assert_close(torch.func.jvp(f, (x,), (torch.full_like(x, 2.0),))[1], 2 * slope)
    with torch.autograd.forward_ad.dual_level():
        dual = f(torch.autograd.forward_ad.make_dual(x, torch.ones_like(x)))
        torch.testing.assert_close(torch.autograd.forward_ad.unpack_dual(dual).tangent, slope)
    assert count


def test_export_is_portable() -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.f = compile("x * sigmoid(1.3 * x)", "c")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.f(x)

    x = torch.randn(6, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(Net(), (x,))
    assert all("aten" in str(n.target) for n in program.graph.nodes if n.op == "call_function")
    torch.testing.assert_close(program.module()(x), x * torch.sigmoid(1.3 * x))


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64], ids=str)
def test_integer_and_complex_input_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(CompileError, match="floating-point tensor"):
        compile("silu", "c")(torch.ones(3, dtype=dtype))


def test_lengths_are_64_bits_everywhere() -> None:
    """Indices beyond 2**31: the loops count in int64_t, and a length of 2**32 + 3 is not taken for 3."""
    loops = c_backend.load(lower(parse("x + 1")), "float32")
    assert loops is not None
    _, source = c_backend.source_of(lower(parse("a[1.0] * x")), "float32")
    assert "for (int64_t at = 0; at < n;" in source
    _, channels = c_backend.source_of(lower(parse("a[1.0] * x")), "float32", channels=True)
    assert "for (int64_t at = first; at < n;" in channels
    ints = re.findall(r"for \(int \w+ = 0; (.*?);", source + channels)
    assert set(ints) <= {"l < LANES", "l < SUMS", "l < m", "j < 1"}
    assert "int64_t n)" in source


@pytest.mark.slow
def test_more_than_2_31_elements() -> None:
    n = 2**31 + 5
    try:
        x = torch.zeros(n, dtype=torch.bfloat16)  # 4 GB, and as much for the result
        x[-3:] = 2.0
        y = compile("x + 1", "c")(x)
    except (RuntimeError, MemoryError):
        pytest.skip("not enough memory")
    assert y[-5:].tolist() == [1.0, 1.0, 3.0, 3.0, 3.0]
    assert y[2**31 - 2 : 2**31 + 1].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_python_op_gives_the_bits_of_the_cpp_op(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    if c_op.load() is None:
        pytest.skip("needs a C++ compiler")
    monkeypatch.setattr(c_op, "ready", c_op.load)
    f = compile(TEXT, "c")
    x = torch.randn(9, 5, 40, 33).to(dtype)
    channel = torch.linspace(0.5, 2, 5).view(5, 1, 1)

    def slower(x: torch.Tensor, *p: torch.Tensor) -> torch.Tensor:
        dim = python_op.channel_dim(x, p)
        assert dim is not None
        loops = c_backend.load(lower(f.expr), c_backend.NAMES[dtype], dim >= 0)
        assert loops is not None
        assert f.kernels is not None
        return python_op.run(loops, f.kernels.second, dim, x, p)

    for shape in (x, x[0, 0], x.contiguous(memory_format=torch.channels_last), x[::2], x[:0]):
        for a in (torch.tensor(1.3), channel) if shape.dim() == 4 else (torch.tensor(1.3),):
            ours = gradients(f, shape, a, torch.tensor(0.7))
            theirs = gradients(
                slower,  # type: ignore[arg-type]
                shape,
                a,
                torch.tensor(0.7),
            )
            assert all(torch.equal(one, two) for one, two in zip(ours, theirs, strict=True))
