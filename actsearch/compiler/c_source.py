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
_FILL = """
static inline const {kind}* fill_{kind}(const {kind}* from, {kind}* room, int m) {{
  for (int l = 0; l < {lanes}; l++) room[l] = from[l < m ? l : 0];
  return room;
}}"""
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
    helpers = list(dict.fromkeys(text for name in sorted(words) if (text := helper(name, double)) is not None))
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
            "#include <string.h>",
            "#include <math.h>",
            "#undef I",
            f"typedef {real} real;",
            f"typedef {TYPES[dtype]} item;",
            _ADD[double],
            _FUSED.replace("{f}", f),
            *prototypes,
            _BFLOAT16 if dtype == "bfloat16" else _PLAIN,
            *(_FILL.format(kind=kind, lanes=_LANES) for kind in ("item", "real")),
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
    parts = [_function(f"{name}_f", value, f), _function(f"{name}_d", slopes, f), _flat(name, n)]
    return "\n".join([*parts, *([_channel(name, n)] if n else [])])


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


def _flat(name: str, n: int) -> str:
    """Return the kernels of parameters that are one number each; ``sums`` holds a number a parameter."""
    numbers = [f"  const real p{j} = p[{j}][0];" for j in range(n)]
    call = ", ".join(["load(a[l])", *(f"p{j}" for j in range(n))])
    return "\n".join(
        [
            f"void {name}_value(const item* x, item* y, const real* const* p, int64_t n) {{",
            *numbers,
            *_strips("n", {"a": "x"}, "y", f"z[l] = store({name}_f({call}).o0);"),
            "}",
            f"void {name}_slopes(const item* x, const item* g, item* y, const real* const* p, double* sums,",
            "  int64_t n) {",
            *numbers,
            *_lanes(n),
            *_strips("n", {"a": "x", "b": "g"}, "y", _step(name, call, n)),
            *(f"  sums[{j}] = 0; for (int l = 0; l < {_LANES}; l++) sums[{j}] += s{j}[l] - c{j}[l];" for j in range(n)),
            "}",
        ]
    )


def _channel(name: str, n: int) -> str:
    """Return the kernels of ``outer`` rows of (channels, inner); ``sums`` is (parameters, channels)."""
    numbers = " ".join(f"const real p{j} = p[{j}][c];" for j in range(n))
    tables = {f"r{j}": f"p[{j}]" for j in range(n)}
    one = ", ".join(["load(a[l])", *(f"p{j}" for j in range(n))])
    many = ", ".join(["load(a[l])", *(f"r{j}[l]" for j in range(n))])
    keep = "".join(f" e{j}[l] = gi * d.o{j + 1};" for j in range(n))
    add = "".join(f" ADD(sums[{j} * channels + at + l], rests[{j} * channels + at + l], e{j}[l]);" for j in range(n))
    rows = "for (int64_t o = 0; o < outer; o++"
    each = "for (int64_t c = 0; c < channels; c++"
    total = [
        f"    for (int l = 0; l < {_LANES}; l++) {{"
        f" ADD(sums[{j} * channels + c], rests[{j} * channels + c], s{j}[l]);"
        f" ADD(sums[{j} * channels + c], rests[{j} * channels + c], -c{j}[l]); }}"
        for j in range(n)
    ]
    return "\n".join(
        [
            f"void {name}_value_channel(const item* x, item* y, const real* const* p, int64_t outer, int64_t channels,",
            "  int64_t inner) {",
            f"  if (inner == 1) {{ {rows}, x += channels, y += channels) {{",
            *_strips("channels", {"a": "x", **tables}, "y", f"z[l] = store({name}_f({many}).o0);"),
            f"  }} }} else {rows}) {each}, x += inner, y += inner) {{ {numbers}",
            *_strips("inner", {"a": "x"}, "y", f"z[l] = store({name}_f({one}).o0);"),
            "  }",
            "}",
            f"void {name}_slopes_channel(const item* x, const item* g, item* y, const real* const* p, double* sums,",
            "  double* rests, int64_t outer, int64_t channels, int64_t inner) {",
            f"  if (inner == 1) {{ {rows}, x += channels, g += channels, y += channels) {{",
            *(f"    real e{j}[{_LANES}];" for j in range(n)),
            *_strips(
                "channels",
                {"a": "x", "b": "g", **tables},
                "y",
                f"const real gi = load(b[l]); const {name}_d_t d = {name}_d({many}); z[l] = store(gi * d.o0);{keep}",
                f"for (int l = 0; l < m; l++) {{{add} }}",
            ),
            f"  }} }} else {rows}) {each}, x += inner, g += inner, y += inner) {{ {numbers}",
            *_lanes(n),
            *_strips("inner", {"a": "x", "b": "g"}, "y", _step(name, one, n)),
            *total,
            "  }",
            "}",
        ]
    )


def _lanes(n: int) -> list[str]:
    return [f"  double s{j}[{_LANES}] = {{0}}, c{j}[{_LANES}] = {{0}};" for j in range(n)]


def _step(name: str, call: str, n: int) -> str:
    """Return the body that writes the input's gradient and adds the parameters' up, lane by lane."""
    sums = "".join(f" ADD(s{j}[l], c{j}[l], l < m ? gi * d.o{j + 1} : 0);" for j in range(n))
    return f"const real gi = load(b[l]); const {name}_d_t d = {name}_d({call}); z[l] = store(gi * d.o0);{sums}"


def _strips(length: str, read: dict[str, str], write: str, body: str, after: str = "") -> list[str]:
    """Return a loop over strips of as many elements as there are lanes; the last one is filled up beside the arrays.

    So an element goes through the same instructions wherever it stands: its bits depend on its value alone, neither on
    the length of the array nor on how threads share it.

    Args:
        length: how many elements there are.
        read: name in the body, of the array that it stands for; ``a`` and ``b`` are items, the others real numbers.
        write: the array that ``z`` stands for.
        body: what is done for the lane ``l``; ``m`` lanes count.
        after: what is done after each strip.
    """
    kinds = {name: "item" if name in ("a", "b") else "real" for name in read}
    filled = "".join(f" {name} = fill_{kinds[name]}({name}, {name}_, m);" for name in read)
    return [
        f"  for (int64_t at = 0; at < {length}; at += {_LANES}) {{",
        f"    const int m = {length} - at < {_LANES} ? (int)({length} - at) : {_LANES};",
        *(
            f"    const {kinds[name]}* {name} = {array} + at; {kinds[name]} {name}_[{_LANES}];"
            for name, array in read.items()
        ),
        f"    item* z = {write} + at; item z_[{_LANES}];",
        f"    if (m < {_LANES}) {{{filled} z = z_; }}",
        "    #pragma GCC ivdep",
        f"    for (int l = 0; l < {_LANES}; l++) {{ {body} }}",
        f"    if (m < {_LANES}) memcpy({write} + at, z_, m * sizeof(item));",
        *([f"    {after}"] if after else []),
        "  }",
    ]
