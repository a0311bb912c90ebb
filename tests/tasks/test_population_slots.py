"""What members of a stack give beside each other is, to the bit, what each activation gives by itself."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from actsearch.compiler import c_op
from actsearch.compiler.c_source import BLOCK
from actsearch.nn.activation import Activation
from actsearch.nn.make import make
from actsearch.tasks._population_slots import Slots

LAYER = "a[0.7] * x * sigmoid(beta[1.0] * x)"
CHANNEL = "a[0.7, channel] * x * sigmoid(beta[1.0, channel] * x)"
MIXED = "a[1.0] * tanh(beta[1.0, channel] * x)"
POSITIVE = "x * sigmoid(beta[1.0, positive] * x)"
SERVED = ("gelu", LAYER, CHANNEL, "relu", MIXED, POSITIVE)
OTHERS = ("prelu(granularity=group, n_groups=2)",)


def parts_of(
    specs: Sequence[str | None], n_channels: int, dtype: torch.dtype = torch.float32
) -> list[nn.Module | None]:
    made = [None if spec is None else make(spec, n_channels=None if "group" in spec else n_channels) for spec in specs]
    return [part if part is None else part.to(dtype) for part in made]


def on_stack(slots: Slots, x: Tensor) -> Tensor:
    return torch.func.vmap(slots)(x)


def check(parts: list[nn.Module | None], shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = (3 * torch.randn(len(parts), *shape, dtype=dtype)).requires_grad_()
    gradient = torch.randn_like(x)
    y = on_stack(Slots(parts), x)
    y.backward(gradient)
    for k, part in enumerate(parts):
        if part is None:
            assert not y[k].any()
            assert not x.grad[k].any()
            continue
        found = {name: p.grad for name, p in part.named_parameters()}
        part.zero_grad()
        alone = x[k].detach().requires_grad_()
        value = part(alone)
        value.backward(gradient[k])
        assert torch.equal(y[k], value)
        assert torch.equal(x.grad[k], alone.grad)
        for name, parameter in part.named_parameters():
            assert torch.equal(found[name], parameter.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(100, 64), (3, 5, 7), (BLOCK + 3, 2), (1, 4), (0, 4)])
def test_members_with_kernels_give_what_they_give_by_themselves(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    check(parts_of((*SERVED, None), shape[1], dtype), shape, dtype)


def test_members_without_kernels_run_beside_those_that_have() -> None:
    check(parts_of((*SERVED, *OTHERS, None), 4), (6, 4), torch.float32)


class Doubled(Activation):
    """What somebody derives from an activation is not what its kernel computes."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_a_derived_class_runs_its_own_forward() -> None:
    check([Doubled("gelu"), make("gelu")], (6, 4), torch.float32)


@pytest.mark.parametrize("has_op", [True, False])
@pytest.mark.parametrize(("n_channels", "shape", "dim"), [(4, (6, 4), 1), (5, (3, 5, 7), 1), (7, (3, 5, 7), -1)])
def test_joined_parameters_give_the_same_bits(
    n_channels: int, shape: tuple[int, ...], dim: int, has_op: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_op:
        monkeypatch.setattr(c_op, "ready", lambda: None)
    specs = ("gelu", LAYER, CHANNEL, POSITIVE, MIXED)
    parts = [make(spec, n_channels=n_channels, channel_dim=dim) for spec in specs]
    alone = copy.deepcopy(parts)
    slots = Slots(parts)
    slots.join({(k, name) for k, part in enumerate(parts) for name, _ in part.named_parameters()})
    joined = slots.joined
    assert joined is not None
    assert {k for k, _, _ in joined.weights} == {1, 2, 4}  # a constrained parameter stays by itself
    assert set(slots.own) == {"3"}
    assert joined.parameter.numel() % 16 == 0
    x, gradient = torch.randn(len(parts), *shape, requires_grad=True), torch.randn(len(parts), *shape)
    y = on_stack(slots, x)
    y.backward(gradient)
    for k, part in enumerate(alone):
        value = part(x[k].detach())
        assert torch.equal(y[k], value)
        if part.slots:
            value.backward(gradient[k])
    for (k, _, name), own in zip(joined.weights, joined.owns(), strict=True):
        assert torch.equal(own.of(joined.parameter.grad), alone[k].get_parameter(name).grad)
    with torch.no_grad():
        joined.parameter.add_(1.0)
    joined.settle()
    assert torch.equal(parts[1].get_parameter("a"), alone[1].get_parameter("a") + 1)


def test_parameters_that_are_not_chosen_are_not_joined() -> None:
    slots = Slots(parts_of((LAYER, CHANNEL), 4))
    slots.join({(0, "a"), (1, "a"), (1, "beta")})
    assert slots.joined is not None
    assert {k for k, _, _ in slots.joined.weights} == {1}  # of member 0 one weight is another group's


def test_padding_is_where_the_others_are() -> None:
    y = on_stack(Slots(parts_of(("gelu", None), 4)), torch.randn(2, 6, 4, device="meta"))
    assert (y.device.type, y.shape) == ("meta", (2, 6, 4))


def test_without_the_op_members_run_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_op, "ready", lambda: None)
    check(parts_of((*SERVED, None), 4), (6, 4), torch.float32)


def test_who_is_dropped_becomes_padding() -> None:
    parts = parts_of(("gelu", LAYER), 4)
    slots, x = Slots(parts), torch.randn(2, 6, 4)
    before = on_stack(slots, x)
    slots.drop(1)
    after = on_stack(slots, x)
    assert torch.equal(after[0], before[0])
    assert before[1].any()
    assert not after[1].any()


def test_what_is_the_same_for_all_is_expanded() -> None:
    parts, x = parts_of(("gelu", LAYER), 4), torch.randn(6, 4)
    slots = Slots(parts)
    y = torch.func.vmap(lambda x, _: slots(x), (None, 0))(x, torch.arange(2))
    assert torch.equal(y, torch.stack([part(x) for part in parts]))


def test_second_derivatives_are_refused() -> None:
    x = torch.randn(1, 6, 4, requires_grad=True)
    y = on_stack(Slots(parts_of(["gelu"], 4)), x)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(y.sum(), x, create_graph=True)
