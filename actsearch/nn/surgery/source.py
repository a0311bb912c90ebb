"""A function's syntax tree, and a new function from a changed one: same globals, closure, defaults and line numbers."""

from __future__ import annotations
import __future__

import ast
import copy
import functools
import inspect
import linecache
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from actsearch.errors import SwapError

_FUTURE = functools.reduce(
    lambda flags, name: flags | getattr(__future__, name).compiler_flag, __future__.all_feature_names, 0
)
Sources = dict[str, tuple[str, ...]]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def definition(function: types.FunctionType) -> Definition | None:
    """Return the syntax tree of a function's definition; None when its source cannot be had or has changed since."""
    code = function.__code__
    lines = tuple(linecache.getlines(code.co_filename, function.__globals__))
    found = [node for node in _definitions(code.co_filename, lines).get(code.co_firstlineno, ()) if _fits(node, code)]
    if len(found) != 1:
        return None
    node = _Mangled(_class_name(function)).visit(copy.deepcopy(found[0]))
    if isinstance(node, ast.Lambda):
        return node
    return node if set(_compiled(function, node, code.co_freevars).co_names) <= set(code.co_names) else None


def rebuild(function: types.FunctionType, changed: Definition, added: Mapping[str, object]) -> types.FunctionType:
    """Return a function like ``function`` with the changed definition as its body.

    Args:
        function: the original; its globals, closure cells, defaults and attributes are shared.
        changed: its definition with another body or with parameters put in front.
        added: further names that the body uses, with their values.
    """
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells |= {name: types.CellType(value) for name, value in added.items()}
    code = _compiled(function, changed, tuple(cells))
    new = types.FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, tuple(cells[n] for n in code.co_freevars)
    )
    functools.update_wrapper(new, function)
    del vars(new)["__wrapped__"]
    new.__kwdefaults__ = function.__kwdefaults__
    return new


def decorated(function: types.FunctionType, node: Definition, new: types.FunctionType) -> Any:
    """Apply the decorators of a definition to the new function, as the class statement did to the original."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    names = {name: cell.cell_contents for name, cell in cells}
    result: Any = new
    for decorator in reversed(getattr(node, "decorator_list", [])):
        code = compile(ast.Expression(decorator), function.__code__.co_filename, "eval")
        try:
            # a piece of the model's own class statement, run once more
            result = eval(code, function.__globals__, names)(result)
        except Exception as error:
            raise SwapError(
                f"{place(function, decorator)}: the decorator `{ast.unparse(decorator)}` of {function.__qualname__} "
                f"cannot be applied again ({type(error).__name__}: {error})"
            ) from error
    return result


def place(function: types.FunctionType, node: ast.AST | None = None) -> str:
    """Return ``file:line`` of a node, or of the function itself."""
    line = getattr(node, "lineno", function.__code__.co_firstlineno)
    return f"{function.__code__.co_filename}:{line}"


def in_memory_sources(functions: Iterable[types.FunctionType]) -> Sources:
    """Return the sources that are in no file, as those of a notebook's cells, for another process to remember."""
    names = {function.__code__.co_filename for function in functions}
    return {name: tuple(linecache.getlines(name)) for name in names if not Path(name).exists()}


def remember(sources: Sources) -> None:
    """Make sources known to this process, as a notebook makes its own."""
    for name, lines in sources.items():
        if lines and not linecache.getlines(name):
            linecache.cache[name] = (sum(map(len, lines)), None, list(lines), name)


@functools.lru_cache(maxsize=256)
def _definitions(filename: str, lines: tuple[str, ...]) -> dict[int, list[Definition]]:
    """Return a file's function definitions by the line that their code objects name as first."""
    found: dict[int, list[Definition]] = {}
    try:
        tree = ast.parse("".join(lines), filename)
    except SyntaxError:
        return found
    for node in ast.walk(tree):
        if isinstance(node, Definition):
            decorators = getattr(node, "decorator_list", [])
            found.setdefault(decorators[0].lineno if decorators else node.lineno, []).append(node)
    return found


def _fits(node: Definition, code: types.CodeType) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    names = tuple(argument.arg for argument in arguments)
    return getattr(node, "name", "<lambda>") == code.co_name and names == code.co_varnames[: len(names)]


def _compiled(function: types.FunctionType, changed: Definition, free: tuple[str, ...]) -> types.CodeType:
    """Compile a definition inside a function whose parameters are the names that are free in it."""
    node = copy.deepcopy(changed)
    if isinstance(node, ast.Lambda):
        raise AssertionError("a lambda is never rewritten")
    node.decorator_list, node.returns = [], None
    # defaults and annotations belong to the enclosing scope and are taken over from the original
    node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
    node.args.kw_defaults = [default and ast.Constant(None) for default in node.args.kw_defaults]
    for argument in ast.walk(node.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    outer = ast.FunctionDef(
        name="enclosing",
        args=ast.arguments([], [ast.arg(name) for name in free], None, [], [], None, []),
        body=[node],
        decorator_list=[],
    )
    if hasattr(outer, "type_params"):
        outer.type_params = []
    module = ast.fix_missing_locations(ast.Module([outer], []))
    flags = function.__code__.co_flags & _FUTURE
    compiled = compile(module, function.__code__.co_filename, "exec", flags=flags, dont_inherit=True)
    (enclosing,) = (const for const in compiled.co_consts if isinstance(const, types.CodeType))
    return next(c for c in enclosing.co_consts if isinstance(c, types.CodeType) and c.co_name == node.name)


class _Mangled(ast.NodeTransformer):
    """Spells out private names (``__name``), which Python does only inside a class statement."""

    def __init__(self, class_name: str) -> None:
        self.prefix = f"_{class_name.lstrip('_')}" if class_name else ""

    def visit(self, node: ast.AST) -> Any:
        for field in ("id", "attr", "arg"):
            name = getattr(node, field, None)
            if self.prefix and isinstance(name, str) and name.startswith("__") and not name.endswith("__"):
                setattr(node, field, self.prefix + name)
        return self.generic_visit(node)


def _class_name(function: types.FunctionType) -> str:
    """Return the name of the class that a function was defined in, or an empty string."""
    parts = function.__qualname__.split(".")
    return parts[-2] if len(parts) > 1 and parts[-2] != "<locals>" else ""


def plain(function: object) -> types.FunctionType | None:
    """Return the Python function below decorators that used ``functools.wraps``; None when there is none."""
    inner = inspect.unwrap(function) if callable(function) else function
    return inner if isinstance(inner, types.FunctionType) else None
