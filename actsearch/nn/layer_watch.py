"""What a monitor notes of one activation in sampled steps, and how it sums that up."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from actsearch.nn.activation import Activation
from actsearch.nn.health import FLAT, LINEAR, NO_GRADIENT, Kind, LayerHealth
from actsearch.nn.known import row_of_class
from actsearch.nn.trace import describe

# Rows of a batch that are looked at: as many as hold about so many elements.
_MOST_ELEMENTS = 2**15
_PROBES = 65  # inputs from -8 to 8 that tell where an activation is steep


class LayerWatch:
    """One activation, and what was seen of it since the last epoch."""

    def __init__(self, name: str, module: nn.Module, channel_dim: int | None) -> None:
        self.name = name
        self.module = module
        self.channel_dim: int = getattr(module, "channel_dim", 1) if channel_dim is None else channel_dim
        self.still: nn.Module | None = None
        self.overwritten: Tensor | None = None  # the input of an activation that works in place
        self.is_elementwise = isinstance(module, Activation) or row_of_class(type(module)) is not None
        self._clear()

    def see(self, x: Tensor, y: Tensor) -> None:
        """Note inputs and outputs of one call, and the gradient when it comes; sums wait for the epoch's end."""
        if y.requires_grad:
            y.register_hook(self._gradient)  # type: ignore[no-untyped-call] # torch's
        x, y = _few(x.detach()), _few(y.detach())
        if not x.numel():
            return
        self.counted += x.numel()
        self.counted_outputs += y.numel()
        self.active.append((y > 0).sum())
        self.inputs.append(torch.stack(x.aminmax()))
        limits = getattr(self.module, "fitted_range", None)
        if limits is not None:
            self.outside.append(((x < limits[0]) | (x > limits[1])).sum())
        if self.is_elementwise:
            self._see_slopes(x)

    def summary(self) -> LayerHealth:
        """Return what was seen, and forget it."""
        inputs = torch.stack(self.inputs)
        dead, linear = self._of_units()
        gradient = math.sqrt(_total(self.gradients) / len(self.gradients)) if self.gradients else math.nan
        row = LayerHealth(
            name=self.name,
            activation=describe(self.module),
            kind=self._kind(),
            n_steps=self.n_steps,
            active=_total(self.active) / self.counted_outputs,
            dead=dead,
            saturated=_total(self.flat) / self.counted if self.flat else math.nan,
            linear=linear,
            gradient=gradient if math.isfinite(gradient) or not self.gradients else math.inf,
            low=inputs[:, 0].min().item(),
            high=inputs[:, 1].max().item(),
            outside=_total(self.outside) / self.counted if self.outside else math.nan,
        )
        self._clear()
        return row

    def _clear(self) -> None:
        self.n_steps = self.counted = self.counted_outputs = 0
        self.active: list[Tensor] = []
        self.flat: list[Tensor] = []
        self.inputs: list[Tensor] = []
        self.outside: list[Tensor] = []
        self.slopes: list[Tensor] = []  # smallest and largest of each unit, a call each
        self.gradients: list[Tensor] = []
        self.steepest: Tensor | None = None
        self.ends: tuple[Tensor, Tensor]

    def _see_slopes(self, x: Tensor) -> None:
        """Note where the activation is flat, and how much the slope of each unit varies."""
        if self.still is None:
            # parameters are shared with the module; hooks, random numbers and work in place are not
            self.still = copy.copy(self.module)
            self.still.training = False
            vars(self.still).update({"inplace": False} if hasattr(self.module, "inplace") else {})
        has_units = x.ndim > 1 and -x.ndim <= self.channel_dim < x.ndim
        units = x.shape[self.channel_dim] if has_units else 1
        if self.steepest is None:
            probed = self._slope(_probes(x, self.channel_dim, units)).reshape(_PROBES, -1).abs()
            self.steepest = probed.max()
            self.ends = probed[0].mean(), probed[-1].mean()
        slope = self._slope(x)
        by_unit = slope.movedim(self.channel_dim, -1).reshape(-1, units) if has_units else slope.reshape(-1, 1)
        self.slopes.append(torch.stack(by_unit.aminmax(dim=0)))
        self.flat.append((slope.abs() < FLAT * self.steepest).sum())

    def _of_units(self) -> tuple[float, float]:
        """Return the shares of dead and of linear units."""
        if self.steepest is None:
            return math.nan, math.nan
        low, high = torch.stack(self.slopes).unbind(1)
        largest = torch.maximum(high, -low)
        dead = largest.amax(0) < NO_GRADIENT * self.steepest
        linear = (high - low < LINEAR * self.steepest) & (largest >= FLAT * self.steepest)
        return dead.float().mean().item(), linear.float().mean().item()

    def _slope(self, x: Tensor) -> Tensor:
        """Return f'(x) in evaluation mode, with no effect on gradients or random numbers."""
        assert self.still is not None
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            y = self.still.forward(leaf)
            (slope,) = torch.autograd.grad(y.sum(), leaf) if y.requires_grad else (torch.zeros_like(leaf),)
        return slope

    def _gradient(self, gradient: Tensor) -> None:
        norm = torch.linalg.vector_norm(gradient.detach(), dtype=torch.float32)
        self.gradients.append(norm.square() / max(gradient.numel(), 1))

    def _kind(self) -> Kind:
        if self.steepest is None:
            return "unknown"
        n_flat = sum(bool(end < FLAT * self.steepest) for end in self.ends)
        return "squashing" if n_flat == 2 else "rectifier" if n_flat else "open"


def _few(x: Tensor) -> Tensor:
    """Return the first rows of a batch, about as many as are looked at."""
    rows = max(1, _MOST_ELEMENTS * x.shape[0] // x.numel()) if x.ndim and x.numel() > _MOST_ELEMENTS else None
    return x[:rows]


def _probes(x: Tensor, channel_dim: int, units: int) -> Tensor:
    """Return inputs from -8 to 8 along dimension 0, the same for every channel, of a shape that the module takes."""
    shape = [1] * max(x.ndim, 1)
    shape[0] = _PROBES
    points = torch.linspace(-8, 8, _PROBES, device=x.device, dtype=x.dtype).reshape(shape)
    if units > 1 and channel_dim % x.ndim != 0:
        shape[channel_dim] = units
        points = points.expand(shape)
    return points


def _total(values: list[Tensor]) -> float:
    return torch.stack(values).double().sum().item()
