"""Programs as Triton for the GPU: a readable module of a function, its derivatives, and three kernels.

- ``value`` reads the input once and writes the result once.
- ``slopes`` reads the input and the incoming gradient, writes the input's gradient, and leaves the parameters' partial
  sums, each of a group of rows, in float64.
- ``total`` adds the groups up. Groups depend on the shape alone and nothing is added atomically: the same tensors give
  the same bits.

A tensor is read in the order of its memory, as (outer, channels, inner); a parameter is one number or one a channel.
Half types are computed in float32. Multiplications and additions are fused where ``tl.fma`` says so and nowhere else.
"""

from __future__ import annotations

import math
from collections import Counter

from actsearch.compiler.c_simplify import simplify
from actsearch.compiler.triton_functions import helpers
from actsearch.compiler.triton_templates import INFIX, SINGLE_ONLY, TEMPLATES
from actsearch.expr.expand import expand
from actsearch.expr.graph import Node, Program

_VALUE = """
@triton.jit
def value(
    x_at, y_at, {pointers}n, channels, inner,
    {flags}BLOCK: tl.constexpr, WIDE: tl.constexpr,
):
    block = tl.program_id(0)
    if WIDE:
        block = block.to(tl.int64)
    at = block * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    channel = at // inner % channels
    x = tl.load(x_at + at, mask=inside, other=0.0).to({real})
{loads}
    tl.store(y_at + at, f({arguments}), mask=inside)
"""
_SLOPES = """
@triton.jit
def slopes(
    x_at, g_at, dx_at, sums_at, {pointers}rows, channels, inner, steps, groups,
    {flags}FLAT: tl.constexpr, BESIDE: tl.constexpr, ROWS: tl.constexpr,
    COLUMNS: tl.constexpr, WIDE: tl.constexpr,
):
    group = tl.program_id(1)
    if WIDE:
        group = group.to(tl.int64)
    channel = tl.arange(0, COLUMNS)[None, :]
    if not FLAT:  # else Triton could not know that rows are aligned
        channel += tl.program_id(0) * COLUMNS
    inside_columns = channel < channels
{loads}
{zeros}
    for step in range(steps):
        row = ((group * steps + step) * ROWS + tl.arange(0, ROWS))[:, None]
        if BESIDE:
            at = row * channels + channel
        else:
            at = (row // inner * channels + channel) * inner + row % inner
        inside = (row < rows) & inside_columns
        x = tl.load(x_at + at, mask=inside, other=0.0).to({real})
        g = tl.load(g_at + at, mask=inside, other=0.0).to({real})
        {results} = d({arguments})
        tl.store(dx_at + at, g * dx, mask=inside)
{adds}
{stores}
"""
_ALONE = """
@triton.jit
def slopes(x_at, g_at, dx_at, n, BLOCK: tl.constexpr, WIDE: tl.constexpr):
    block = tl.program_id(0)
    if WIDE:
        block = block.to(tl.int64)
    at = block * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    x = tl.load(x_at + at, mask=inside, other=0.0).to({real})
    g = tl.load(g_at + at, mask=inside, other=0.0).to({real})
    tl.store(dx_at + at, g * d(x), mask=inside)
"""
_PARAMETER = """
@triton.jit
def parameter(at, channel, inside, PER_CHANNEL: tl.constexpr):
    if PER_CHANNEL:
        return tl.load(at + channel, mask=inside, other=1.0).to({real})
    else:
        return tl.broadcast_to(tl.load(at).to({real}), channel.shape)
"""
_TOTAL = """
@triton.jit
def added_up(sums_at, out_at, count, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    column = (tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    total = tl.zeros([ROWS, COLUMNS], tl.float64)
    for start in range(0, count, ROWS):
        row = (start + tl.arange(0, ROWS))[:, None]
        total += tl.load(sums_at + row * width + column, mask=(row < count) & (column < width), other=0.0)
    result = tl.sum(total, axis=0)[None, :]
    if out_at.dtype.element_ty != tl.float64:  # the half types are rounded from float32
        result = result.to(tl.float32)
    tl.store(out_at + column, result, mask=column < width)


@triton.jit
def total_of(sums_at, out_at, groups, channels, PER_CHANNEL: tl.constexpr):
    if PER_CHANNEL:
        added_up(sums_at, out_at, groups, channels, 32, 32)
    elif tl.program_id(0) == 0:
        added_up(sums_at, out_at, groups * channels, 1, 1024, 1)


@triton.jit
def total(sums_at, {pointers}{flags}groups, channels):
    size = tl.cast(groups, tl.int64) * channels
{totals}
"""


