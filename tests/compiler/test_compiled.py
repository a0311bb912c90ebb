"""What compile returns: shapes, types, devices, copies, errors, and source that one can read."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from actsearch.compiler import compile
from actsearch.compiler.torch_source import function_source
from actsearch.errors import CompileError, ExprError
from actsearch.expr import Parameter, parse
from actsearch.expr.program import lower

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("spec", ["silu", "x", "2.5", "beta[0.5]", "beta[0.5] * x"])
def test_shape_and_dtype_are_kept_by_value_and_gradient(spec: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    f = compile(spec, backend="reference")
    x = torch.ones(shape, dtype=dtype, requires_grad=True)
    y = f(x)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert (slope.shape, slope.dtype) == (x.shape, dtype)


def test_non_contiguous_and_meta_tensors() -> None:
    f = compile("exp(-0.3*x**2)", backend="reference")
    x = torch.randn(6, 4)
    torch.testing.assert_close(f(x.t()), f(x).t())
    torch.testing.assert_close(f(x[::2, 1:]), f(x)[::2, 1:])
    torch.testing.assert_close(f(x[:, :1].expand(6, 4)), f(x[:, :1]).expand(6, 4))
    assert f(torch.empty(5, 2, device="meta", dtype=torch.bfloat16)).shape == (5, 2)


def test_the_result_never_shares_memory_with_the_input() -> None:
    x = torch.ones(3)
    compile("x", backend="reference")(x).add_(1)
    assert x.tolist() == [1.0, 1.0, 1.0]


def test_parameter_gradients_have_the_shape_and_dtype_of_the_parameter() -> None:
    f = compile("a[1.0] * x + b[2.0] * sin(x)", backend="reference")
    x = torch.randn(5, 3, 2)
    a = torch.randn(3, 1, requires_grad=True)
    b = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    f(x, a, b).sum().backward()
    assert a.grad is not None
    assert b.grad is not None
    torch.testing.assert_close(a.grad, x.sum((0, 2))[:, None])
    assert b.grad.dtype == torch.float64
    assert b.grad.item() == pytest.approx(x.sin().sum().item(), rel=1e-5)


def test_starts_serve_when_no_parameter_is_given() -> None:
    f = compile("x * sigmoid(beta[1.702] * x)", backend="reference")
    x = torch.randn(5, dtype=torch.float64)
    torch.testing.assert_close(f(x), f(x, torch.tensor(1.702, dtype=torch.float64)), rtol=0, atol=0)


@pytest.mark.parametrize("spec", ["mish", "x * sigmoid(beta[1.5] * x)", "erfc(x) * exp(x**2)"])
def test_pickle_and_deepcopy_compute_the_same(spec: str) -> None:
    f = compile(spec, backend="reference")
    x = torch.randn(50)
    for twin in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f), copy.copy(f)):
        assert torch.equal(twin(x), f(x))
        assert (twin.expr, twin.parameters, twin.source) == (f.expr, f.parameters, f.source)


def test_source_is_readable_and_shares_subexpressions() -> None:
    f = compile("tanh(x)**2 + exp(x) * tanh(x)", backend="reference")
    assert f.source.count("torch.tanh(x)") == 2  # once in value, once in gradient
    assert "def value(x):" in f.source
    assert function_source("value", lower(parse("x / (1 + exp(-x))"))).splitlines()[-1] == "    return mul_4"


@pytest.mark.parametrize("name", ["torch", "math", "head", "sin_1", "value"])
def test_a_parameter_may_bear_any_name(name: str) -> None:
    f = compile(Parameter(name, 2.0) * parse("sin(x) + exp(-0.3*x**2)"), backend="reference")
    x = torch.randn(5, dtype=torch.float64)
    expected = 2 * (torch.sin(x) + torch.exp(-0.3 * x**2))
    torch.testing.assert_close(f(x), expected)
    torch.testing.assert_close(f(x, torch.tensor(2.0, dtype=torch.float64)), expected)


@pytest.mark.parametrize("x", [torch.ones(3, dtype=torch.int64), torch.ones(3, dtype=torch.complex64), 1.0, None])
def test_what_is_not_a_floating_point_tensor_is_refused(x: object) -> None:
    with pytest.raises(CompileError, match="takes a floating-point tensor, not"):
        compile("silu", backend="reference")(x)  # type: ignore[arg-type]


def test_wrong_parameters_are_refused() -> None:
    f = compile("a[1.0] * x + b[2.0]", backend="reference")
    with pytest.raises(CompileError, match=r"1 parameters given, 2 needed \(a, b\)"):
        f(torch.ones(3), torch.tensor(1.0))
    with pytest.raises(CompileError, match=r"'b' of shape \(4,\) does not broadcast"):
        f(torch.ones(3), torch.tensor(1.0), torch.ones(4))
    with pytest.raises(CompileError, match=r"'a' is a tensor of torch\.int64"):
        f(torch.ones(3), torch.tensor(1), torch.tensor(1.0))


def test_unknown_specs_and_backends_are_refused() -> None:
    with pytest.raises(CompileError, match="did you mean 'reference'"):
        compile("silu", backend="refrence")
    with pytest.raises(ExprError, match="silu"):
        compile("sillu")
