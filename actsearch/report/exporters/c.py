"""A C99 header that needs the C library only: the function and its derivatives, in double and in float."""

from __future__ import annotations

import ctypes
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import sympy

import actsearch
from actsearch.compiler.build import c_compiler
from actsearch.compiler.c_templates import CONDITIONS, TEMPLATES
from actsearch.errors import ExportError
from actsearch.expr import portable
from actsearch.expr.expand import expand
from actsearch.expr.graph import Node, Program
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.program import derivative, lower
from actsearch.expr.text import format
from actsearch.report.exporters._evaluate import Array, Function
from actsearch.report.exporters._python_source import described

SUFFIX = ".h"

_LACKING = frozenset({"raw_erfcx", "raw_i0e", "raw_i1e"})
# what the C library has under its own name; where our kernels have faster functions, a header has the library's
_LIBRARY = {"raw_exp": "exp$f({0})", "abs": "fabs$f({0})", "round": "rint$f({0})"}
_OWN = ("head", "sign", "maximum", "minimum")

_TEMPLATE = """\
/* f(x) = {text}

   An activation in C99; needs <math.h> only, and a compiler without -ffast-math. Written by actsearch {version}.
{described}
     double {stem}_value(double x{double});
     double {stem}_derivative(double x{double});{others}
     float {stem}_valuef(float x{single});  and so on, in float
*/
#ifndef {guard}
#define {guard}

#include <math.h>
#include <stdint.h>
#include <string.h>
{starts}

{double_functions}

{single_functions}

#endif
"""

_HELPERS = """\
static inline {real} {prefix}head{f}({real} x) {{  /* the upper half of the significant bits */
  int{bits}_t i;
  memcpy(&i, &x, sizeof i);
  i &= -((int{bits}_t)1 << {low});
  memcpy(&x, &i, sizeof x);
  return x;
}}
static inline {real} {prefix}sign{f}({real} x) {{ return x > 0 ? 1 : x < 0 ? -1 : x; }}
static inline {real} {prefix}maximum{f}({real} a, {real} b) {{ return a > b || a != a ? a : b; }}
static inline {real} {prefix}minimum{f}({real} a, {real} b) {{ return a < b || a != a ? a : b; }}
"""

_DRIVER = """
#include "{header}"
void run(const double* x, double* y, long n, const double* p) {{
  (void)p;
  for (long i = 0; i < n; i++) y[i] = {function}(x[i]{arguments});
}}
"""


def export(expr: sympy.Expr, path: Path) -> Path:
    """Write ``NAME_value(x, parameters)``, ``NAME_derivative`` and ``NAME_derivative_PARAMETER``; NAME is the file's.

    Parameters are arguments; ``NAME_PARAMETER_START`` are their start values.
    """
    parameters, stem = parameters_of(expr), _stem(path)
    filled = _TEMPLATE.format(
        text=format(expr).replace("*/", "* /"),
        version=actsearch.__version__,
        described="".join(f"\n     {described(p)}" for p in parameters) + ("\n" if parameters else ""),
        stem=stem,
        guard=f"ACTSEARCH_{stem.upper()}_H",
        double="".join(f", double {_argument(p.name)}" for p in parameters),
        single="".join(f", float {_argument(p.name)}" for p in parameters),
        others="".join(f" and _derivative_{p.name}" for p in parameters),
        starts="".join(f"\n#define {stem}_{p.name}_START {p.start!r}" for p in parameters),
        double_functions=_functions(stem, expr, parameters, ""),
        single_functions=_functions(stem, expr, parameters, "f"),
    )
    path.write_text(filled, encoding="utf-8")
    return path


def load(path: Path) -> Function:
    """Compile the file and return its function in double; a stranger's file is a program: read it first.

    Raises:
        ExportError: there is no C compiler, or it refuses the file.
    """
    return _compiled(path, f"{_stem(path)}_value")


def load_derivative(path: Path) -> Function:
    """Compile the file and return its derivative in x."""
    return _compiled(path, f"{_stem(path)}_derivative")


