"""Give parameters per channel their shape before the optimiser asks for them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn
from torch.nn.parameter import is_lazy

from actsearch.nn.lazy import LazyActivation
from actsearch.tasks._rng import preserved


def materialise(module: LightningModule, data: LightningDataModule | None) -> None:
    """Run a copy of the module once, and take over the parts whose parameters got their shape by it.

    The module itself is not run: no statistic, metric, gradient or random state of it moves. It is run on its
    ``example_input_array`` when it has one, else through ``validation_step`` on the first validation batch.
    """
    names = _lazy_parts(module)
    if not names:
        return
    twin = copy.deepcopy(module).eval()
    with preserved(), torch.no_grad():
        _run_once(twin, data)
    for name, part in names.items():
        module.set_submodule(name, twin.get_submodule(name).train(part.training))


def materialise_alike(modules: Sequence[LightningModule], data: LightningDataModule | None) -> None:
    """Do what :func:`materialise` does to modules of one net; it is run once, and tells the channels of all."""
    channels: dict[str, int] = {}
    for module in modules:
        parts = _lazy_parts(module)
        if all(name in channels and isinstance(part, LazyActivation) for name, part in parts.items()):
            with preserved(), torch.no_grad():
                for name, part in parts.items():
                    _show(part, channels[name])
            continue
        materialise(module, data)
        found = {name: getattr(module.get_submodule(name), "n_channels", None) for name in parts}
        channels |= {name: n for name, n in found.items() if n is not None}


def _lazy_parts(module: nn.Module) -> dict[str, nn.Module]:
    parts = {name: part for name, part in module.named_modules(remove_duplicate=False) if name}
    return {name: part for name, part in parts.items() if any(map(is_lazy, part.parameters(recurse=False)))}


def _show(part: nn.Module, n_channels: int) -> None:
    """Call an activation with an input of so many channels."""
    dim = part.channel_dim
    assert isinstance(dim, int)
    shape = [1] * (dim + 1 if dim >= 0 else -dim)
    shape[dim] = n_channels
    part(torch.zeros(shape))


def _run_once(module: LightningModule, data: LightningDataModule | None) -> None:
    if module.example_input_array is not None:
        example: Any = module.example_input_array
        arguments = example if isinstance(example, tuple) else (example,)
        module(**arguments[0]) if isinstance(arguments[0], dict) else module(*arguments)
        return
    loaders: Any = (data if data is not None else module).val_dataloader()
    loader = loaders[0] if isinstance(loaders, list | tuple) else loaders
    mute(module)
    module.validation_step(next(iter(loader)), 0)


def mute(module: nn.Module) -> None:
    """Outside a training loop ``log`` has nowhere to write."""
    for name in ("log", "log_dict"):
        setattr(module, name, lambda *arguments, **options: None)
