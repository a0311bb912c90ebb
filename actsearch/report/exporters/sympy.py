"""A Python file that builds the expression in SymPy's own functions; it needs SymPy and nothing else.

The formula is the textbook one, exact as mathematics, and the comparison proves that and no more: mpmath computes it
with 360 digits. In floats, as ``lambdify`` makes it, it may be inf/inf in tails; the NumPy and torch exports are not.
"""

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
It is for algebra: computed in floats, as by lambdify, the textbook formula may overflow where |x| is large.
"""

from sympy import {names}

x = Symbol("x", real=True)
{symbols}
expression = {expression}
start = {{{starts}}}
'''


def export(expr: sympy.Expr, path: Path) -> Path:
    """Write a Python file with ``expression`` (elementary functions) and ``start`` (parameter -> start value)."""
    elementary = expr.rewrite("elementary")
    parameters = parameters_of(expr)
    neutral = {p: _like(p, f"parameter_{index}") for index, p in enumerate(parameters)}
    imports = {"Symbol", *_names(elementary.xreplace(neutral))} - {"x", *(symbol.name for symbol in neutral.values())}
    # a parameter called like a function that the formula uses must not hide it
    variables = {p: _like(p, f"{p.name}_" if p.name in imports else p.name) for p in parameters}
    symbols = "".join(_symbol(parameter, variable.name) for parameter, variable in variables.items())
    starts = ", ".join(f"{variable}: {parameter.start!r}" for parameter, variable in variables.items())
    filled = _TEMPLATE.format(
        text=format(expr),
        version=actsearch.__version__,
        names=", ".join(sorted(imports)),
        symbols=symbols,
        expression=_Printer().doprint(elementary.xreplace(variables)),
        starts=starts,
    )
    path.write_text(filled, encoding="utf-8")
    return path


def load(path: Path) -> Function:
    """Run the file and return its function, computed by mpmath; a file from a stranger is a program: read it first."""
    found = runpy.run_path(str(path))
    expression = found["expression"].xreplace({sympy.Symbol("x", real=True): x})
    return by_mpmath(expression, sorted(found["start"], key=lambda symbol: str(symbol.name)))


def _like(parameter: Parameter, name: str) -> sympy.Symbol:
    """Return a plain symbol that SymPy treats as it treats the parameter."""
    return sympy.Symbol(name, real=True) if parameter.constraint == "real" else sympy.Symbol(name, positive=True)


def _names(expr: sympy.Expr) -> set[str]:
    """Return the names that an expression's Python text uses."""
    return {node.id for node in ast.walk(ast.parse(_Printer().doprint(expr))) if isinstance(node, ast.Name)}


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
