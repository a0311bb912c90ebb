"""The reference under autograd and torch.func: every nesting of grad, jvp and vmap gives the derivative it should."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import func
from torch.autograd import forward_ad

from actsearch.compiler import CompiledActivation, compile
from actsearch.expr.program import derivative, evaluate

# torch.func itself imports what torch 2.13 deprecates
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")

Function = Callable[[torch.Tensor], torch.Tensor]
SPEC = "gelu(beta[1.3] * x) + sin(x) * gamma[0.7, channel]"


@pytest.fixture(scope="module")
def activation() -> CompiledActivation:
    return compile(SPEC, backend="reference")


def _expected(activation: CompiledActivation, x: torch.Tensor, *orders: int) -> np.ndarray:
    return evaluate(derivative(activation.expr, orders), x.numpy())


def _jvp(f: Function) -> Function:
    return lambda x: func.jvp(f, (x,), (torch.ones_like(x),))[1]


def _grad(f: Function) -> Function:
    return lambda x: func.grad(lambda y: f(y).sum())(x)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_every_nesting_of_grad_and_jvp_with_vmap_anywhere(activation: CompiledActivation, n: int) -> None:
    x = torch.tensor([0.7, -2.0], dtype=torch.float64)
    expected = _expected(activation, x, n)
    for nesting in itertools.product((_jvp, _grad), repeat=n):
        for batched_at in range(n + 1):
            f: Function = activation
            for place, transform in enumerate(nesting):
                f = transform(func.vmap(f) if place == batched_at else f)
            assert f(x).numpy() == pytest.approx(expected, rel=1e-12), (nesting, batched_at)


def test_hessians_in_x_and_in_a_parameter(activation: CompiledActivation) -> None:
    x = torch.tensor([0.7, -2.0, 0.0], dtype=torch.float64)
    gamma, beta = torch.tensor(0.7, dtype=torch.float64), torch.tensor(1.3, dtype=torch.float64)
    second = _expected(activation, x, 2)
    hessian = func.hessian(lambda z: activation(z, beta, gamma).sum())(x)
    assert hessian.numpy() == pytest.approx(np.diag(second), rel=1e-12)
    assert func.hessian(lambda b: activation(x, b, gamma).sum())(beta).item() == pytest.approx(
        _expected(activation, x, 0, 2).sum(), rel=1e-12
    )
    forward_twice = func.jacfwd(func.jacfwd(lambda z: activation(z, beta, gamma).sum()))(x)
    assert forward_twice.numpy() == pytest.approx(np.diag(second), rel=1e-12)


@pytest.mark.parametrize("in_dims", list(itertools.product((None, 0, 1), (None, 0), (None, 0))))
def test_vmap_broadcasts_parameters_as_without_it(
    activation: CompiledActivation, in_dims: tuple[int | None, ...]
) -> None:
    if in_dims == (None, None, None):
        return
    x = torch.randn(4, 4, 3, dtype=torch.float64)
    beta, gamma = torch.rand(4, dtype=torch.float64), torch.rand(4, 3, dtype=torch.float64)
    args = (
        x if in_dims[0] is not None else x[0],
        beta if in_dims[1] == 0 else beta[0],
        gamma if in_dims[2] == 0 else gamma[0],
    )

    def slopes(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return func.grad(lambda *v: activation(*v).sum(), argnums=(0, 1, 2))(*values)

    def pick(i: int) -> list[torch.Tensor]:
        return [arg if dim is None else arg.select(dim, i) for arg, dim in zip(args, in_dims, strict=True)]

    values = func.vmap(activation, in_dims)(*args)
    gradients = func.vmap(slopes, in_dims)(*args)
    for i in range(4):
        torch.testing.assert_close(values[i], activation(*pick(i)))
        for batched, single in zip(gradients, slopes(*pick(i)), strict=True):
            torch.testing.assert_close(batched[i], single)


def test_autograd_passes_torchs_own_checks(activation: CompiledActivation) -> None:
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    beta = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    gamma = torch.tensor([0.7, -0.2], dtype=torch.float64, requires_grad=True)
    inputs = (x, beta, gamma)
    assert torch.autograd.gradcheck(
        activation, inputs, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )
    assert torch.autograd.gradgradcheck(activation, inputs, check_fwd_over_rev=True)


def test_forward_mode_and_reverse_over_it(activation: CompiledActivation) -> None:
    x = torch.tensor([0.7, -2.0], dtype=torch.float64, requires_grad=True)
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        tangent = forward_ad.unpack_dual(activation(dual)).tangent
        (second,) = torch.autograd.grad(tangent.sum(), x)
    assert tangent.detach().numpy() == pytest.approx(_expected(activation, x.detach(), 1), rel=1e-12)
    assert second.numpy() == pytest.approx(_expected(activation, x.detach(), 2), rel=1e-12)


def test_derivatives_of_fourth_order() -> None:
    f = compile("silu", backend="reference")
    value = x = torch.tensor([-3.0, 0.0, 0.5, 20.0], dtype=torch.float64, requires_grad=True)
    value = f(x)
    for order in range(1, 5):
        (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        assert value.detach().numpy() == pytest.approx(_expected(f, x.detach(), order), rel=1e-12)


def test_only_the_arguments_are_saved_for_backward(activation: CompiledActivation) -> None:
    saved: list[torch.Size] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor.shape)
        return tensor

    x = torch.randn(5, 2, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        activation(x, torch.tensor(1.0, requires_grad=True), torch.ones(2, requires_grad=True))
    assert saved == [torch.Size([5, 2]), torch.Size([]), torch.Size([2])]
