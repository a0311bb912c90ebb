"""Layers with stacked weights, each one operation: what vmap makes of them reads and writes a stack several times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from actsearch.compiler import c_op
from actsearch.tasks._population_below import on_stacks

_LARGEST = 65_536  # weights of a member's matrix, above which its product is as fast in a library for large matrices


def take_over(part: nn.Module) -> None:
    """Let a layer compute for all members at once, where there is a way."""
    if type(part) is nn.Linear:
        part.__class__ = StackedLinear
    elif type(part) is nn.LayerNorm and part.weight is not None:
        part.__class__ = StackedLayerNorm
    elif type(part) is nn.CrossEntropyLoss and part.weight is None and part.reduction == "mean":
        part.__class__ = StackedCrossEntropyLoss


class StackedLinear(nn.Linear):
    """A linear layer, seen by one member within vmap: (..., features in) -> (..., features out)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what the member's layer gives."""
        if torch.is_autocast_enabled(x.device.type):
            return super().forward(x)
        return on_stacks(_linear, x, self.weight, *_given(self.bias))


class StackedLayerNorm(nn.LayerNorm):
    """Layer normalisation, seen by one member within vmap; shape in = shape out."""

    def forward(self, x: Tensor) -> Tensor:
        """Return what the member's layer gives."""
        op = _op("layer_norm", x)
        if op is not None:

            def whole(x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
                rows = x if x.dim() == 3 and weight.dim() == 2 else x.reshape(len(x), -1, weight[0].numel())
                y: Tensor = op(rows, weight.flatten(1), bias[0].flatten(1) if bias else None, self.eps)
                return y if y.shape == x.shape else y.view(x.shape)

            return on_stacks(whole, x, self.weight, *_given(self.bias))
        return on_stacks(_scaled, F.layer_norm(x, self.normalized_shape, eps=self.eps), self.weight, *_given(self.bias))


class StackedCrossEntropyLoss(nn.CrossEntropyLoss):
    """Mean cross-entropy of a member's logits, shape (batch, classes), and of classes, shape (batch,), within vmap."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the member's loss."""
        if input.dim() != 2 or target.dim() != 1:
            return super().forward(input, target)
        return on_stacks(self._losses, input, target)

    def _losses(self, logits: Tensor, classes: Tensor) -> Tensor:
        # classes before examples: torch is slow to normalise along a short last dimension
        losses = F.cross_entropy(
            logits.transpose(1, 2),
            classes,
            ignore_index=self.ignore_index,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return losses.sum(1) / (classes != self.ignore_index).sum(1)


def _given(bias: Tensor | None) -> tuple[Tensor, ...]:
    return () if bias is None else (bias,)


def _op(name: str, x: Tensor) -> Callable[..., Tensor] | None:
    """Return the own op of that name, for tensors such as ``x``; None: there is none."""
    if x.dtype != torch.float32 or x.device.type != "cpu":
        return None
    op: Callable[..., Tensor] | None = getattr(c_op.ready(), name, None)
    return op


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rows = x if x.dim() == 3 else x.reshape(len(x), -1, x.shape[-1])
    op = _op("linear", x) if rows.numel() and 0 < weight[0].numel() <= _LARGEST else None
    y = (op or _Linear.apply)(rows, weight, bias)
    return y if x.dim() == 3 else y.view(*x.shape[:-1], weight.shape[1])


class _Linear(torch.autograd.Function):
    """Stacks of matrices, (K, rows, in) and (K, out, in), and of biases, (K, out), to (K, rows, out)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        columns = weight.transpose(1, 2)
        return torch.bmm(x, columns) if bias is None else torch.baddbmm(bias.unsqueeze(1), x, columns)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        of_weight = torch.bmm(gradient.transpose(1, 2), x)
        return of_x, of_weight, gradient.sum(1) if ctx.needs_input_grad[2] else None


def _scaled(x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
    shape = len(x), *[1] * (x.dim() - weight.dim()), *weight.shape[1:]
    return torch.addcmul(bias[0].view(shape), x, weight.view(shape)) if bias else x * weight.view(shape)