def _functions(stem: str, expr: sympy.Expr, parameters: Sequence[Parameter], f: str) -> str:
    """Return the C functions of one type, after the helpers that they use."""
    program, n = lower(expr), len(parameters)
    programs = {f"{stem}_value": program, f"{stem}_derivative": derivative(program, (1,))}
    for index, parameter in enumerate(parameters):
        orders = tuple(int(place == index + 1) for place in range(n + 1))
        programs[f"{stem}_derivative_{parameter.name}"] = derivative(program, orders)
    prefix = f"{stem}_helper_"
    own = _HELPERS.format(
        real="float" if f else "double", prefix=prefix, f=f, bits=32 if f else 64, low=12 if f else 27
    )
    helpers: Mapping[str, Program] = {
        f"{prefix}{op.removeprefix('raw_')}": portable.definition(op) for op in portable.needed(programs, _LACKING)
    }
    sources = [_source(name, one, prefix, f) for name, one in {**helpers, **programs}.items()]
    used = [text for text in own.split("static inline ")[1:] if any(_name_of(text) in source for source in sources)]
    return "\n\n".join([*(f"static inline {text.strip()}" for text in used), *sources])


def _name_of(text: str) -> str:
    """Return the name that a C definition defines, with its bracket."""
    return text.split("(")[0].split()[-1] + "("


def _source(name: str, program: Program, prefix: str, f: str) -> str:
    basic, real = expand(program), "float" if f else "double"
    names: list[str] = []
    lines: list[str] = []
    for number, node in enumerate(basic.nodes):
        names.append(_name(node, number, f))
        if node.op not in ("x", "parameter", "constant"):
            kind = "int" if node.op in CONDITIONS else real
            lines.append(f"  const {kind} {names[-1]} = {_template(node.op, prefix, f).format(*_args(node, names))};")
    arguments = ", ".join(
        [f"{real} x", *(f"{real} {parameter}" for parameter in map(_argument, basic.parameter_names))]
    )
    unused = [a for a in ("x", *map(_argument, basic.parameter_names)) if a not in names]
    ignored = [f"  (void){argument};" for argument in unused]
    body = [*ignored, *lines, f"  return {names[basic.outputs[0]]};"]
    return "\n".join([f"static inline {real} {name}{f}({arguments}) {{", *body, "}"])


def _args(node: Node, names: Sequence[str]) -> list[str]:
    return [names[i] for i in node.args]


def _template(op: str, prefix: str, f: str) -> str:
    if op in _LACKING or op in _OWN:
        arguments = "{0}, {1}" if op in ("maximum", "minimum") else "{0}"
        return f"{prefix}{op.removeprefix('raw_')}{f}({arguments})"
    return _LIBRARY.get(op, TEMPLATES[op]).replace("$f", f)


def _name(node: Node, number: int, f: str) -> str:
    if node.op == "x":
        return "x"
    if node.op == "parameter":
        return _argument(str(node.value))
    if node.op != "constant":
        return f"v{number}"
    with np.errstate(over="ignore", under="ignore"):
        value = (np.float32 if f else np.float64)(float(node.value))  # type: ignore[arg-type]
    if not np.isfinite(value):
        return "NAN" if value != value else "INFINITY" if value > 0 else "(-INFINITY)"
    return f"({value!s}{f})" if value < 0 else f"{value!s}{f}"


def _argument(parameter: str) -> str:
    """Return the C name of a parameter: it could be called like something of C's own."""
    return f"p_{parameter}"


def _stem(path: Path) -> str:
    """Return the file's name as a C identifier."""
    name = re.sub(r"\W", "_", path.stem, flags=re.ASCII)
    return f"_{name}" if name[:1].isdigit() else name


def _compiled(path: Path, function: str) -> Function:
    compiler = c_compiler()
    if compiler is None:
        raise ExportError(
            "the c export cannot be compared with the original, since no C compiler was found (CC, gcc, cc, clang): "
            "install one, or write it uncompared with check=False"
        )
    n = len(re.findall(rf"^#define {_stem(path)}_\w+_START ", path.read_text(encoding="utf-8"), re.MULTILINE))
    arguments = "".join(f", p[{i}]" for i in range(n))
    with tempfile.TemporaryDirectory() as folder:
        driver, made = Path(folder) / "driver.c", Path(folder) / "driver.so"
        driver.write_text(_DRIVER.format(header=path.resolve(), function=function, arguments=arguments))
        flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-fPIC", "-shared"]
        command = [*compiler.command, *flags, str(driver), "-o", str(made), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            told = next((line for line in done.stderr.splitlines() if "error:" in line), done.stderr.strip())
            raise ExportError(f"the C compiler refuses the header: {told}")
        run = ctypes.CDLL(str(made)).run
    pointer = np.ctypeslib.ndpointer(np.float64, flags="C")
    run.argtypes, run.restype = [pointer, pointer, ctypes.c_long, pointer], None

    def computed(points: Array, *values: float) -> Array:
        x, given = np.ascontiguousarray(points, dtype=np.float64), np.array([*values, 0.0])
        y = np.empty_like(x)
        run(x, y, x.size, given)
        return y

    return computed
