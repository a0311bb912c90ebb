"""Puts another activation into a model that exists: modules, stored functions and calls in its code alike."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import sympy
import torch
from torch import nn

from actsearch.errors import SwapError
from actsearch.nn.make import make
from actsearch.nn.surgery.edits import Edit
from actsearch.nn.surgery.places import Coded, Held, Places, find_places, is_activation
from actsearch.nn.surgery.rewrite import SwappedMethod
from actsearch.nn.surgery.selection import selection
from actsearch.nn.surgery.traced import replace_node

Factory = Callable[[], nn.Module]


def swap(model: nn.Module, new: sympy.Expr | str | nn.Module | Factory, old: object = None) -> int:
    """Replace activations of a model, in place, and return how many places changed.

    Replaced are activation modules, functions stored in attributes (``self.act = F.relu``), and what the code of the
    model and of its submodules calls: ``F.relu(x)``, ``torch.relu(x)``, ``x.relu()``, also in helper functions and in
    base classes. The model's class, its weights and the names of its state dict stay, and a new activation without
    parameters adds no name, so that checkpoints load as before. It pickles, copies, compiles and exports as before.

    A *place* is a submodule or attribute name, or a spot in the source, of one module: a ``self.relu`` that is called
    twice is one place, one ``nn.ReLU`` instance under three names is three. Every place gets an activation of its own,
    so learnable parameters are not shared; those of spots in the source are submodules ``activation_0``, ....
    A call that changes its argument (``F.relu(x, inplace=True)`` as a statement) still does; elsewhere activations
    don't work in place. Left alone are nn.RNN and others that compute an activation inside torch, and what a
    ``classmethod`` or ``property`` calls.

    Args:
        model: any module; it is changed only if everything can be.
        new: catalog name, text, SymPy expression; or a module, of which each place gets a copy; or a factory: a
            class or function that gives a new module when called without arguments.
        old: what to replace: a name, formula, module class or function, or a list of them; a class or function of
            torch stands for its activation however it is called. None: the activations of hidden layers (relu, gelu,
            silu, elu, leaky_relu, mish, ... and those made by this package), never sigmoid, tanh and softplus, which
            are gates and heads.

    Raises:
        SwapError: nothing was found to replace (it tells what was found), or a line of the model's code can't be
            followed (it tells file and line).

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1), nn.Sigmoid())
        >>> swap(model, "silu")
        1
        >>> model[1]
        Activation(silu(x))
    """
    if not isinstance(model, nn.Module):
        raise SwapError(f"the model must be an nn.Module, not {type(model).__name__}")
    chosen = selection(old)
    if is_activation(model, chosen):
        raise SwapError(f"the model is itself an activation ({model}); use make(...) in its place")
    places = find_places(model, chosen)
    _check(model, places)
    factory = _factory(new)
    fresh = [factory() for _ in range(places.n_places)]
    taken: dict[nn.Module, list[str]] = {}
    methods = [_rewritten(coded, taken) for coded in places.coded]
    # nothing has changed so far, and nothing below can fail
    for method in methods:
        vars(method.module)[method.name] = method
    for owner, sites in taken.items():
        owner._modules.update({site: _like(fresh.pop(), owner, model) for site in sites})
    for held in places.held:
        _put(held, _like(fresh.pop(), held.parent, model))
    for graph, node in places.traced:
        replace_node(graph, node, free_name(graph), _like(fresh.pop(), graph, model))
    _leave_fast_paths(model, {held.parent for held in places.held})
    return places.n_places


def _check(model: nn.Module, places: Places) -> None:
    name = type(model).__name__
    if places.problems:
        problems = "\n  ".join(dict.fromkeys(places.problems))
        raise SwapError(f"{name} was left as it is, since its activations cannot all be followed:\n  {problems}")
    if not places.n_places:
        found = ", ".join(f"{label} ({n} places)" if n > 1 else label for label, n in Counter(places.left).items())
        hint = f"it has {found}; name what to replace with old=..." if found else "it has none that is known"
        raise SwapError(f"no activation of {name} was replaced: {hint}")


def _factory(new: Any) -> Factory:
    """Return a function that gives a fresh activation module."""
    if isinstance(new, nn.Module):
        first = copy.deepcopy(new)
        return (lambda: first) if _is_shared(new) else lambda: copy.deepcopy(new)
    if isinstance(new, str | sympy.Basic):
        made = make(new)  # a wrong name is told before the model is touched
        return (lambda: made) if _is_shared(made) else lambda: make(new)
    if not callable(new):
        raise SwapError(f"new={new!r} is neither an activation's name, text or expression, nor a module or factory")
    return lambda: _called(new)


def _is_shared(activation: nn.Module) -> bool:
    """Whether all places are to hold one module, so that they share its parameters."""
    return bool(getattr(activation, "is_shared", False))


def _called(new: Callable[..., Any]) -> nn.Module:
    try:
        with contextlib.suppress(ValueError):  # some builtins tell no signature
            inspect.signature(new).bind()
    except TypeError:
        raise SwapError(f"new={new!r} cannot be called without arguments; a factory of modules is needed") from None
    module = new()
    if not isinstance(module, nn.Module):
        raise SwapError(f"new={new!r} gave {type(module).__name__}; a factory of modules is needed")
    return module


def _like(activation: nn.Module, parent: nn.Module, model: nn.Module) -> nn.Module:
    """Move a new activation to the device, dtype and mode of its surroundings."""
    near = next(_float_parameters(parent), None)
    near = next(_float_parameters(model), None) if near is None else near
    if near is not None:
        activation.to(device=near.device, dtype=near.dtype)
    return activation.train(parent.training)


def _float_parameters(module: nn.Module) -> Iterator[torch.Tensor]:
    return (
        parameter
        for parameter in module.parameters()
        if not nn.parameter.is_lazy(parameter) and parameter.is_floating_point()
    )


def _put(held: Held, activation: nn.Module) -> None:
    parent, name = held.parent, held.name
    if held.key is None:
        vars(parent).pop(name, None)
        parent._modules[name] = activation
        return
    container = vars(parent)[name]
    # an entry of a plain container is registered besides, so that its parameters are the model's
    registered = [n for n, child in parent._modules.items() if child is container[held.key]] or [free_name(parent)]
    parent._modules.update(dict.fromkeys(registered, activation))
    if isinstance(container, tuple):
        vars(parent)[name] = tuple(activation if index == held.key else v for index, v in enumerate(container))
    else:
        container[held.key] = activation


def _rewritten(coded: Coded, taken: dict[nn.Module, list[str]]) -> SwappedMethod:
    sites = taken.setdefault(coded.owner, [])
    edits = tuple(_with_sites(edit, coded.owner, sites) for edit in coded.edits)
    return SwappedMethod(coded.owner, coded.method, edits)


def _with_sites(edit: Edit, owner: nn.Module, taken: list[str]) -> Edit:
    """Give every place of an edit that has none yet the name of a submodule."""
    if edit.is_helper:
        return replace(edit, edits=tuple(_with_sites(inner, owner, taken) for inner in edit.edits))
    if edit.site:
        return edit
    taken.append(free_name(owner, taken))
    return replace(edit, site=taken[-1])


def free_name(owner: nn.Module, taken: Sequence[str] = ()) -> str:
    """Return the first of activation_0, activation_1, ... that a module has no use for yet."""
    number = 0
    while hasattr(owner, f"activation_{number}") or f"activation_{number}" in taken:
        number += 1
    return f"activation_{number}"


def _leave_fast_paths(model: nn.Module, changed: set[nn.Module]) -> None:
    """Torch's transformer layers must not take their fused path, which computes relu or gelu whatever they hold."""
    for module in changed:
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoder) and changed.intersection(module.layers):
            module.use_nested_tensor = False