def module_source(value: Program, slopes: Program, double: bool) -> str:
    """Return the Triton module of a program.

    Args:
        value: A program of one output.
        slopes: Its derivatives in x and in each parameter.
        double: Computed in float64, else in float32.

    Raises:
        KeyError: An operation has no Triton template.
    """
    real = "tl.float64" if double else "tl.float32"
    names = [f"p_{name}" for name in value.parameter_names]
    functions = [_function("f", value, real), _function("d", slopes, real)]
    loads = "\n".join(f"    {p} = parameter({p}_at, channel, {{inside}}, {p}_varies)" for p in names)
    fields = {
        "real": real,
        "pointers": "".join(f"{p}_at, " for p in names),
        "flags": "".join(f"{p}_varies: tl.constexpr, " for p in names),
        "arguments": ", ".join(["x", *names]),
        "results": ", ".join(["dx", *(f"d{p}" for p in names)]),
        "zeros": "\n".join(f"    sum_{p} = tl.zeros([1, COLUMNS], tl.float64)" for p in names),
        "adds": "\n".join(
            f"        sum_{p} += tl.sum(tl.where(inside, g * d{p}, 0.0).to(tl.float64), axis=0)[None, :]" for p in names
        ),
        "stores": "\n".join(
            f"    tl.store(sums_at + ({j} * groups + group) * channels + channel, sum_{p}, mask=inside_columns)"
            for j, p in enumerate(names)
        ),
        "totals": "\n".join(
            f"    if tl.program_id(1) == {j}:\n"
            f"        total_of(sums_at + {j} * size, {p}_at, groups, channels, {p}_varies)"
            for j, p in enumerate(names)
        ),
    }
    kernels = [_VALUE.format(**fields, loads=loads.format(inside="inside"))]
    if names:
        kernels.append(_SLOPES.format(**fields, loads=loads.format(inside="inside_columns")))
        kernels = [_PARAMETER.format(**fields), *kernels, _TOTAL.format(**fields)]
    else:
        kernels.append(_ALONE.format(**fields))
    parts = [*helpers("\n".join(functions), double), *functions, *(kernel.strip("\n") for kernel in kernels)]
    return "\n\n\n".join(["import triton\nimport triton.language as tl", *parts]) + "\n"


def _function(name: str, program: Program, real: str) -> str:
    """Return a function that returns the program's outputs, each of the shape of ``x``."""
    basic = simplify(expand(program), real == "tl.float64")
    counter: Counter[str] = Counter()
    names: list[str] = []
    lines: list[str] = []
    varies: list[bool] = []
    for node in basic.nodes:
        names.append(_name(node, counter))
        varies.append(node.op == "x" or any(varies[i] for i in node.args))
        if node.op not in ("x", "parameter", "constant"):
            arguments = [_argument(basic.nodes[i], names[i], node.op, real) for i in node.args]
            lines.append(f"{names[-1]} = {TEMPLATES[node.op].format(*arguments)}")
    results = ", ".join(_result(basic.nodes[i], names[i], varies[i], real) for i in basic.outputs)
    signature = ", ".join(["x", *(f"p_{parameter}" for parameter in basic.parameter_names)])
    return "\n".join(
        ["@triton.jit", f"def {name}({signature}):", *(f"    {line}" for line in [*lines, f"return {results}"])]
    )


def _name(node: Node, counter: Counter[str]) -> str:
    if node.op == "x":
        return "x"
    if node.op == "parameter":
        return f"p_{node.value}"
    if node.op == "constant":
        number = float(node.value)  # type: ignore[arg-type]
        return repr(number) if math.isfinite(number) else f'float("{number}")'
    short = node.op.removeprefix("raw_")
    counter[short] += 1
    return f"{short}_{counter[short]}"


def _argument(node: Node, name: str, op: str, real: str) -> str:
    """Return an argument: a number is a tensor of the type, but beside an operator, where it takes the other's type."""
    if node.op != "constant":
        return name
    if op in SINGLE_ONLY:  # computed in float64: as torch, which does not round an exponent
        return f"tl.full(x.shape, {name}, tl.float64)"
    if op not in INFIX:
        return f"tl.full(x.shape, {name}, {real})"
    return f"({name})" if name.startswith("-") else name


def _result(node: Node, name: str, varies: bool, real: str) -> str:
    if varies:
        return name
    return f"tl.full(x.shape, {name}, {real})" if node.op == "constant" else f"tl.zeros_like(x) + {name}"
