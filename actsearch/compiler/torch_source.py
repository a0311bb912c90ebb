"""Programs as torch source: one readable line an operation, each subexpression once, any device and dtype."""

from __future__ import annotations

import keyword
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from actsearch.expr.expand import expand
from actsearch.expr.graph import Node, Program
from actsearch.expr.ops import OPS

_INFIX = frozenset({"add", "sub", "mul", "div", "plus", "minus", "times", "lt", "le", "eq", "and", "or", "neg", "not"})
_TAKEN = frozenset({"torch", "math", "x", "head"})
_HEAD = """def head(u):
    \"\"\"Return the upper half of the significant bits of u: products of such halves are exact.\"\"\"
    if u.dtype == torch.float64:
        return (u.view(torch.int64) & -(2**27)).view(torch.float64)
    return (u.view(torch.int32) & -(2**12)).view(torch.float32)"""
_CLAMP = {"maximum": "torch.clamp({0}, min={1})", "minimum": "torch.clamp({0}, max={1})"}


def function_source(name: str, program: Program) -> str:
    """Return the source of a torch function ``name(x, *parameters)`` that computes the outputs of ``program``.

    The function returns one tensor for a program of one output, else a tuple; each has the shape and dtype of ``x``.

    Example:
        >>> from actsearch.expr import parse
        >>> from actsearch.expr.program import lower
        >>> print(function_source("value", lower(parse("max(x, 0) + cos(x)"))))
        def value(x):
            maximum_1 = torch.clamp(x, min=0.0)
            cos_1 = torch.cos(x)
            add_1 = maximum_1 + cos_1
            return add_1
    """
    basic = expand(program)
    arguments = ["x", *(argument_name(parameter) for parameter in basic.parameter_names)]
    printer = _Printer(basic)
    results = [printer.result(i) for i in basic.outputs]
    returned = ", ".join(results) if len(results) == 1 else f"({', '.join(results)})"
    body = [*printer.lines, f"return {returned}"]
    return "\n".join([f"def {name}({', '.join(arguments)}):", *(f"    {line}" for line in body)])


def argument_name(parameter: str) -> str:
    """Return the Python name of a parameter: its own, unless the source needs that name for itself."""
    if not parameter.isidentifier():
        raise AssertionError(f"{parameter!r} is not a name")
    # a temporary is an operation and a number, joined by "_"
    temporary = parameter.rpartition("_")[0] in OPS and parameter.rpartition("_")[2].isdigit()
    return f"{parameter}_" if parameter in _TAKEN or keyword.iskeyword(parameter) or temporary else parameter


def load(source: str) -> dict[str, Callable[..., Any]]:
    """Return the functions that generated source defines."""
    namespace: dict[str, Any] = {"torch": __import__("torch"), "math": math}
    exec(compile(source, "<actsearch>", "exec"), namespace)  # made of the tables' templates and checked names only
    return {name: value for name, value in namespace.items() if callable(value)}


class _Printer:
    """The lines of one function."""

    def __init__(self, program: Program) -> None:
        self.lines: list[str] = []
        self.nodes = program.nodes
        self.names: list[str] = []
        self.uses_x: list[bool] = []
        self._counter: Counter[str] = Counter()
        for node in program.nodes:
            self.names.append(self._print(node))
            self.uses_x.append(node.op == "x" or any(self.uses_x[i] for i in node.args))

    def _print(self, node: Node) -> str:
        if node.op == "x":
            return "x"
        if node.op == "parameter":
            return argument_name(str(node.value))
        if node.op == "constant":
            return number_source(float(node.value))  # type: ignore[arg-type]
        short = node.op.removeprefix("raw_")
        self._counter[short] += 1
        name = f"{short}_{self._counter[short]}"
        self.lines.append(f"{name} = {self._expression(node)}")
        return name

    def _expression(self, node: Node) -> str:
        args = [self.names[i] for i in node.args]
        constant = [self.nodes[i].op == "constant" for i in node.args]
        if node.op in _CLAMP and any(constant):
            return _CLAMP[node.op].format(*(args if constant[1] else args[::-1]))
        if node.op == "select" and constant[1] and constant[2]:  # two numbers would take torch's default dtype
            return f"torch.where({args[0]}, x.new_full((), {args[1]}), {args[2]})"
        template = OPS[node.op].torch
        assert template is not None, f"{node.op} is not a basic operation"
        return template.format(*(_bracketed(arg) if node.op in _INFIX else arg for arg in args))

    def result(self, index: int) -> str:
        """Return the source of an output, in the shape of ``x`` and never ``x`` itself."""
        if self.nodes[index].op == "constant":
            return f"torch.full_like(x, {self.names[index]})"
        if self.nodes[index].op == "x":
            return "torch.clone(x)"
        return self.names[index] if self.uses_x[index] else f"torch.zeros_like(x) + {self.names[index]}"


def number_source(number: float) -> str:
    """Return a float as source, infinity and NaN included."""
    if math.isnan(number):
        return "math.nan"
    return repr(number) if math.isfinite(number) else ("math.inf" if number > 0 else "-math.inf")


def _bracketed(arg: str) -> str:
    return f"({arg})" if arg.startswith("-") else arg


def module_source(functions: Sequence[tuple[str, Program]]) -> str:
    """Return a module of several functions."""
    sources = [function_source(name, program) for name, program in functions]
    helpers = [_HEAD] if any("head(" in source for source in sources) else []
    return "\n\n\n".join(["import math\n\nimport torch", *helpers, *sources]) + "\n"
