"""Give parameters per channel their shape before the optimiser asks for them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn
from torch.nn.parameter import is_lazy

from actsearch.tasks._rng import preserved


def materialise(module: LightningModule, data: LightningDataModule | None) -> None:
    """Run a copy of the module once, and take over the parts whose parameters got their shape by it.

    The module itself is not run: no statistic, metric, gradient or random state of it moves. It is run on its
    ``example_input_array`` when it has one, else through ``validation_step`` on the first validation batch.
    """
    if not any(is_lazy(parameter) for parameter in module.parameters()):
        return
    twin = copy.deepcopy(module).eval()
    with preserved(), torch.no_grad():
        _run_once(twin, data)
    for name, part in module.named_modules(remove_duplicate=False):
        if name and any(is_lazy(parameter) for parameter in part.parameters(recurse=False)):
            module.set_submodule(name, twin.get_submodule(name).train(part.training))


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
