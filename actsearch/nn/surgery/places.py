"""Finds every place of a model that holds or calls an activation."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn

from actsearch.nn.surgery.analysis import Analysis
from actsearch.nn.surgery.edits import Edit, Findings
from actsearch.nn.surgery.resolve import FOREIGN, is_foreign
from actsearch.nn.surgery.rewrite import SwappedMethod, method_of
from actsearch.nn.surgery.selection import Selection
from actsearch.nn.surgery.source import place, plain
from actsearch.nn.surgery.traced import find_nodes

# Methods that build or load a model and never see its activations' inputs.
_BUILDERS = ("__init__", "__post_init__")


@dataclass(frozen=True)
class Held:
    """An activation held by a module: a submodule, a function in an attribute, or an entry of a plain container.

    Attributes:
        parent: the module that holds it.
        name: submodule or attribute name.
        key: index or key in the container; None without one.
    """

    parent: nn.Module
    name: str
    key: Any = None


@dataclass(frozen=True)
class Coded:
    """The activations in the code of a module's method, those of earlier swaps included."""

    owner: nn.Module
    method: str
    edits: tuple[Edit, ...]

    @property
    def n_new(self) -> int:
        """Number of places that have no site yet; at least one."""
        return sum(not site for edit in self.edits for site in edit.sites())


@dataclass
class Places:
    """What a model has.

    Attributes:
        held: selected activations held by modules.
        coded: methods with selected activations.
        traced: nodes of torch.fx graphs.
        left: names of activations that were found and not selected.
        problems: sentences about what cannot be followed.
    """

    held: list[Held] = field(default_factory=list)
    coded: list[Coded] = field(default_factory=list)
    traced: list[tuple[fx.GraphModule, fx.Node]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def n_places(self) -> int:
        """Number of places to replace."""
        return len(self.held) + len(self.traced) + sum(coded.n_new for coded in self.coded)


def find_places(model: nn.Module, chosen: Selection) -> Places:
    """Return every place of a model with an activation; the model is not changed and none of its code is run."""
    found = Places()
    modules = dict(model.named_modules())
    findings = Findings()
    analysis = Analysis(chosen, {id(module) for module in modules.values()}, findings)
    for name, module in modules.items():
        if isinstance(module, torch.jit.ScriptModule):
            _refuse_scripted(name, module, chosen, found)
            continue
        _find_held(module, chosen, found)
        if isinstance(module, fx.GraphModule):
            nodes, left = find_nodes(module, chosen)
            found.traced += [(module, node) for node in nodes]
            found.left += left
        elif not is_activation(module, chosen):
            _find_coded(module, analysis, found)
    found.left += findings.left
    found.problems += findings.problems
    return found


def is_activation(module: nn.Module, chosen: Selection) -> bool:
    """Return whether a module is itself one of the activations that are told by name or class."""
    return chosen.label(module) is not None


def _find_held(module: nn.Module, chosen: Selection, found: Places) -> None:
    if is_activation(module, chosen):
        return
    in_containers: set[int] = set()
    for name, value in vars(module).items():
        if name in ("_modules", "_parameters", "_buffers") or isinstance(value, SwappedMethod):
            continue
        for key, item in _items(value):
            in_containers.add(id(item))
            _note(Held(module, name, key), item, chosen, found)
            _refuse_stored(module, name, item, chosen, found)
    for name, child in module._modules.items():
        if id(child) not in in_containers:  # else it is replaced together with the entry
            _note(Held(module, name), child, chosen, found)


def _note(place_: Held, thing: Any, chosen: Selection, found: Places) -> None:
    label = chosen.label(thing)
    if label is not None and not isinstance(thing, type):
        if chosen.has(thing):
            found.held.append(place_)
        else:
            found.left.append(label)


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield an attribute's value, or the entries of a plain list, tuple or dict of them."""
    if type(value) is dict:
        yield from ((key, item) for key, item in value.items() if callable(item))
    elif type(value) in (list, tuple):
        yield from ((index, item) for index, item in enumerate(value) if callable(item))
    elif callable(value):
        yield None, value


def _refuse_stored(module: nn.Module, name: str, item: Any, chosen: Selection, found: Places) -> None:
    """A function or lambda of the model's own, stored on an instance, has no place of its own to be rewritten in."""
    if not isinstance(item, types.FunctionType) or is_foreign(item) or chosen.label(item):
        return
    findings = Findings()
    if Analysis(chosen, set(), findings).edits(item, None, None):
        found.problems.append(
            f"{place(item)}: {type(module).__name__}.{name} holds a function with an activation inside; "
            "make it a method"
        )
    found.problems += findings.problems


def _refuse_scripted(name: str, module: torch.jit.ScriptModule, chosen: Selection, found: Places) -> None:
    try:
        graph = str(module.inlined_graph)
    except RuntimeError:  # a scripted module without a forward method computes nothing itself
        return
    computed = sorted(label for label in chosen.labels if f"aten::{label.replace('hard_', 'hard')}" in graph)
    if computed:
        found.problems.append(
            f"{name or 'the model'} is a scripted module (torch.jit), whose code is fixed, and it computes "
            f"{', '.join(computed)}; swap before scripting"
        )


def _find_coded(module: nn.Module, analysis: Analysis, found: Places) -> None:
    for name, kind in _methods(type(module)).items():
        _, function = method_of(type(module), name)
        held = vars(module).get(name)
        known = held.edits if isinstance(held, SwappedMethod) else ()
        inner = plain(function)
        assert inner is not None
        is_static = isinstance(vars(kind)[name], staticmethod)
        edits = analysis.edits(inner, None if is_static else module, kind, known)
        if any(not site for edit in edits for site in edit.sites()):
            found.coded.append(Coded(module, name, edits))


def _methods(kind: type) -> dict[str, type]:
    """Return the methods of a model's own classes that may see activations, each with the class that defines it."""
    own: dict[str, type] = {}
    calls: dict[str, frozenset[str]] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.split(".")[0] in FOREIGN or base is object:
            # a method that a library class overrides is the library's
            own = {name: home for name, home in own.items() if name not in vars(base)}
            continue
        for name, value in vars(base).items():
            function = _method(value)
            if function is None:
                own.pop(name, None)
                continue
            calls[name] = _names(function.__code__)
            own[name] = base
    building = _reached(calls, set(_BUILDERS) & calls.keys())
    running = _reached(calls, calls.keys() - building)
    return {name: home for name, home in own.items() if name in running and not _is_magic(name)}


def _method(value: Any) -> types.FunctionType | None:
    if isinstance(value, classmethod | property | type):
        return None
    return plain(value.__func__ if isinstance(value, staticmethod) else value)


def _is_magic(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name != "__call__"


def _names(code: types.CodeType) -> frozenset[str]:
    inner = (const for const in code.co_consts if inspect.iscode(const))
    return frozenset(code.co_names).union(*(_names(const) for const in inner))


def _reached(calls: dict[str, frozenset[str]], start: set[str]) -> set[str]:
    """Return the methods that some methods use, themselves included."""
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [used for used in calls[name] if used in calls]
    return reached
