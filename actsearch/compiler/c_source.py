"""Programs as C for the CPU: one loop a kernel, written so that GCC vectorises it.

A kernel reads each input element once and writes each result once; subexpressions are shared between a function and
its derivatives. Four kernels serve one program and one type:

- ``value`` and ``slopes``: every parameter is one number,
- ``value_channel`` and ``slopes_channel``: a number a channel; the input is (outer, channels, inner).

``slopes`` multiplies by the incoming gradient, writes the input's gradient, and adds the parameters' gradients up in
float64 over blocks that depend on the shape alone, so that sums do not depend on the number of threads; for float64
they are compensated (Kahan). Half-precision bfloat16 is computed in float32. Nothing is contracted to fused
multiply-adds (``-ffp-contract=off``), and NaN and infinity are as IEEE 754 has them: no fast-math.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from actsearch.compiler.c_simplify import simplify
from actsearch.compiler.c_templates import CONDITIONS, TEMPLATES, VECTOR, helper
from actsearch.compiler.torch_source import number_source
from actsearch.expr.expand import expand
from actsearch.expr.graph import Node, Program

#: Elements of a block, in which parameter gradients are summed before the blocks are.
BLOCK = 4096
_LANES = 64  # partial sums in a block; GCC unrolls shorter loops before it could vectorise them
TYPES = {"float32": "float", "float64": "double", "bfloat16": "uint16_t"}

_BFLOAT16 = """
static inline real load(item h) { union { uint32_t i; float f; } u = { (uint32_t)h << 16 }; return u.f; }
static inline item store(real x) {
  union { float f; uint32_t i; } u = { x };
  return x != x ? 0x7fc0 : (item)((u.i + 0x7fff + ((u.i >> 16) & 1)) >> 16);
}"""
_PLAIN = """
static inline real load(item x) { return x; }
static inline item store(real x) { return x; }"""
# the float64 sum of float32 numbers has 29 bits to spare; that of float64 numbers is compensated
_FUSED = """
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define FUSED
#define MADD(a, b, c) __builtin_fma{f}(a, b, c)
#else
#define MADD(a, b, c) ((a) * (b) + (c))
#endif"""
_ADD = {
    False: "#define ADD(s, c, v) s += (double)(v)",
    True: "#define ADD(s, c, v) { double t_ = (v) - c, u_ = s + t_; c = (u_ - s) - t_; s = u_; }",
}


def prelude(dtype: str, bodies: Sequence[str], vectors: bool = True) -> str:
    """Return what stands before the kernels: types, prototypes, and the helpers that ``bodies`` use.

    Args:
        dtype: a name of :data:`TYPES`.
        bodies: what :func:`kernels` returned, for one program or several.
        vectors: declare the C library's functions as having vector forms.
    """
    double = dtype == "float64"
    real, f = ("double", "") if double else ("float", "f")
    words = set(re.findall(r"\w+", "\n".join(bodies)))
    helpers = [text for name in sorted(words) if (text := helper(name, double)) is not None]
    used = words | set(re.findall(r"\w+", "\n".join(helpers)))
    arities = {**dict.fromkeys(VECTOR, 1), "pow": 2}
    prototypes = [
        f'__attribute__((simd("notinbranch"), const)) {real} {name}{f}({", ".join([real] * arity)});'
        for name, arity in arities.items()
        if vectors and f"{name}{f}" in used
    ]
    return "\n".join(
        [
            "#include <stdint.h>",
            "#include <math.h>",
            "#undef I",
            f"typedef {real} real;",
            f"typedef {TYPES[dtype]} item;",
            _ADD[double],
            _FUSED.replace("{f}", f),
            *prototypes,
            _BFLOAT16 if dtype == "bfloat16" else _PLAIN,
            *helpers,
        ]
    )


