"""Reads one function's syntax tree and says how each activation in it is to be replaced."""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from actsearch.nn.known import BY_METHOD
from actsearch.nn.surgery.edits import Edit, input_of, key_of
from actsearch.nn.surgery.resolve import UNKNOWN, Scope, Unknown, is_foreign
from actsearch.nn.surgery.rewrite import SwappedMethod
from actsearch.nn.surgery.selection import Selection
from actsearch.nn.surgery.source import place, plain

if TYPE_CHECKING:
    from actsearch.nn.surgery.analysis import Analysis


class Reader(ast.NodeVisitor):
    """Collects the edits of one function."""

    def __init__(
        self, analysis: Analysis, function: types.FunctionType, scope: Scope, kind: type | None, known: Sequence[Edit]
    ) -> None:
        self.analysis = analysis
        self.function = function
        self.scope = scope
        self.kind = kind
        self.known = {edit.key: edit for edit in known}
        self.edits: list[Edit] = []

    def read(self, node: Any) -> tuple[Edit, ...]:
        """Return the places in a definition, in order of the code."""
        for default in (*(self.function.__defaults__ or ()), *(self.function.__kwdefaults__ or {}).values()):
            if self.analysis.chosen.has(default):
                self.problem(node, "an activation is the default of an argument")
        for statement in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(statement)
        return tuple(self.edits)

    def problem(self, node: ast.AST, why: str) -> None:
        """Note a line that cannot be followed."""
        code = ast.unparse(node).splitlines()[0] if isinstance(node, ast.expr) else ""
        self.analysis.findings.problems.append(f"{place(self.function, node)}: {why}{f': `{code}`' if code else ''}")

    def add(self, node: ast.expr, kind: str) -> None:
        """Note a new place."""
        self.edits.append(Edit(key_of(node), kind))

    def _visit_known(self, node: ast.expr) -> bool:
        """Keep a place that an earlier swap replaced."""
        known = self.known.get(key_of(node))
        if known is None or known.is_helper:
            return False
        self.edits.append(known)
        return True

    def visit_Expr(self, node: ast.Expr) -> None:
        """A call whose result is dropped can only be meant to change its argument."""
        call = node.value
        before = len(self.edits)
        self.visit(call)
        if len(self.edits) > before and isinstance(call, ast.Call) and _works_in_place(call):
            last = self.edits[-1]
            if last.key == key_of(call) and last.kind in ("call", "method"):
                kind = "in_place" if last.kind == "call" else "method_in_place"
                self.edits[-1] = replace(last, kind=kind)

    def visit_Compare(self, node: ast.Compare) -> None:
        """``act is F.relu`` asks a question; only what is inside calls is read."""
        for operand in (node.left, *node.comparators):
            if isinstance(operand, ast.Call):
                self.visit(operand)

    def visit_Call(self, node: ast.Call) -> None:
        """Handle what is called, then its arguments."""
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        if self._visit_known(node):
            for argument in arguments:
                self.visit(argument)
            return
        if self._visit_super(node) or self._visit_lookup(node) or self._visit_reference(node):
            return
        if isinstance(node.func, ast.Call) and self.analysis.chosen.is_class(self.scope.resolve(node.func.func)):
            self._visit_built(node)
            return
        called = self._resolve(node.func)
        if called is UNKNOWN and self._visit_method(node):
            return
        is_call = self._is_old(called) and not isinstance(called, nn.Module)
        if not is_call:
            self.visit(node.func)
        for argument in arguments:
            self.visit(argument)
        if is_call and self._is_new(called):
            self._check_input(node)
            self.add(node, "call")

    def visit_Name(self, node: ast.Name) -> None:
        """A name may stand for an activation: ``act = relu``."""
        self._visit_reference(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """An attribute may stand for an activation: ``checkpoint(F.relu, x)``."""
        if not self._visit_reference(node):
            self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """An entry of a table may be an activation: ``ACTIVATIONS["relu"]``."""
        if self._visit_reference(node):
            return
        held = self._resolve(node.value)
        values = list(held.values()) if isinstance(held, dict) else held
        if isinstance(values, list | tuple) and any(self._is_old(v) and self.analysis.chosen.has(v) for v in values):
            self.problem(node, "which activation this is can be told only by a run; choose it in __init__")
        self.generic_visit(node)

    def _resolve(self, node: ast.expr) -> Any:
        """Return what an expression stands for; UNKNOWN also for what hangs in the model and is replaced there."""
        if self._is_held(node.value if isinstance(node, ast.Subscript) else node):
            return UNKNOWN
        thing = self.scope.resolve(node)
        if id(thing) in self.analysis.registered or isinstance(thing, SwappedMethod):
            return UNKNOWN
        return thing

    def _is_held(self, node: ast.expr) -> bool:
        """Return whether an expression is an attribute of a module's instance."""
        if not isinstance(node, ast.Attribute):
            return False
        base = self.scope.resolve(node.value)
        return isinstance(base, nn.Module) and node.attr in vars(base)

    def _is_old(self, thing: Any) -> bool:
        return not isinstance(thing, type | Unknown) and self.analysis.chosen.label(_unbound(thing)) is not None

    def _is_new(self, thing: Any) -> bool:
        """Return whether the activation is selected; note it when it is left alone."""
        if self.analysis.chosen.has(_unbound(thing)):
            return True
        self.analysis.findings.left.append(self.analysis.chosen.label(_unbound(thing)) or "")
        return False

    def _visit_reference(self, node: ast.expr) -> bool:
        """Handle an expression that names an activation or a function that has some; True when it is done with."""
        if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return False
        if self._visit_known(node):
            return True
        thing = self._resolve(node)
        if thing is UNKNOWN:
            return False
        if self._is_old(thing):
            if self._is_new(thing):
                self.add(node, "reference")
            return True
        return self._visit_helper(node, thing)

    def _visit_helper(self, node: ast.expr, thing: Any) -> bool:
        if isinstance(thing, torch.jit.ScriptFunction):
            if _graph_names(thing.graph, self.analysis.chosen):
                self.problem(node, "a scripted function (torch.jit) cannot be changed")
            return False
        bound = isinstance(thing, types.MethodType) and not isinstance(thing.__self__, nn.Module)
        function = plain(thing.__func__ if bound else thing)
        if function is None or isinstance(thing, type | nn.Module) or is_foreign(function):
            return False
        if isinstance(thing, types.MethodType) and not bound:
            return False  # a method of a module: read where that module is
        known = self.known.get(key_of(node))
        edits = self.analysis.edits(function, None, None, known.edits if known else ())
        if not edits:
            return False
        if bound or function is not thing:
            self.problem(node, "an activation inside a bound method or a decorated function cannot be replaced")
        if function.__name__ == "<lambda>":
            self.problem(node, "an activation inside a lambda cannot be replaced; write a def")
        self.edits.append(Edit(key_of(node), "helper", function=function, edits=edits))
        return True

    def _visit_super(self, node: ast.Call) -> bool:
        """Handle ``super().forward(x)`` where the base class's method has activations of its own."""
        call = node.func
        if not (
            self.kind is not None
            and isinstance(call, ast.Attribute)
            and isinstance(call.value, ast.Call)
            and self.scope.resolve(call.value.func) is builtins.super
        ):
            return False
        owner = self.scope.resolve(ast.Name(self.scope.first or ""))
        classes = type(owner).__mro__[type(owner).__mro__.index(self.kind) + 1 :]
        home = next((base for base in classes if call.attr in vars(base)), None)
        function = plain(vars(home)[call.attr]) if home else None
        if home is None or function is None or is_foreign(function):
            return False
        known = self.known.get(key_of(call))
        edits = self.analysis.edits(function, owner, home, known.edits if known else ())
        if edits:
            self.edits.append(Edit(key_of(call), "super", function=function, edits=edits))
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                self.visit(argument)
        return bool(edits)

    def _visit_lookup(self, node: ast.Call) -> bool:
        """``getattr(F, name)`` with a name that only a run knows cannot be followed."""
        if self.scope.resolve(node.func) is not builtins.getattr or len(node.args) < 2:
            return False
        if self.scope.resolve(node.args[0]) in (torch, nn.functional) and self.scope.resolve(node.args[1]) is UNKNOWN:
            self.problem(node, "which function this is can be told only by a run; choose it in __init__")
            return True
        return False

    def _visit_built(self, node: ast.Call) -> None:
        """Handle ``nn.ReLU()(x)``: the inner call is the place."""
        assert isinstance(node.func, ast.Call)
        kind = self.scope.resolve(node.func.func)
        label = self.analysis.chosen.label(kind.__new__(kind))
        if self._visit_known(node.func):
            pass
        elif label in self.analysis.chosen.labels or kind in self.analysis.chosen.classes:
            self.add(node.func, "reference")
        else:
            self.analysis.findings.left.append(label or kind.__name__)
        for argument in node.args:
            self.visit(argument)

    def _visit_method(self, node: ast.Call) -> bool:
        """Handle ``x.relu()``; with arguments it is somebody else's method."""
        method = node.func
        if not isinstance(method, ast.Attribute) or node.args or node.keywords or method.attr not in BY_METHOD:
            return False
        if not isinstance(self.scope.resolve(method.value), Unknown | torch.Tensor):
            return False
        self.visit(method.value)
        label = BY_METHOD[method.attr].name
        if label in self.analysis.chosen.labels:
            self.add(node, "method")
        else:
            self.analysis.findings.left.append(label)
        return True

    def _check_input(self, node: ast.Call) -> None:
        if not input_of(node):
            self.problem(node, "the call's input cannot be told from its other arguments")


def _unbound(thing: Any) -> Any:
    return thing.__func__ if isinstance(thing, types.MethodType) else thing


def _works_in_place(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    flags = [keyword.value for keyword in node.keywords if keyword.arg == "inplace"] + node.args[1:]
    return name.endswith("_") or any(isinstance(flag, ast.Constant) and flag.value is True for flag in flags)


def _graph_names(graph: Any, chosen: Selection) -> list[str]:
    """Return the selected activations that a TorchScript graph computes."""
    return sorted({label for label in chosen.labels if f"aten::{label}" in str(graph)})
