"""Programs as C for the CPU: one loop a kernel, written so that GCC vectorises it.

A kernel reads each input element once and writes each result once; subexpressions are shared between a function and
its derivatives. Two kernels serve one program and one type, and two more where parameters vary:

- ``value`` and ``slopes``: every parameter is one number,
- ``value_channel`` and ``slopes_channel``: a number a channel; the input is (outer, channels, inner).

``slopes`` multiplies by the incoming gradient, writes the input's gradient, and adds the parameters' gradients up in
float64 over blocks that depend on the shape alone, so that sums do not depend on the number of threads; for float64
they are compensated (Kahan). Half-precision bfloat16 is computed in float32. Nothing is contracted to fused
multiply-adds (``-ffp-contract=off``), and NaN and infinity are as IEEE 754 has them: no fast-math.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actsearch.compiler.c_simplify import simplify
from actsearch.compiler.c_templates import CONDITIONS, TEMPLATES
from actsearch.compiler.torch_source import number_source
from actsearch.expr.expand import expand
from actsearch.expr.graph import Node, Program

#: Elements of a block, in which parameter gradients are summed before the blocks are.
BLOCK = 4096


def kernels(name: str, value: Program, slopes: Program, dtype: str, channels: bool = False) -> str:
    """Return the C source of a program's kernels, named ``NAME_value`` and so on.

    Args:
        name: a C identifier.
        value: a program of one output.
        slopes: its derivatives in x and in each parameter.
        dtype: ``"float32"``, ``"float64"`` or ``"bfloat16"``.
        channels: the kernels for parameters of a number a channel, instead of those for one number each.

    Raises:
        KeyError: an operation has no C template.
    """
    return "\n".join((_channel if channels else _flat)(name, value, slopes, dtype == "float64"))


@dataclass(frozen=True)
class _Body:
    """A program as C statements.

    Attributes:
        before: those that need no ``x``; empty where they are not told apart.
        lines: those for a lane.
        kept: names of what ``before`` hands on, in the order of the table ``h``.
        outputs: names of the results.
    """

    before: list[str]
    lines: list[str]
    kept: list[str]
    outputs: list[str]


def _body(program: Program, double: bool, apart: bool) -> _Body:
    """Return the statements that compute a program from ``x`` and ``p0``, ``p1``, ....

    Args:
        program: what is computed.
        double: in float64.
        apart: what depends on parameters alone is computed before the loop and handed on in a table, a number a lane:
            GCC would compute it there anyway, but does not vectorise a choice whose condition it has moved out.
    """
    basic = simplify(expand(program), double)
    f = "" if double else "f"
    leaves = ("x", "parameter", "constant")
    outside: list[bool] = []
    names: list[str] = []
    sides: tuple[list[str], list[str]] = ([], [])
    for number, node in enumerate(basic.nodes):
        outside.append(apart and node.op != "x" and all(outside[i] for i in node.args))
        names.append(_name(node, number, basic, f))
        if node.op not in leaves:
            kind = "int" if node.op in CONDITIONS else "real"
            text = TEMPLATES[node.op].replace("$f", f).format(*(names[i] for i in node.args))
            sides[outside[number]].append(f"      {kind} {names[-1]} = {text};")
    used = {i for k, node in enumerate(basic.nodes) if not outside[k] for i in node.args} | set(basic.outputs)
    kept = [i for i in sorted(used) if outside[i] and basic.nodes[i].op not in leaves]
    taken = [
        f"      int {names[i]} = h[{k}][l] != 0;"
        if basic.nodes[i].op in CONDITIONS
        else f"      real {names[i]} = h[{k}][l];"
        for k, i in enumerate(kept)
    ]
    return _Body(sides[1], [*taken, *sides[0]], [names[i] for i in kept], [names[i] for i in basic.outputs])


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


def _value(body: _Body, read: Sequence[str] = ()) -> list[str]:
    """Return the loop over the lanes of a strip that writes the values; ``read`` comes first in it."""
    return _lanes([*read, *body.lines, f"      z[l] = store({body.outputs[0]});"])


def _slopes(body: _Body, read: Sequence[str] = ()) -> list[str]:
    """Return the loop that writes the input's gradient, and what it adds to the parameters' into ``e``."""
    first, *rest = body.outputs
    terms = [f"      e[{j}][l] = gi * {result};" for j, result in enumerate(rest)]
    gradient = ["      const real gi = load(b[l]);", *body.lines, f"      z[l] = store(gi * {first});"]
    return _lanes([*read, *gradient, *terms])


def _table(body: _Body) -> list[str]:
    """Return the statements that fill ``h``."""
    if not body.kept:
        return []
    rows = " ".join(f"h[{k}][l] = {name};" for k, name in enumerate(body.kept))
    return [f"  real h[{len(body.kept)}][LANES];", *body.before, f"  for (int l = 0; l < LANES; l++) {{ {rows} }}"]


def _lanes(body: Sequence[str]) -> list[str]:
    return [
        "    #pragma GCC ivdep",
        "    #pragma GCC unroll 1",
        "    for (int l = 0; l < LANES; l++) {",
        "      const real x = load(a[l]);",
        *body,
        "    }",
    ]


def _flat(name: str, value: Program, slopes: Program, double: bool) -> list[str]:
    """Return the kernels of parameters that are one number each; ``sums`` holds a number a parameter."""
    n = len(value.parameters)
    values, gradients = _body(value, double, True), _body(slopes, double, True)
    numbers = [f"  const real p{j} = p[{j}][0];" for j in range(n)]
    room = [f"  double s[{n}][SUMS] = {{0}}, c[{n}][SUMS] = {{0}};", f"  real e[{n}][LANES];"] if n else []
    add = [f"    add(e, s, c, {n}, m);"] if n else []
    return [
        f"void {name}_value(const item* from, item* to, const real* const* p, int64_t n) {{",
        *numbers,
        *_table(values),
        *_strips("n", {"a": "from"}, _value(values)),
        "}",
        f"void {name}_slopes(const item* from, const item* g, item* to, const real* const* p, double* sums,",
        "  int64_t n) {",
        *numbers,
        *_table(gradients),
        *room,
        *_strips("n", {"a": "from", "b": "g"}, [*_slopes(gradients), *add]),
        *(f"  sums[{j}] = 0; for (int l = 0; l < SUMS; l++) sums[{j}] += s[{j}][l] - c[{j}][l];" for j in range(n)),
        "}",
    ]


def _channel(name: str, value: Program, slopes: Program, double: bool) -> list[str]:
    """Return the kernels of ``outer`` rows of (channels, inner); ``sums`` is (parameters, channels).

    A strip has its parameters in ``r``, a number a lane: those of its channels where ``inner`` is 1, else one repeated.
    """
    n = len(value.parameters)
    read = [f"      const real p{j} = r[{j}][l];" for j in range(n)]
    table = [f"  real r[{n}][LANES];"]
    terms = [f"  real e[{n}][LANES];"]
    sizes = "int64_t outer, int64_t channels, int64_t inner"
    along = [f"    for (int j = 0; j < {n}; j++) fill(p[j] + at, r[j], m, sizeof(real));"]
    one = [f"    for (int j = 0; j < {n}; j++) fill(p[j] + c, r[j], 1, sizeof(real));"]
    rows = "for (int64_t o = 0; o < outer; o++"
    each = "for (int64_t c = 0; c < channels; c++"
    place = "sums[j * channels + {0}], rests[j * channels + {0}]"
    along_sums = [
        f"    for (int j = 0; j < {n}; j++) for (int l = 0; l < m; l++) {{ ADD({place.format('at + l')}, e[j][l]) }}"
    ]
    total = [
        f"    for (int j = 0; j < {n}; j++) for (int l = 0; l < SUMS; l++) {{",
        f"      ADD({place.format('c')}, s[j][l]) ADD({place.format('c')}, -k[j][l])",
        "    }",
    ]
    call = "(a, z, r);", "(a, b, z, r, e);"
    return [
        f"static void {name}_f(const item* a, item* z, real r[][LANES]) {{",
        *_value(_body(value, double, False), read),
        "}",
        f"static void {name}_d(const item* a, const item* b, item* z, real r[][LANES], real e[][LANES]) {{",
        *_slopes(_body(slopes, double, False), read),
        "}",
        f"void {name}_value_channel(const item* from, item* to, const real* const* p, {sizes}) {{",
        *table,
        f"  if (inner == 1) {{ {rows}, from += channels, to += channels) {{",
        *_strips("channels", {"a": "from"}, [*along, f"    {name}_f{call[0]}"]),
        f"  }} }} else {rows}) {each}, from += inner, to += inner) {{",
        *one,
        *_strips("inner", {"a": "from"}, [f"    {name}_f{call[0]}"]),
        "  }",
        "}",
        f"void {name}_slopes_channel(const item* from, const item* g, item* to, const real* const* p, double* sums,",
        f"  double* rests, {sizes}) {{",
        *table,
        *terms,
        f"  if (inner == 1) {{ {rows}, from += channels, g += channels, to += channels) {{",
        *_strips("channels", {"a": "from", "b": "g"}, [*along, f"    {name}_d{call[1]}", *along_sums]),
        f"  }} }} else {rows}) {each}, from += inner, g += inner, to += inner) {{",
        *one,
        f"    double s[{n}][SUMS] = {{0}}, k[{n}][SUMS] = {{0}};",
        *_strips("inner", {"a": "from", "b": "g"}, [f"    {name}_d{call[1]}", f"    add(e, s, k, {n}, m);"]),
        *total,
        "  }",
        "}",
    ]


def _strips(length: str, read: dict[str, str], body: Sequence[str]) -> list[str]:
    """Return a loop over strips of as many elements as there are lanes; the last one is filled up beside the arrays.

    So an element goes through the same instructions wherever it stands: its bits depend on its value alone, neither on
    the length of the array nor on how threads share it.

    Args:
        length: how many elements there are.
        read: name in the body, of the array of items that it stands for.
        body: what is done for a strip, from ``a`` and ``b`` to ``z``; ``m`` lanes count.
    """
    filled = "".join(f" fill({name}, {name}_, m, sizeof(item)); {name} = {name}_;" for name in read)
    return [
        f"  for (int64_t at = 0; at < {length}; at += LANES) {{",
        f"    const int m = {length} - at < LANES ? (int)({length} - at) : LANES;",
        *(f"    const item* {name} = {array} + at; item {name}_[LANES];" for name, array in read.items()),
        "    item *z = to + at, z_[LANES];",
        f"    if (m < LANES) {{{filled} z = z_; }}",
        *body,
        "    if (m < LANES) __builtin_memcpy(to + at, z_, m * sizeof(item));",
        "  }",
    ]
