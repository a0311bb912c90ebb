"""Kernels called with addresses of slices give the bits that each activation gives by itself."""

from __future__ import annotations

import pytest
import torch

from actsearch.compiler.build import c_compiler
from actsearch.compiler.c_source import BLOCK
from actsearch.nn.make import make
from actsearch.tasks._population_kernels import Kernels
from actsearch.tasks._population_slots import Index, Slots

pytestmark = pytest.mark.skipif(c_compiler() is None, reason="no C compiler")

LAYER = "a[0.7] * x * sigmoid(beta[1.0] * x)"
CHANNEL = "a[0.7, channel] * x * sigmoid(beta[1.0, channel] * x)"
SERVED = ("gelu", LAYER, CHANNEL, "relu")
NOT_SERVED = (
    "x * sigmoid(beta[1.0, positive] * x)",
    "a[1.0] * tanh(beta[1.0, channel] * x)",
    "prelu(granularity=group, n_groups=2)",
)


def members(*specs: str | None, n_channels: int, dtype: torch.dtype = torch.float32):
    made = [None if spec is None else make(spec, n_channels=None if "group" in spec else n_channels) for spec in specs]
    return {k: part if part is None else part.to(dtype) for k, part in enumerate(made)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(100, 64), (3, 5, 7), (BLOCK + 3, 2), (1, 4), (0, 4)])
def test_values_and_gradients_are_those_of_single_activations(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    parts = members(*SERVED, None, n_channels=shape[1], dtype=dtype)
    x = 3 * torch.randn(5, *shape, dtype=dtype)
    gradient = torch.randn_like(x)
    kernels = Kernels(parts, x)
    assert kernels.served == {0, 1, 2, 3}
    y, result = torch.zeros_like(x), torch.zeros_like(x)
    kernels.value(x, y)
    found = kernels.slopes(x, gradient, result)
    assert len(found) == len(kernels.parameters) == 4
    for k, part in parts.items():
        if part is None:
            assert not y[k].any()
            continue
        alone = x[k].clone().requires_grad_()
        value = part(alone)
        assert torch.equal(y[k], value)
        own = list(part.parameters())
        slope, *sums = torch.autograd.grad(value, [alone, *own], gradient[k])
        assert torch.equal(result[k], slope)
        for parameter, total in zip(own, sums, strict=True):
            number = next(i for i, p in enumerate(kernels.parameters) if p is parameter)
            assert torch.equal(found[number], total)


def test_what_has_no_kernel_runs_beside_those_that_have() -> None:
    parts = members(*SERVED, *NOT_SERVED, None, n_channels=4)
    x = torch.randn(len(parts), 6, 4, requires_grad=True)
    assert Kernels(parts, x.detach()).served == {0, 1, 2, 3}
    index = Index()
    slots = Slots(list(parts.values()), index)

    def one(x: torch.Tensor, member: torch.Tensor) -> torch.Tensor:
        index.member = member
        return slots(x)

    y = torch.func.vmap(one)(x, torch.arange(len(parts)))
    y.square().sum().backward()
    for k, part in parts.items():
        if part is None:
            assert not y[k].any()
            assert not x.grad[k].any()
            continue
        learned = {name: p.grad for name, p in part.named_parameters()}
        part.zero_grad()
        alone = x[k].detach().requires_grad_()
        part(alone).square().sum().backward()
        torch.testing.assert_close(x.grad[k], alone.grad)
        for name, parameter in part.named_parameters():
            torch.testing.assert_close(learned[name], parameter.grad)


def test_bfloat16_has_kernels_without_parameters_only() -> None:
    parts = members(*SERVED, n_channels=4, dtype=torch.bfloat16)
    assert Kernels(parts, torch.randn(4, 6, 4, dtype=torch.bfloat16)).served == {0, 3}
