"""A Python file that builds the expression in SymPy's own functions; it needs SymPy and nothing else."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from typing import Any

import sympy
from sympy.printing.str import StrPrinter

import actsearch
from actsearch.expr.functions import x
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.text import format
from actsearch.report.exporters._evaluate import Function, by_mpmath

SUFFIX = "_sympy.py"

_TEMPLATE = '''\
"""f(x) = {text}

Written by actsearch {version}; needs SymPy only. ``expression`` is f(x), ``start`` the parameters' start values.
"""

from sympy import {names}

x = Symbol("x", real=True)
{symbols}
expression = {expression}
start = {{{starts}}}
'''


def export(expr: sympy.Expr, path: Path) -> Path:
    """Write a Python file with ``expression`` (elementary functions) and ``start`` (parameter -> start value)."""
    parameters = parameters_of(expr)
    body = _Printer().doprint(expr.rewrite("elementary"))
    variables = {parameter: _variable(parameter) for parameter in parameters}
    symbols = "".join(_symbol(parameter, variable) for parameter, variable in variables.items())
    names = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)}
    imports = sorted({"Symbol", *names} - {"x", *variables.values()})
    starts = ", ".join(f"{variable}: {parameter.start!r}" for parameter, variable in variables.items())
    filled = _TEMPLATE.format(
        text=format(expr),
        version=actsearch.__version__,
        names=", ".join(imports),
        symbols=symbols,
        expression=body,
        starts=starts,
    )
    path.write_text(filled, encoding="utf-8")
    return path


def load(path: Path) -> Function:
    """Run the file and return its function, computed by mpmath; a file from a stranger is a program: read it first."""
    found = runpy.run_path(str(path))
    expression = found["expression"].xreplace({sympy.Symbol("x", real=True): x})
    return by_mpmath(expression, sorted(found["start"], key=lambda symbol: str(symbol.name)))


def _variable(parameter: sympy.Symbol) -> str:
    """Return the Python name of a parameter; one that SymPy has as a function must not hide it."""
    return f"{parameter.name}_" if hasattr(sympy, parameter.name) else str(parameter.name)


def _symbol(parameter: Parameter, variable: str) -> str:
    known = "real=True" if parameter.constraint == "real" else "positive=True"
    allowed = {"real": "", "positive": ", above 0", "unit": ", between 0 and 1"}[parameter.constraint]
    return f'{variable} = Symbol("{parameter.name}", {known})  # one for each {parameter.granularity}{allowed}\n'


class _Printer(StrPrinter):  # type: ignore[misc]
    """SymPy's printer, with numbers that Python reads back without loss."""

    def _print_Float(self, expr: Any) -> str:
        return repr(float(expr))

    def _print_Rational(self, expr: Any) -> str:
        return f"Rational({expr.p}, {expr.q})"

    def _print_Integer(self, expr: Any) -> str:
        return str(expr.p)

    def _print_Symbol(self, expr: Any) -> str:
        return _variable(expr) if isinstance(expr, Parameter) else str(expr.name)

    _print_Parameter = _print_Symbol