def kernels(name: str, value: Program, slopes: Program, dtype: str) -> str:
    """Return the C source of a program's kernels, named ``NAME_value`` and so on.

    Args:
        name: a C identifier.
        value: a program of one output.
        slopes: its derivatives in x and in each parameter.
        dtype: ``"float32"``, ``"float64"`` or ``"bfloat16"``.

    Raises:
        KeyError: an operation has no C template.
    """
    f = "" if dtype == "float64" else "f"
    n = len(value.parameters)
    parts = [_function(f"{name}_f", value, f), _function(f"{name}_d", slopes, f), _flat(name, n, dtype)]
    return "\n".join([*parts, *([_channel(name, n, dtype)] if n else [])])


def _function(name: str, program: Program, f: str) -> str:
    """Return an inline function that leaves the outputs in the struct ``NAME_t``."""
    basic = simplify(expand(program))
    names: list[str] = []
    lines: list[str] = []
    for number, node in enumerate(basic.nodes):
        names.append(_name(node, number, basic, f))
        if node.op not in ("x", "parameter", "constant"):
            kind = "int" if node.op in CONDITIONS else "real"
            text = TEMPLATES[node.op].replace("$f", f).format(*(names[i] for i in node.args))
            lines.append(f"  {kind} {names[-1]} = {text};")
    fields = ", ".join(f"o{i}" for i in range(len(basic.outputs)))
    arguments = ", ".join(["real x", *(f"real p{i}" for i in range(len(program.parameters)))])
    results = ", ".join(names[i] for i in basic.outputs)
    return "\n".join(
        [
            f"typedef struct {{ real {fields}; }} {name}_t;",
            f"static inline {name}_t {name}({arguments}) {{",
            *lines,
            f"  return ({name}_t){{ {results} }};",
            "}",
        ]
    )


def _name(node: Node, number: int, program: Program, f: str) -> str:
    if node.op == "x":
        return "x"
    if node.op == "parameter":
        return f"p{program.parameter_names.index(str(node.value))}"
    if node.op != "constant":
        return f"v{number}"
    text = number_source(float(node.value))  # type: ignore[arg-type]
    if text.startswith(("math", "-math")):
        return {"math.nan": "NAN", "math.inf": "INFINITY", "-math.inf": "(-INFINITY)"}[text]
    text = text if any(c in text for c in ".e") else f"{text}.0"
    return f"({text}{f})" if text.startswith("-") else f"{text}{f}"


def _flat(name: str, n: int, dtype: str) -> str:
    call = ", ".join(["load(x[i])", *(f"p{j}" for j in range(n))])
    numbers = [f"  const real p{j} = p[{j}][0];" for j in range(n)]
    value = [
        f"void {name}_value(const item* restrict x, item* restrict y, const real* const* p, int64_t n) {{",
        *numbers,
        f"  for (int64_t i = 0; i < n; i++) y[i] = store({name}_f({call}).o0);",
        "}",
    ]
    arguments = "const item* restrict x, const item* restrict g, item* restrict gx, const real* const* p"
    if not n:
        body = [f"  for (int64_t i = 0; i < n; i++) gx[i] = store(load(g[i]) * {name}_d({call}).o0);"]
    else:
        lanes = "".join(f" ADD(s{j}[l], c{j}[l], gi * d.o{j + 1});" for j in range(n))
        step = f"const real gi = load(g[i]); const {name}_d_t d = {name}_d({call}); gx[i] = store(gi * d.o0);"
        body = [
            *(f"  double s{j}[{_LANES}] = {{0}}, c{j}[{_LANES}] = {{0}};" for j in range(n)),
            "  int64_t at = 0;",
            f"  for (; at + {_LANES} <= n; at += {_LANES})",
            f"    for (int l = 0; l < {_LANES}; l++) {{ const int64_t i = at + l; {step}{lanes} }}",
            f"  for (int l = 0; at + l < n; l++) {{ const int64_t i = at + l; {step}{lanes} }}",
            *(f"  sums[{j}] = 0; for (int l = 0; l < {_LANES}; l++) sums[{j}] += s{j}[l] - c{j}[l];" for j in range(n)),
        ]
    slopes = [f"void {name}_slopes({arguments}, double* restrict sums, int64_t n) {{", *numbers, *body, "}"]
    return "\n".join([*value, *slopes])


