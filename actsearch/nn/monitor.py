"""A monitor of a model's activations: dead and saturated units, linear regimes, gradients, input ranges."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch import nn

from actsearch.errors import ActivationError
from actsearch.nn.health import LayerHealth, complaints, table
from actsearch.nn.layer_watch import LayerWatch
from actsearch.nn.trace import is_activation


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
        self._layers = [LayerWatch(name, module, channel_dim) for name, module in _activations(model)]
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

    def _keeper(self, layer: LayerWatch) -> Any:
        def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if self._sampling:
                layer.overwritten = inputs[0].detach().clone()

        return keep

    def _hook(self, layer: LayerWatch) -> Any:
        def seen(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if self._sampling and module.training and not torch.compiler.is_compiling():
                layer.see(inputs[0] if layer.overwritten is None else layer.overwritten, output)
                layer.overwritten = None

        return seen


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
