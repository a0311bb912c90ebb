"""What a name in a model's code stands for, told from the living model and without running any of its code."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import sys
import types
from typing import Any

from torch import nn

from actsearch.nn.surgery.source import Definition

# Their code is not a model's own: never read, never rewritten.
FOREIGN = frozenset(sys.stdlib_module_names) | {
    "actsearch",
    "lightning",
    "lightning_fabric",
    "lightning_utilities",
    "numpy",
    "pytorch_lightning",
    "torch",
    "torchmetrics",
}


class Unknown:
    """The answer for what only a run could tell."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


class Scope:
    """The names that a function's body sees.

    Args:
        function: the function.
        node: its definition.
        owner: the module that its first parameter stands for, when it is a method.
    """

    def __init__(self, function: types.FunctionType, node: Definition, owner: nn.Module | None) -> None:
        self.function = function
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        self._names: dict[str, Any] = {name: _contents(cell) for name, cell in cells}
        self._names |= dict.fromkeys(_assigned(node), UNKNOWN) | _imported(node)
        first = [*node.args.posonlyargs, *node.args.args]
        self.first = first[0].arg if first else None
        if owner is not None and self.first is not None:
            self._names[self.first] = owner

    def resolve(self, node: ast.expr) -> Any:
        """Return the object that an expression evaluates to, or UNKNOWN."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.Attribute):
            return attribute(self.resolve(node.value), node.attr)
        if isinstance(node, ast.Subscript):
            return _item(self.resolve(node.value), self.resolve(node.slice))
        if isinstance(node, ast.Call):
            return self._call(node)
        return UNKNOWN

    def _name(self, name: str) -> Any:
        if name in self._names:
            return self._names[name]
        return self.function.__globals__.get(name, getattr(builtins, name, UNKNOWN))

    def _call(self, node: ast.Call) -> Any:
        """Follow getattr(object, name) and partial(function, ...); no other call is made."""
        called = self.resolve(node.func)
        arguments = [self.resolve(argument) for argument in node.args]
        if called is builtins.getattr and len(arguments) >= 2 and isinstance(arguments[1], str):
            return attribute(arguments[0], arguments[1])
        if called is functools.partial and arguments and arguments[0] is not UNKNOWN:
            return functools.partial(arguments[0])
        return UNKNOWN


def attribute(base: Any, name: str) -> Any:
    """Return an attribute without running properties or descriptors."""
    if base is UNKNOWN:
        return UNKNOWN
    if isinstance(base, types.ModuleType):
        return getattr(base, name, UNKNOWN)
    if isinstance(base, nn.Module):
        for table in (base._modules, base._parameters, base._buffers):
            if name in table:
                return table[name]
    found = inspect.getattr_static(base, name, UNKNOWN)
    if isinstance(found, staticmethod):
        # marked as the module's, whose methods are read where the module is
        return types.MethodType(found.__func__, base) if isinstance(base, nn.Module) else found.__func__
    if isinstance(found, classmethod) or inspect.isdatadescriptor(found):
        return UNKNOWN
    if inspect.isfunction(found) and not isinstance(base, type) and name not in getattr(base, "__dict__", {}):
        return types.MethodType(found, base)
    return found


def _item(base: Any, key: Any) -> Any:
    if isinstance(base, dict | list | tuple) and isinstance(key, str | int):
        try:
            return base[key]  # type: ignore[index]
        except (LookupError, TypeError):
            return UNKNOWN
    if isinstance(base, nn.ModuleList | nn.Sequential | nn.ModuleDict):
        return base._modules.get(str(key), UNKNOWN)
    return UNKNOWN


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return UNKNOWN


def _assigned(node: Definition) -> set[str]:
    """Return every name that a function or a function inside it binds."""
    names = {
        child.id for child in ast.walk(node) if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load)
    }
    names |= {child.arg for child in ast.walk(node) if isinstance(child, ast.arg)}
    return names | {c.name for c in ast.walk(node) if isinstance(c, ast.FunctionDef | ast.ClassDef) and c is not node}


def _imported(node: Definition) -> dict[str, Any]:
    """Return what import statements inside a function bind, of modules that are loaded."""
    names: dict[str, Any] = {}
    for child in ast.walk(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                bound = alias.asname or alias.name.split(".")[0]
                names[bound] = sys.modules.get(alias.name if alias.asname else bound, UNKNOWN)
        elif isinstance(child, ast.ImportFrom) and child.level == 0:
            module = sys.modules.get(child.module or "", UNKNOWN)
            for alias in child.names:
                names[alias.asname or alias.name] = attribute(module, alias.name)
    return names


def is_foreign(function: types.FunctionType) -> bool:
    """Return whether a function belongs to a library whose code is left alone."""
    return str(function.__module__ or "").split(".")[0] in FOREIGN