def _channel(name: str, n: int, dtype: str) -> str:
    """Return the kernels of ``outer`` rows of (channels, inner); ``sums`` is (parameters, channels)."""
    row = [f"real p{j} = p[{j}][c]" for j in range(n)]
    numbers = " ".join(f"const {text};" for text in row)
    call = ", ".join(["load(x[i])", *(f"p{j}" for j in range(n))])
    value = [
        f"void {name}_value_channel(const item* restrict x, item* restrict y, const real* const* p, int64_t outer,",
        "  int64_t channels, int64_t inner) {",
        *(f"  const real* restrict q{j} = p[{j}];" for j in range(n)),
        "  if (inner == 1) {",
        "    for (int64_t o = 0; o < outer; o++, x += channels, y += channels)",
        f"      for (int64_t i = 0; i < channels; i++) y[i] = store({name}_f({_indexed(n)}).o0);",
        "    return;",
        "  }",
        "  for (int64_t o = 0; o < outer; o++)",
        "    for (int64_t c = 0; c < channels; c++, x += inner, y += inner) {",
        f"      {numbers}",
        f"      for (int64_t i = 0; i < inner; i++) y[i] = store({name}_f({call}).o0);",
        "    }",
        "}",
    ]
    step = "const real gi = load(g[i]);"
    across = "".join(f" ADD(t{j}[i], u{j}[i], gi * d.o{j + 1});" for j in range(n))
    within = "".join(f" ADD(s{j}[l], c{j}[l], gi * d.o{j + 1});" for j in range(n))
    lanes = f"{step} const {name}_d_t d = {name}_d({call}); gx[i] = store(gi * d.o0);{within}"
    slopes = [
        f"void {name}_slopes_channel(const item* restrict x, const item* restrict g, item* restrict gx,",
        "  const real* const* p, double* restrict sums, double* restrict rests, int64_t outer, int64_t channels,",
        "  int64_t inner) {",
        *(f"  const real* restrict q{j} = p[{j}];" for j in range(n)),
        *(
            f"  double* restrict t{j} = sums + {j} * channels; double* restrict u{j} = rests + {j} * channels;"
            for j in range(n)
        ),
        "  if (inner == 1) {",
        "    for (int64_t o = 0; o < outer; o++, x += channels, g += channels, gx += channels)",
        "      for (int64_t i = 0; i < channels; i++) {",
        f"        {step} const {name}_d_t d = {name}_d({_indexed(n)}); gx[i] = store(gi * d.o0);{across}",
        "      }",
        "    return;",
        "  }",
        "  for (int64_t o = 0; o < outer; o++)",
        "    for (int64_t c = 0; c < channels; c++, x += inner, g += inner, gx += inner) {",
        f"      {numbers}",
        *(f"      double s{j}[{_LANES}] = {{0}}, c{j}[{_LANES}] = {{0}};" for j in range(n)),
        "      int64_t at = 0;",
        f"      for (; at + {_LANES} <= inner; at += {_LANES})",
        f"        for (int l = 0; l < {_LANES}; l++) {{ const int64_t i = at + l; {lanes} }}",
        f"      for (int l = 0; at + l < inner; l++) {{ const int64_t i = at + l; {lanes} }}",
        *(
            f"      for (int l = 0; l < {_LANES}; l++) {{ ADD(t{j}[c], u{j}[c], s{j}[l]); ADD(t{j}[c], u{j}[c], -c{j}[l]); }}"
            for j in range(n)
        ),
        "    }",
        "}",
    ]
    return "\n".join([*value, *slopes])


def _indexed(n: int) -> str:
    return ", ".join(["load(x[i])", *(f"q{j}[i]" for j in range(n))])
