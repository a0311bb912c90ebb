"""Layers with stacked weights, each one operation: what vmap makes of them reads and writes a stack several times."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import layer_norm

from actsearch.tasks._population_below import on_stacks


def take_over(part: nn.Module) -> None:
    """Let a layer compute for all members at once, where there is a way."""
    if type(part) is nn.Linear:
        part.__class__ = StackedLinear
    elif type(part) is nn.LayerNorm and part.weight is not None:
        part.__class__ = StackedLayerNorm


class StackedLinear(nn.Linear):
    """A linear layer, seen by one member within vmap: (..., features in) -> (..., features out)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what the member's layer gives."""
        if torch.is_autocast_enabled(x.device.type):
            return super().forward(x)
        bias = () if self.bias is None else (self.bias,)
        return on_stacks(_linear, x, self.weight, *bias)


class StackedLayerNorm(nn.LayerNorm):
    """Layer normalisation, seen by one member within vmap; shape in = shape out."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what the member's layer gives."""
        y = layer_norm(x, self.normalized_shape, eps=self.eps)
        bias = () if self.bias is None else (self.bias,)
        return on_stacks(_scaled, y, self.weight, *bias)


def _linear(x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
    rows = x.reshape(len(x), -1, x.shape[-1])
    y: Tensor = _Linear.apply(rows, weight, *bias)  # type: ignore[no-untyped-call]
    return y.view(*x.shape[:-1], weight.shape[1])


class _Linear(torch.autograd.Function):
    """Stacks of matrices, (K, rows, in) and (K, out, in), and of biases, (K, out), to (K, rows, out)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        columns = weight.transpose(1, 2)
        return torch.baddbmm(bias[0].unsqueeze(1), x, columns) if bias else torch.bmm(x, columns)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        of_weight = torch.bmm(gradient.transpose(1, 2), x)
        return of_x, of_weight, *[gradient.sum(1)] * (len(ctx.needs_input_grad) - 2)


def _scaled(x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
    shape = len(x), *[1] * (x.dim() - weight.dim()), *weight.shape[1:]
    return torch.addcmul(bias[0].view(shape), x, weight.view(shape)) if bias else x * weight.view(shape)
