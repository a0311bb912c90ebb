"""Parameter groups for optimisers: what activations learn gets a learning rate and a weight decay of its own."""

from __future__ import annotations

from typing import Any

from torch import nn

from actsearch.nn.activation import Activation


def parameter_groups(
    model: nn.Module,
    *,
    lr: float | None = None,
    weight_decay: float | None = None,
    activation_lr: float | None = None,
    activation_weight_decay: float = 0.0,
    kinds: tuple[type[nn.Module], ...] = (Activation, nn.PReLU),
) -> list[dict[str, Any]]:
    """Return a model's parameters in two groups, named "weights" and "activations", for any torch optimiser.

    The start and a learning rate of their own decide whether rational activations learn anything useful: with one
    rate for all and a start at the identity, Hajbi 2026 (NSAD-Bench) measures AUC lower by 0.03 to 0.41 than with a
    start at leaky ReLU and 1e-4 for the activations beside 1e-3. Decay pulls coefficients towards the function 0, or
    a denominator of 1, not towards anything simpler, so it is off unless asked for.

    Args:
        model: any module. A parameter that several modules share is in one group, once.
        lr: learning rate of the weights; None: the optimiser's own.
        weight_decay: of the weights; None: the optimiser's own.
        activation_lr: learning rate of the activations' parameters; None: as ``lr``.
        activation_weight_decay: of the activations' parameters.
        kinds: the modules whose parameters count as those of activations.

    Returns:
        The groups that have parameters: dictionaries with "params", "name", and the settings that were given.

    Example:
        >>> import torch
        >>> from actsearch.nn.make import make
        >>> model = nn.Sequential(nn.Linear(2, 3), make("rational"), nn.Linear(3, 1))
        >>> groups = parameter_groups(model, lr=1e-3, activation_lr=1e-4)
        >>> [(group["name"], len(group["params"]), group["lr"]) for group in groups]
        [('weights', 4, 0.001), ('activations', 10, 0.0001)]
        >>> optimiser = torch.optim.AdamW(groups)
    """
    inside = {
        id(parameter) for module in model.modules() if isinstance(module, kinds) for parameter in module.parameters()
    }
    every = list(model.parameters())
    groups = [
        _group("weights", [p for p in every if id(p) not in inside], lr, weight_decay),
        _group(
            "activations",
            [p for p in every if id(p) in inside],
            lr if activation_lr is None else activation_lr,
            activation_weight_decay,
        ),
    ]
    return [group for group in groups if group["params"]]


def _group(name: str, params: list[nn.Parameter], lr: float | None, weight_decay: float | None) -> dict[str, Any]:
    settings = {"lr": lr, "weight_decay": weight_decay}
    return {"params": params, "name": name, **{key: value for key, value in settings.items() if value is not None}}
