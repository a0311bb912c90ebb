"""Rewrites a function's code so that its activations come from submodules of the model."""

from __future__ import annotations

import ast
import copy
import functools
import types
from typing import Any

from torch import nn

from actsearch.errors import SwapError
from actsearch.nn.surgery.edits import Edit, input_of, key_of
from actsearch.nn.surgery.source import (
    Definition,
    Sources,
    decorated,
    definition,
    in_memory_sources,
    place,
    plain,
    rebuild,
    remember,
)

# The parameter by which a helper gets the module whose submodules it calls.
OWNER = "_swapped_owner"


class SwappedMethod:
    """Stands in a module's ``__dict__`` for one of its methods; the module's class stays as it is.

    It is a callable and not a bound method because a bound method is pickled by its name alone, which would silently
    bring back the class's own. Copied or unpickled, it is rewritten from the class's source again.

    Args:
        module: the module.
        name: the method's name.
        edits: its places, each with its site.
    """

    def __init__(self, module: nn.Module, name: str, edits: tuple[Edit, ...]) -> None:
        self.module = module
        self.name = name
        self.edits = edits
        is_static, original = method_of(type(module), name)
        self.function = rewritten(original, edits, is_static)
        self.__self__ = module
        self.__func__ = self.function
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the rewritten method."""
        return self.function(self.module, *args, **kwargs)

    @property
    def __wrapped__(self) -> Any:
        """The class's own method, for those who ask about its signature or code, such as Lightning."""
        original = vars(_home(type(self.module), self.name))[self.name]
        return original.__get__(self.module, type(self.module))

    @property
    def __code__(self) -> types.CodeType:
        """The rewritten code; torch.export reads it as that of any bound method."""
        inner = plain(self.function)
        assert inner is not None
        return inner.__code__

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.module, self.name, self.edits, self._sources())

    def _sources(self) -> Sources:
        functions = [method_of(type(self.module), self.name)[1], *(edit.function for edit in self.edits)]
        return in_memory_sources(inner for function in functions if (inner := plain(function)) is not None)


def _restored(module: nn.Module, name: str, edits: tuple[Edit, ...], sources: Sources) -> SwappedMethod:
    remember(sources)
    return SwappedMethod(module, name, edits)


def method_of(kind: type, name: str) -> tuple[bool, Any]:
    """Return whether a class's method is static, and its function, decorators included."""
    found = vars(_home(kind, name))[name]
    return (True, found.__func__) if isinstance(found, staticmethod) else (False, found)


def _home(kind: type, name: str) -> type:
    return next(base for base in kind.__mro__ if name in vars(base))


@functools.lru_cache(maxsize=1024)
def rewritten(function: Any, edits: tuple[Edit, ...], as_helper: bool) -> Any:
    """Return a copy of a function whose activations are submodules of its first argument.

    Args:
        function: the function, decorators included.
        edits: its places.
        as_helper: put the module in front of its parameters; otherwise its first parameter is the module.

    Raises:
        SwapError: the source is not the one that the places were found in.
    """
    inner = plain(function)
    node = definition(inner) if inner is not None else None
    if inner is None or node is None or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        raise SwapError(
            f"the source of {getattr(function, '__qualname__', function)} cannot be read, so its swapped "
            "activations cannot be put back"
        )
    changed: Definition = copy.deepcopy(node)
    arguments = changed.args.posonlyargs or changed.args.args
    if as_helper:
        arguments.insert(0, ast.arg(OWNER, lineno=node.lineno, col_offset=node.col_offset))
    rewriter = _Rewriter(edits, (changed.args.posonlyargs or changed.args.args)[0].arg)
    changed.body = [rewriter.visit(statement) for statement in changed.body]  # type: ignore[union-attr]
    if rewriter.open:
        raise SwapError(
            f"{place(inner)}: the source of {inner.__qualname__} has changed since its activations were "
            "swapped; swap them again"
        )
    new = rebuild(inner, changed, rewriter.helpers)
    return new if function is inner else decorated(inner, node, new)


class _Rewriter(ast.NodeTransformer):
    """Carries out the edits of one function.

    Attributes:
        open: the edits not yet carried out.
        helpers: name in the code -> rewritten helper.
    """

    def __init__(self, edits: tuple[Edit, ...], owner: str) -> None:
        self.open = {edit.key: edit for edit in edits}
        self.owner = owner
        self.helpers: dict[str, object] = {}

    def visit(self, node: ast.AST) -> Any:
        """Visit what is inside first, then carry out the node's own edit."""
        edit = self.open.pop(key_of(node), None) if isinstance(node, ast.expr) and hasattr(node, "lineno") else None
        node = self.generic_visit(node)
        if edit is not None:
            return ast.copy_location(self._replacement(node, edit), node)
        return node

    def _replacement(self, node: Any, edit: Edit) -> ast.expr:
        if edit.is_helper:
            return self._helper(edit)
        site = ast.Attribute(self._owner(), edit.site, ast.Load())
        if edit.kind == "reference":
            return site
        argument = input_of(node) if edit.kind in ("call", "in_place") else node.func.value
        assert argument is not None
        if not edit.kind.endswith("in_place"):
            return ast.Call(site, [argument], [])
        # x.copy_(f(x.clone())): the graph of f keeps a copy, since x itself is about to change
        clone = ast.Call(ast.Attribute(argument, "clone", ast.Load()), [], [])
        return ast.Call(ast.Attribute(argument, "copy_", ast.Load()), [ast.Call(site, [clone], [])], [])

    def _helper(self, edit: Edit) -> ast.expr:
        name = f"_swapped_helper_{len(self.helpers)}"
        self.helpers[name] = rewritten(edit.function, edit.edits, edit.kind == "helper")
        self.helpers["_swapped_partial"] = functools.partial
        return ast.Call(ast.Name("_swapped_partial", ast.Load()), [ast.Name(name, ast.Load()), self._owner()], [])

    def _owner(self) -> ast.expr:
        return ast.Name(self.owner, ast.Load())
