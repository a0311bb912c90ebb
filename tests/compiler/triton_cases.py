"""What Triton kernels must do, wherever they run: ``test_triton.py`` runs this file in a process of its own.

There either ``TRITON_INTERPRET=1`` is set before anything imports Triton, and tensors are on the CPU, or a GPU is used.
"""

from __future__ import annotations

import copy
import math
import os
import pickle

import pytest
import torch
from accuracy import error, type_of
from truth import true_value

from actsearch.compiler import compile, triton_run
from actsearch.compiler.compiled import CompiledActivation
from actsearch.compiler.reference import Reference
from actsearch.expr import parse
from actsearch.expr.functions import x as X
from actsearch.nn.make import make

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
TEXT = "x * sigmoid(a[1.3] * x) + b[0.7] * tanh(x)"
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
EPS = {torch.float64: 1e-13, torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 4e-3}


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often the reference served."""
    calls: list[int] = []
    for name in ("__call__", "backward"):
        method = getattr(Reference, name)
        monkeypatch.setattr(Reference, name, lambda self, *args, m=method: (calls.append(1), m(self, *args))[1])
    return calls


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3)).to(DEVICE)


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, device=DEVICE)


def gradients(f: CompiledActivation, x: torch.Tensor, *parameters: torch.Tensor) -> list[torch.Tensor]:
    leaves = [t.detach().clone(memory_format=torch.preserve_format).requires_grad_() for t in (x, *parameters)]
    y = f(*leaves)
    weights = torch.linspace(-1, 2, y.numel(), dtype=torch.float64, device=DEVICE).to(y.dtype).view(y.shape)
    return [y.detach(), *torch.autograd.grad((y * weights).sum(), leaves)]


def assert_agree(x: torch.Tensor, *parameters: torch.Tensor, text: str = TEXT) -> list[torch.Tensor]:
    eps = EPS[x.dtype]
    ours, theirs = (gradients(compile(text, backend), x, *parameters) for backend in ("triton", "reference"))
    for a, b in zip(ours, theirs, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        torch.testing.assert_close(a, b, rtol=eps, atol=eps * max(1.0, float(b.abs().max()) if b.numel() else 1.0))
    return ours


SHAPES = [(), (0,), (3, 0, 2), (1,), (2, 5, 7, 3)]


@pytest.mark.parametrize(("shape", "dtype"), [*((s, DTYPES[0]) for s in SHAPES), *(((1500,), t) for t in DTYPES)])
def test_shapes(shape: tuple[int, ...], dtype: torch.dtype, count: list[int]) -> None:
    x = normal(*shape).to(dtype)
    gradients(compile(TEXT, "triton"), x, number(1.3), number(0.7))
    gradients(compile("mish", "triton"), x)
    assert not count  # the kernels did it
    assert_agree(x, number(1.3), number(0.7))
    assert_agree(x, text="mish")


CHANNELS = [((4, 5, 1, 1), torch.float32), ((6, 130), torch.float32), ((2, 5, 6, 6), torch.bfloat16)]
CHANNELS += [((0, 5, 2, 2), torch.float32), ((40, 3, 2), torch.float16)]


@pytest.mark.parametrize(("shape", "dtype"), CHANNELS, ids=str)
def test_a_number_a_channel(shape: tuple[int, ...], dtype: torch.dtype, count: list[int]) -> None:
    x = normal(*shape).to(dtype)
    a = torch.linspace(0.5, 2, shape[1], device=DEVICE).view(-1, *(1,) * (len(shape) - 2))
    gradients(compile(TEXT, "triton"), x, a, number(0.7))
    assert not count
    assert_agree(x, a, number(0.7))
    assert_agree(x, a, a.to(dtype) / 2)
    if len(shape) == 4:
        assert_agree(x.contiguous(memory_format=torch.channels_last), a, number(0.7))
        assert_agree(x.transpose(2, 3), a, number(0.7))


def test_strided_and_expanded_input() -> None:
    x = normal(12, 10)
    f = compile(TEXT, "triton")
    for view in (x.t(), x[::2, 1::3], x[:, :1].expand(12, 10), x.t()[3]):
        assert torch.equal(f(view, number(1.3), number(0.7)), f(view.contiguous(), number(1.3), number(0.7)))
        assert_agree(view, number(1.3), number(0.7))


@pytest.mark.parametrize("shape", [(3000,), (50, 4, 9)], ids=str)
def test_many_blocks_a_program_and_wide_positions(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """What only huge tensors need, on small ones: several blocks a program, and positions in 64 bits."""
    x, a = normal(*shape), number(1.3) if len(shape) == 1 else torch.linspace(0.5, 2, 4, device=DEVICE).view(4, 1)
    plain = gradients(compile(TEXT, "triton"), x, a, number(0.7))
    monkeypatch.setattr(triton_run, "_WIDE", 0)
    wide = gradients(compile(TEXT, "triton"), x, a, number(0.7))
    assert all(torch.equal(one, two) for one, two in zip(plain, wide, strict=True))
    monkeypatch.setattr(triton_run, "_GROUPS", 1)
    assert_agree(x, a, number(0.7))


@pytest.mark.parametrize("shape", [(3000,), (40, 3, 37)], ids=str)
def test_parameter_gradients_are_sums_in_float64_and_always_the_same(shape: tuple[int, ...]) -> None:
    x = normal(*shape) * 2.0 ** torch.linspace(0, 30, math.prod(shape), device=DEVICE).view(shape)
    a = number(1.3) if len(shape) == 1 else torch.full((3, 1), 1.3, device=DEVICE)
    results = []
    for _ in range(3):
        leaf = a.clone().requires_grad_()
        results.append(torch.autograd.grad(compile("a[1.3] * x", "triton")(x, leaf).sum(), leaf)[0])
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])
    for channel, found in enumerate(results[0].flatten().tolist()):
        terms = (x if len(shape) == 1 else x[:, channel]).flatten().tolist()
        assert found == pytest.approx(math.fsum(terms), rel=2**-23)


@pytest.mark.parametrize("text", ["silu", "gelu", "log(x)", "x**1.5", "mish", "max(x, -x)", "elu", "1/x", "tan(x)"])
@pytest.mark.parametrize("dtype", [DTYPES[0], *(pytest.param(t, marks=pytest.mark.slow) for t in DTYPES[1:])], ids=str)
def test_nan_and_infinity_as_in_the_reference(text: str, dtype: torch.dtype) -> None:
    x = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e4, -1e4], device=DEVICE).to(dtype)
    for a, b in zip(*(gradients(compile(text, backend), x) for backend in ("triton", "reference")), strict=True):
        assert torch.equal(a.isnan(), b.isnan())
        assert torch.equal(a.isinf(), b.isinf())
        assert torch.equal(a.isinf() & (a > 0), b.isinf() & (b > 0))


@pytest.mark.parametrize("text", ["2.5", "beta[0.5]", "x", "beta[0.5] + x", "x if beta[0.5] > x else -x"])
def test_what_hardly_depends_on_the_input(text: str) -> None:
    assert_agree(normal(7, 3), *(number(p.start) for p in compile(text).parameters), text=text)


def test_numbers_and_single_cpu_tensors_are_parameters_too() -> None:
    f, x = compile("a[1.3] * x", "triton"), normal(5)
    assert torch.equal(f(x, 2.0), 2 * x)
    assert torch.equal(f(x, torch.tensor(2.0)), 2 * x)
    assert torch.equal(f(x), number(1.3) * x)


def test_only_the_input_and_the_parameters_are_saved() -> None:
    saved: list[torch.Tensor] = []
    leaves = [t.requires_grad_() for t in (normal(50, 4), number(1.3), number(0.7))]
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (saved.append(t), t)[1], lambda t: t):
        compile(TEXT, "triton")(*leaves)
    assert [t.data_ptr() for t in saved] == [t.data_ptr() for t in leaves]


def test_second_derivatives_and_batches_of_gradients_are_the_reference_s() -> None:
    leaves = [t.double().requires_grad_() for t in (normal(3), number(1.3), number(0.7))]
    f = compile(TEXT, "triton")
    assert torch.autograd.gradcheck(f, leaves)
    assert torch.autograd.gradgradcheck(f, leaves)
    y, weights = f(*leaves), torch.eye(3, dtype=torch.float64, device=DEVICE)
    (rows,) = torch.autograd.grad(y, leaves[:1], weights, is_grads_batched=True)
    torch.testing.assert_close(rows.diagonal(), torch.autograd.grad(f(*leaves).sum(), leaves[0])[0])


def test_what_kernels_do_not_serve_is_the_reference_s(count: list[int]) -> None:
    x = normal(4, 3)
    full, column, row = (torch.full(shape, 1.3, device=DEVICE) for shape in ((4, 3), (4, 1), (3,)))
    for text, case in (
        (TEXT, (x, full, number(0.7))),
        (TEXT, (x, column, row)),
        ("abs(x)**a[1.3]", (x.double(), number(1.3))),
    ):
        y = compile(text, "triton")(*case)
        assert len(count) == 1
        assert torch.equal(y, compile(text, "reference")(*case))
        count.clear()


def test_transforms_are_the_reference_s_and_right(count: list[int]) -> None:
    f, x = compile("x * sigmoid(1.3 * x)", "triton"), normal(6, 5)
    torch.testing.assert_close(torch.func.vmap(f)(x), x * torch.sigmoid(1.3 * x))
    assert count


def test_copies_compute_the_same(count: list[int]) -> None:
    f, x = compile(TEXT, "triton"), normal(50)
    y = f(x)
    for twin in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
        assert torch.equal(twin(x), y)
        assert twin.backend == "triton"
    assert not count


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swish", "gelu", "mish", "prelu"])
def test_conformance(name: str) -> None:
    from actsearch import testing  # it takes seconds to load

    testing.check_activation(lambda: make(name, backend="triton"), device=DEVICE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("text", ["gelu(x)", "mish(x)", "erfc(x)", "tan(x)", "x**1.7"])
def test_values_and_slopes_are_within_16_ulp(text: str, dtype: torch.dtype) -> None:
    expr = parse(text)
    points = torch.tensor([1.2345e-5, 0.45678, -0.45678, 3.3333333, -4.1234567, 95.4321], dtype=dtype)
    for order, values in enumerate(gradients_of_ones(compile(expr, "triton"), points.to(DEVICE))):
        for point, y in zip(points.tolist(), values.tolist(), strict=True):
            t = true_value(expr, order, point, {}, X)
            assert math.isnan(y) if t is None else error(y, t, type_of(dtype)) <= 16, f"order {order} at {point!r}"


def gradients_of_ones(f: CompiledActivation, x: torch.Tensor) -> list[torch.Tensor]:
    leaf = x.clone().requires_grad_()
    y = f(leaf)
    return [y.detach(), torch.autograd.grad(y.sum(), leaf)[0]]
