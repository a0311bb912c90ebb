"""A stand-alone Python module that needs NumPy only: ``activation`` and ``derivatives``, in float32 and float64."""

from __future__ import annotations

import runpy
from pathlib import Path

import sympy

import actsearch
from actsearch.expr.differentiate import gradient
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import lower
from actsearch.expr.text import format
from actsearch.report.exporters._evaluate import Function
from actsearch.report.exporters._python_source import Dialect, described, functions, parameter_source

SUFFIX = "_numpy.py"

_HEAD = '''\
def head(u):
    """Return the upper half of the significant bits of u: products of such halves are exact."""
    u = np.asarray(u)
    if u.dtype == np.float64:
        return (np.ascontiguousarray(u).view(np.int64) & -(2**27)).view(np.float64).reshape(u.shape)
    return (np.ascontiguousarray(u).view(np.int32) & -(2**12)).view(np.float32).reshape(u.shape)'''

NUMPY = Dialect(
    module="np",
    helpers={"head": _HEAD},
    lacking=frozenset({"erf", "raw_erfc", "raw_erfcx", "raw_i0e", "raw_i1e"}),
    special={},
    numbers="np.where({0}, {1}, {2}).astype(x.dtype)",
    number="{0}",
    spread="np.broadcast_to({0}, x.shape).astype(x.dtype)",
    taken=frozenset({"np", "activation", "derivatives", "start"}),
)

_TEMPLATE = '''\
"""f(x) = {text}

An activation for NumPy, which is all it needs. Written by actsearch {version}.
{described}
    from {stem} import activation, derivatives
    y = activation(x{example})
"""

import numpy as np

start = {start}


def activation(x{arguments}):
    """Return f(x), in the shape of x; float16 is computed in float32, whole numbers in float64."""
    return _called(_value, x{names})


def derivatives(x{arguments}):
    """Return {returned}, in the shape of x."""
    return _called(_gradient, x{names})


def _called(function, x, *parameters):
    x = np.asarray(x)
    wide = {{"e": np.float32, "f": np.float32}}.get(x.dtype.char, np.float64)
    given = x.dtype if x.dtype.kind == "f" else wide
    with np.errstate(all="ignore"):  # branches that are not taken may overflow
        result = function(x.astype(wide), *(np.asarray(p).astype(wide) for p in parameters))
        return tuple(r.astype(given) for r in result) if isinstance(result, tuple) else result.astype(given)


{functions}
'''


def export(expr: sympy.Expr, path: Path) -> Path:
    """Write ``activation(x, parameter=start, ...)`` and ``derivatives``: in x and in each parameter."""
    program, parameters = lower(expr), parameters_of(expr)
    names = [NUMPY.argument(p.name) for p in parameters]
    filled = _TEMPLATE.format(
        text=format(expr),
        version=actsearch.__version__,
        described="".join(f"\n    {described(p)}" for p in parameters) + ("\n" if parameters else ""),
        stem=path.stem,
        example="".join(f", {name}={p.start!r}" for name, p in zip(names, parameters, strict=True)),
        start=parameter_source(parameters, NUMPY),
        arguments="".join(f", {name}={p.start!r}" for name, p in zip(names, parameters, strict=True)),
        names="".join(f", {name}" for name in names),
        returned="(df/dx, " + ", ".join(f"df/d{name}" for name in names) + ")" if names else "df/dx",
        functions=functions(NUMPY, {"_value": program, "_gradient": gradient(program)}),
    )
    path.write_text(filled, encoding="utf-8")
    return path


def load(path: Path) -> Function:
    """Run the file and return its function in float64; a stranger's file is a program: read it first."""
    activation: Function = runpy.run_path(str(path))["activation"]
    return activation


def load_derivative(path: Path) -> Function:
    """Return the file's derivative in x."""
    derivatives = runpy.run_path(str(path))["derivatives"]

    def function(points, *values):  # type: ignore[no-untyped-def]
        result = derivatives(points, *values)
        return result[0] if isinstance(result, tuple) else result

    return function
