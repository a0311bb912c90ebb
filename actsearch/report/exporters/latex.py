r"""LaTeX that stands alone: f(x), and below it the definition of every function that is not textbook notation.

Read-back: the file is read by our own reader of the LaTeX that this exporter writes (``_latex_reader.py``), with the
definitions taken from the file, and computed by mpmath. Nothing of the original expression enters that check.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter, translate

import actsearch
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.text import format
from actsearch.expr.whole import Whole
from actsearch.report.exporters._evaluate import Function, by_mpmath
from actsearch.report.exporters._latex_reader import read

SUFFIX = ".tex"
_T = sympy.Symbol("t", real=True)


def export(expr: sympy.Expr, path: Path) -> Path:
    r"""Write an ``aligned`` block for a display formula (needs amsmath), with comments that tell the parameters."""
    printer = _Printer()
    parameters = parameters_of(expr)
    lines = [rf"f(x) &= {printer.doprint(expr)}"]
    lines += [rf"{_name(kind)}(t) &= {printer.doprint(_definition(kind))}" for kind in _wholes(expr)]
    comments = [f"% {format(expr)}", f"% written by actsearch {actsearch.__version__}; needs amsmath"]
    comments += [
        f"% parameter {printer.doprint(parameter)} : {parameter.name}, starts at {parameter.start!r}, "
        f"{parameter.constraint}, one for each {parameter.granularity}"
        for parameter in parameters
    ]
    body = " \\\\\n".join(f"  {line}" for line in lines)
    text = "\n".join([*comments, r"\begin{aligned}", body, r"\end{aligned}", ""])
    path.write_text(text, encoding="utf-8")
    return path


def load(path: Path) -> Function:
    """Return the function that the LaTeX means, computed by mpmath.

    Raises:
        ExportError: the file holds LaTeX outside the part that ``export`` writes.
    """
    expression, parameters = read(path.read_text(encoding="utf-8"))
    return by_mpmath(expression, parameters)


def _wholes(expr: sympy.Expr) -> list[type[Whole]]:
    """Return the classes of functions kept whole, in the order of their names; a definition may need another."""
    found: set[type[Whole]] = set()
    waiting = [expr]
    while waiting:
        for function in waiting.pop().atoms(Whole):
            if type(function) not in found:
                found.add(type(function))
                waiting.append(_definition(type(function)))
    return sorted(found, key=lambda kind: kind.__name__)


def _definition(kind: type[Whole]) -> sympy.Expr:
    return kind(_T).rewrite("elementary")


def _name(kind: type[Whole]) -> str:
    return str(kind.latex_name)


class _Printer(LatexPrinter):  # type: ignore[misc]
    """SymPy's printer with full numbers, brackets that tell a call from a product, and names as one symbol."""

    printmethod = "_no_method"  # a class's own _latex doesn't put the braces that the reader goes by

    def _print_Function(self, expr: Any, exp: str | None = None) -> str:
        if not isinstance(expr, Whole):
            return str(super()._print_Function(expr, exp))
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"{_name(type(expr))}{power}{{\left({self._print(expr.args[0])} \right)}}"

    def _print_Float(self, expr: Any) -> str:
        mantissa, _, exponent = repr(float(expr)).partition("e")
        return rf"\left({mantissa} \cdot 10^{{{int(exponent)}}}\right)" if exponent else mantissa

    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:
        return _symbol(expr.name) if isinstance(expr, Parameter) else str(expr.name)

    _print_Parameter = _print_Symbol

    def _print_Exp1(self, expr: Any) -> str:
        return "e"

    def _print_Pi(self, expr: Any) -> str:
        return r"\pi"


def _symbol(name: str) -> str:
    """Return a parameter's name as one LaTeX symbol: a letter or Greek letter with an index, else upright letters."""
    base, _, index = name.partition("_")
    letter = translate(base)
    is_letter = len(base) == 1 or letter.startswith("\\")
    if not is_letter or (index and not index.isalnum()):
        return rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"
    return f"{letter}_{{{index}}}" if index else letter
