"""A monitor of a model's activations: dead and saturated units, linear regimes, gradients, input ranges."""

from __future__ import annotations

import copy
import csv
import math
import warnings
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from actsearch.errors import ActivationError
from actsearch.nn.activation import Activation
from actsearch.nn.health import FLAT, LINEAR, NO_GRADIENT, Kind, LayerHealth, complaints, table
from actsearch.nn.known import row_of_class
from actsearch.nn.trace import describe, is_activation

# Rows of a batch that are looked at: as many as hold about so many elements.
_MOST_ELEMENTS = 2**15
_PROBES = 65  # inputs from -8 to 8 that tell where an activation is steep


class Monitor:
    """Watches every activation module of a model in training, one step in ``every``; a context manager.

    Nothing of the training changes: no random number is drawn, no gradient added. What functional calls compute is not
    seen; :func:`actsearch.swap` makes modules of them. Sampled figures stay on their device until an epoch ends.

    Args:
        model: any module with activation modules; a step is a call of it in training mode.
        every: sample one step in so many.
        channel_dim: dimension whose entries are units; None: the activation's own ``channel_dim``, else 1.
        count_calls: False when :meth:`begin_step` is called by hand, as the Lightning callback does.

    Attributes:
        history: rows of all epochs so far, each epoch a tuple with a row an activation.

    Raises:
        ActivationError: the model has no activation module, or ``every`` is below 1.

    Example:
        >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
        >>> with Monitor(model, every=2) as monitor:
        ...     for _ in range(4):
        ...         model(torch.randn(32, 8)).sum().backward()
        ...     rows = monitor.end_epoch()
        >>> rows[0].name, rows[0].kind, rows[0].n_steps
        ('1', 'rectifier', 2)
    """

    def __init__(
        self, model: nn.Module, *, every: int = 100, channel_dim: int | None = None, count_calls: bool = True
    ) -> None:
        if every < 1:
            raise ActivationError(f"every is {every}; a monitor samples one step in at least 1")
        self.every = every
        self.history: list[tuple[LayerHealth, ...]] = []
        self._model = model
        self._count_calls = count_calls
        self._layers = [_Layer(name, module, channel_dim) for name, module in _activations(model)]
        if not self._layers:
            raise ActivationError(
                f"{type(model).__name__} has no activation module to watch; actsearch.swap(model, ...) makes modules "
                "of functional calls"
            )
        self._step = -1
        self._sampling = False
        self._counter: Any = None
        self._handles: list[Any] = []
        self._said: set[tuple[str, str]] = set()

    def __enter__(self) -> Monitor:
        """Hook into the model."""
        self.attach()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Take the hooks away; an epoch that has begun ends."""
        self.detach()
        if error is None:
            self.end_epoch()

    def attach(self) -> None:
        """Hook into the model; :meth:`detach` undoes it."""
        self.detach()
        if self._count_calls:
            self._counter = self._model.register_forward_pre_hook(self._called)

    def detach(self) -> None:
        """Take the hooks away."""
        self._unhook()
        if self._counter is not None:
            self._counter.remove()
            self._counter = None

    def begin_step(self) -> None:
        """Count a step; when it is sampled, hook into the activations until the next one."""
        self._step += 1
        self._sampling = self._step % self.every == 0
        if not self._sampling:
            self._unhook()  # a hook that does nothing still costs, each layer and step
            return
        for layer in self._layers:
            layer.n_steps += 1
        if not self._handles:
            for layer in self._layers:
                if getattr(layer.module, "inplace", False):
                    self._handles.append(layer.module.register_forward_pre_hook(self._keeper(layer)))
                self._handles.append(layer.module.register_forward_hook(self._hook(layer)))

    def end_epoch(self) -> tuple[LayerHealth, ...]:
        """Return what was seen since the last epoch, a row an activation, and warn of what is new and wrong.

        An epoch without a sampled step returns nothing and is continued.
        """
        rows = tuple(layer.summary() for layer in self._layers if layer.counted)
        if not rows:
            return ()
        self.history.append(rows)
        for about, sentence in complaints(rows).items():
            if about not in self._said:
                self._said.add(about)
                warnings.warn(sentence, stacklevel=2)
        return rows

    def to_csv(self, path: str | Path) -> Path:
        """Write the history, a row an epoch and activation, and return the path."""
        path = Path(path)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["epoch", *(field.name for field in fields(LayerHealth))])
            writer.writeheader()
            for epoch, rows in enumerate(self.history):
                writer.writerows({"epoch": epoch, **asdict(row)} for row in rows)
        return path

    def __str__(self) -> str:
        return table(self.history[-1]) if self.history else "nothing sampled yet"

    def _unhook(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def _called(self, model: nn.Module, inputs: tuple[Any, ...]) -> None:
        if model.training:
            self.begin_step()
        else:
            self._sampling = False

    def _keeper(self, layer: _Layer) -> Any:
        def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if self._sampling:
                layer.overwritten = inputs[0].detach().clone()

        return keep

    def _hook(self, layer: _Layer) -> Any:
        def seen(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if self._sampling and module.training and not torch.compiler.is_compiling():
                layer.see(inputs[0] if layer.overwritten is None else layer.overwritten, output)
                layer.overwritten = None

        return seen


class _Layer:
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


def _activations(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the outermost activation modules with their names, each once."""
    seen: set[nn.Module] = set()
    inner = ""
    for name, module in model.named_modules():
        if inner and name.startswith(inner):
            continue
        if is_activation(module) and module not in seen:
            seen.add(module)
            inner = f"{name}."
            yield name or "model", module


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
