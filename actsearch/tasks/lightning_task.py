"""Bring your own: a task out of one's own LightningModule and LightningDataModule."""

from __future__ import annotations

import copy
import inspect
import linecache
import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from actsearch.errors import SwapError, TaskError, suggest
from actsearch.tasks.task import Direction, Task

if TYPE_CHECKING:
    from lightning.pytorch import LightningDataModule, LightningModule
    from torch import nn

# metrics that are better when lower; other names are taken for accuracies and scores
_LOWER_IS_BETTER = re.compile(r"loss|err|mse|mae|rmse|nll|perplexity|ppl|bpb|bpc|distance|regret", re.IGNORECASE)


def lightning_task(
    module: Any,
    data: Any,
    metric: str = "val_accuracy",
    direction: Direction | None = None,
    n_steps: int = 1_000,
    *,
    name: str | None = None,
    test_metric: str | None = None,
    chance: float | None = None,
    old: Any = None,
    channel_dim: int = 1,
    sign_symmetric: bool | Collection[str] = False,
    trainer_options: Mapping[str, Any] | None = None,
) -> Task:
    """Return a task that judges activations in one's own Lightning module.

    The module's ``training_step``, ``configure_optimizers`` and hooks are used as they are.

    Args:
        module: a LightningModule class or a function that returns one. When it takes an argument ``activation``, it is
            given a callable without arguments that returns a fresh activation module, as ``nn.ReLU`` is. Otherwise,
            and for a LightningModule instance, of which each fit takes a copy, the activations inside are swapped.
            Or a dict of those by name: each is a net of the task.
        data: a LightningDataModule class, a function that returns one, or an instance. When it takes an argument
            ``seed``, the finals give it a number for freshly generated or split data.
        metric: what is measured on the validation split, as the module logs it.
        direction: ``"maximize"`` or ``"minimize"``; None: told by the metric's name (loss, error, mse, ...: lower).
        n_steps: batches of a whole fit.
        name: the task's name; None: that of the data.
        test_metric: the same on the test split; None: the metric's name with ``test`` for ``val``.
        chance: the metric of guessing, which a diverged fit gets.
        old: what to swap, as for :func:`actsearch.swap`; None: activations of hidden layers.
        channel_dim: dimension of the channels, for parameters per channel; -1 for (batch, time, channel).
        sign_symmetric: whether the nets, or which of them, cannot tell f(x) from f(-x) and -f(x), so that a search need
            train one of the mirror images only; see :class:`Task` for what that asks of a net.
        trainer_options: more arguments of Lightning's Trainer, such as ``{"accelerator": "gpu"}``.

    Raises:
        TaskError: module or data are of no kind that can be used, or there is no net of a name.

    Example:
        >>> class Net:  # stands for a LightningModule
        ...     def __init__(self, activation): ...
        >>> task = lightning_task(Net, data=dict, metric="val_loss", n_steps=200)
        >>> task.direction, task.cells[0].name
        ('minimize', 'dict/Net')
    """
    modules = dict(module) if isinstance(module, Mapping) else {_name(module): module}
    found = direction or ("minimize" if _LOWER_IS_BETTER.search(metric) else "maximize")
    return Task(
        name=name or _name(data),
        nets={net: _OwnNet(source, old) for net, source in modules.items()},
        data=_OwnData(data),
        metric=metric,
        test_metric=test_metric or metric.replace("val", "test", 1),
        direction=found,
        chance=chance,
        n_steps=n_steps,
        settings={"metric": metric, "direction": found, "n_steps": n_steps},
        channel_dim=channel_dim,
        sign_symmetric=_symmetric_nets(sign_symmetric, modules),
        trainer_options=dict(trainer_options or {}),
    )


def _symmetric_nets(given: bool | Collection[str], nets: Collection[str]) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else given
    if isinstance(names, bool):
        return tuple(nets) if names else ()
    for name in names:
        if name not in nets:
            known = ", ".join(nets)
            raise TaskError(f"sign_symmetric names {name!r}, which is no net{suggest(name, nets)} (known: {known})")
    return tuple(names)


class _OwnNet:
    """Net factory around a user's module: hands the activation in, or swaps it in."""

    def __init__(self, source: Any, old: Any) -> None:
        if _is_instance_of(source, "LightningModule"):
            _require(not _takes(type(source), "activation"), source, "is an instance made already; give its class")
        else:
            _require(callable(source), source, "is neither a LightningModule class nor a function that returns one")
        self.source = source
        self.old = old

    def __getstate__(self) -> dict[str, Any]:
        """Take the source of notebook cells along: swapping rewrites code, and workers have no notebook."""
        cells = {file: entry for file, entry in linecache.cache.items() if _is_notebook_cell(file)}
        return {"source": self.source, "old": self.old, "cells": cells}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.source, self.old = state["source"], state["old"]
        linecache.cache.update(state["cells"])

    def __call__(self, activation: Callable[[], nn.Module]) -> LightningModule:
        if _is_instance_of(self.source, "LightningModule"):
            return self._swapped(copy.deepcopy(self.source), activation)
        if _takes(self.source, "activation"):
            return self.source(activation=activation)
        return self._swapped(self.source(), activation)

    def _swapped(self, module: LightningModule, activation: Callable[[], nn.Module]) -> LightningModule:
        from actsearch.nn.swap import swap

        try:
            swap(module, activation, old=self.old)
        except SwapError as error:
            kind = type(module).__name__
            raise TaskError(f"{kind} takes no argument 'activation', and swapping failed: {error}") from error
        return module


class _OwnData:
    """Data factory around a user's LightningDataModule."""

    def __init__(self, source: Any) -> None:
        kind = "is neither a LightningDataModule, nor a function that returns one"
        _require(callable(source) or _is_instance_of(source, "LightningDataModule"), source, kind)
        self.source = source

    def __call__(self, seed: int | None = None) -> LightningDataModule:
        if not callable(self.source):
            return self.source
        return self.source(seed=seed) if seed is not None and _takes(self.source, "seed") else self.source()


def _require(holds: bool, thing: Any, fault: str) -> None:
    if not holds:
        raise TaskError(f"{thing if isinstance(thing, str) else _name(thing)!r} ({type(thing).__name__}) {fault}")


def _is_instance_of(thing: Any, class_name: str) -> bool:
    """Tell without importing Lightning; whoever made the thing has imported it."""
    return any(base.__name__ == class_name for base in type(thing).__mro__)


def _is_notebook_cell(file: str) -> bool:
    return "ipykernel_" in file or file.startswith("<ipython-input")


def _takes(source: Callable[..., Any], argument: str) -> bool:
    try:
        return argument in inspect.signature(source).parameters
    except (TypeError, ValueError):  # builtins have no signature
        return False


def _name(thing: Any) -> str:
    wrapped = getattr(thing, "func", thing)  # functools.partial
    return str(getattr(wrapped, "__name__", type(wrapped).__name__))
