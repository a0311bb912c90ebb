"""Programs as C for the CPU: one loop a kernel, written so that GCC vectorises it.

A kernel reads each input element once and writes each result once; subexpressions are shared between a function and
its derivatives. Two kernels serve one program and one type, and two more where parameters vary:

- ``value`` and ``slopes``: every parameter is one number,
- ``value_channel`` and ``slopes_channel``: a number a channel; the input is (outer, channels, inner).

``slopes`` multiplies by the incoming gradient, writes the input's gradient, and adds the parameters' gradients up in
float64 over blocks that depend on the shape alone, so that sums do not depend on the number of threads; for float64
they are compensated (Kahan). Half-precision bfloat16 is computed in float32. GCC contracts nothing to fused
multiply-adds (``-ffp-contract=off``): those that there are, Horner's steps, are written out (c_body.py). NaN and
infinity are as IEEE 754 has them: no fast-math.
"""

from __future__ import annotations

from collections.abc import Sequence

from actsearch.compiler.c_body import Body, body_of
from actsearch.expr.graph import Program

#: Elements of a block, in which parameter gradients are summed before the blocks are.
BLOCK = 4096

_INPUT = "      const real x = load(a[l]);"
_OWN = "static __attribute__((noinline)) void"


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


def _value(body: Body, read: Sequence[str] = ()) -> list[str]:
    """Return the loop over the lanes of a strip that writes the values; ``read`` comes first in it."""
    return _lanes([_INPUT, *read, *body.lines, f"      z[l] = store({body.outputs[0]});"])


def _slopes(body: Body, read: Sequence[str] = ()) -> list[str]:
    """Return the loop that writes the input's gradient, and what it adds to the parameters' into ``e``."""
    first, *rest = body.outputs
    terms = [f"      e[{j}][l] = {result};" for j, result in enumerate(rest)]
    gradient = ["      const real gi = load(b[l]);", *body.lines, f"      z[l] = store({first});"]
    return _lanes([_INPUT, *read, *gradient, *terms])


def _table(body: Body) -> list[str]:
    """Return the statements that fill ``h``."""
    if not body.kept:
        return []
    rows = " ".join(f"h[{k}][l] = {name};" for k, name in enumerate(body.kept))
    return [f"  real h[{len(body.kept)}][LANES];", *body.before, f"  for (int l = 0; l < LANES; l++) {{ {rows} }}"]


def _terms(n: int) -> list[str]:
    """Return the room for what ``n`` parameters' sums are made of, in several strips."""
    return [f"  real all[TERMS * {n}][LANES]; int terms = 0;"]


def _rows(n: int) -> list[str]:
    """Return the statement that says where a strip's terms go."""
    return [f"    real (*e)[LANES] = all + terms * {n};"] if n else []


def _lanes(body: Sequence[str]) -> list[str]:
    return [
        "    #pragma GCC ivdep",
        "    #pragma GCC unroll 1",
        "    for (int l = 0; l < LANES; l++) {",
        *body,
        "    }",
    ]


def _flat(name: str, value: Program, slopes: Program, double: bool) -> list[str]:
    """Return the kernels of parameters that are one number each; ``sums`` holds a number a parameter."""
    n = len(value.parameters)
    values, gradients = body_of(value, double), body_of(slopes, double, "gi")
    numbers = [f"  const real p{j} = p[{j}][0];" for j in range(n)]
    room = [f"  double s[{n}][SUMS] = {{0}}, c[{n}][SUMS] = {{0}};", *_terms(n)] if n else []
    add = [f"    if (collect(all, {n}, &terms, m)) add(all, s, c, {n});"] if n else []
    end = [f"  if (unfinished(all, {n}, terms)) add(all, s, c, {n});"] if n else []
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
        *_strips("n", {"a": "from", "b": "g"}, [*_rows(n), *_slopes(gradients), *add]),
        *end,
        *(f"  sums[{j}] = 0; for (int l = 0; l < SUMS; l++) sums[{j}] += s[{j}][l] - c[{j}][l];" for j in range(n)),
        "}",
    ]


def _channel(name: str, value: Program, slopes: Program, double: bool) -> list[str]:
    """Return the kernels of ``outer`` rows of (channels, inner); ``sums`` is (parameters, channels).

    Strips are cut alike in every row, or in every few where rows are short. So all strips that stand below one another
    have the same channels, a lane each: what their parameters are is looked up once, what depends on those alone is
    computed once, and what they add to the sums is added up lane by lane before it is spread over the channels.
    """
    n = len(value.parameters)
    sizes = "int64_t outer, int64_t channels, int64_t inner"
    read = [f"      const real p{j} = r[{j}][l];" for j in range(n)]
    bodies = {"f": body_of(value, double), "d": body_of(slopes, double, "gi")}
    found = {kind: [f"      h[{k}][l] = {one};" for k, one in enumerate(body.kept)] for kind, body in bodies.items()}
    tables = "real r[][LANES], real h[][LANES]"

    def above(kind: str, spread: str) -> list[str]:
        return [
            "  const int64_t n = outer * channels * inner, period = period_of(channels * inner);",
            f"  int64_t which[LANES]; real r[{n}][LANES], h[{max(1, len(found[kind]))}][LANES];",
            "  for (int64_t first = 0; first < period && first < n; first += LANES) {",
            "    if (!first || others(which, first, channels, inner)) {",
            f"      {spread}look(which, first, channels, inner);",
            f"      for (int j = 0; j < {n}; j++) for (int l = 0; l < LANES; l++) r[j][l] = p[j][which[l]];",
            f"      {name}_{kind}_table(r, h);",
            "    }",
        ]

    return [
        *(
            line
            for kind, body in bodies.items()
            for line in (
                f"{_OWN} {name}_{kind}_table({tables}) {{",
                *(_lanes([*read, *body.before, *found[kind]]) if found[kind] else []),
                "}",
            )
        ),
        f"{_OWN} {name}_f(const item* a, item* z, {tables}) {{",
        *_value(bodies["f"], read),
        "}",
        f"{_OWN} {name}_d(const item* a, const item* b, item* z, {tables}, real e[][LANES]) {{",
        *_slopes(bodies["d"], read),
        "}",
        f"void {name}_value_channel(const item* from, item* to, const real* const* p, {sizes}) {{",
        *above("f", ""),
        *_strips("n", {"a": "from"}, [f"    {name}_f(a, z, r, h);"], "first", "period"),
        "  }",
        "}",
        f"void {name}_slopes_channel(const item* from, const item* g, item* to, const real* const* p, double* sums,",
        f"  double* rests, {sizes}) {{",
        *_terms(n),
        f"  double s[{n}][LANES] = {{0}}, c[{n}][LANES] = {{0}};",
        *above("d", f"if (first) spread(s, c, {n}, which, sums, rests, channels); "),
        *_strips(
            "n",
            {"a": "from", "b": "g"},
            [
                f"    {name}_d(a, b, z, r, h, all + terms * {n});",
                f"    if (collect(all, {n}, &terms, m)) join(all, s, c, {n});",
            ],
            "first",
            "period",
        ),
        f"    if (unfinished(all, {n}, terms)) join(all, s, c, {n});",
        "    terms = 0;",
        "  }",
        f"  if (n) spread(s, c, {n}, which, sums, rests, channels);",
        "}",
    ]


def _strips(
    length: str, read: dict[str, str], body: Sequence[str], first: str = "0", period: str | None = None
) -> list[str]:
    """Return a loop over strips of as many elements as there are lanes; the last one is filled up beside the arrays.

    So an element goes through the same instructions wherever it stands: its bits depend on its value alone, neither on
    the length of the array nor on how threads share it.

    Args:
        length: how many elements there are.
        read: name in the body, of the array of items that it stands for.
        body: what is done for a strip, from ``a`` and ``b`` to ``z``; ``m`` lanes count.
        first: where the first strip begins.
        period: from a strip to the next, of which none may cross the period's end; by default they follow each other.
    """
    filled = "".join(f" fill({name}, {name}_, m, sizeof(item)); {name} = {name}_;" for name in read)
    left = f"{length} - at" if period is None else f"least({length} - at, {period} - {first})"
    return [
        f"  for (int64_t at = {first}; at < {length}; at += {period or 'LANES'}) {{",
        f"    const int64_t left = {left};",
        "    const int m = left < LANES ? (int)left : LANES;",
        *(f"    const item* {name} = {array} + at; item {name}_[LANES];" for name, array in read.items()),
        "    item *z = to + at, z_[LANES];",
        f"    if (m < LANES) {{{filled} z = z_; }}",
        *body,
        "    if (m < LANES) __builtin_memcpy(to + at, z_, m * sizeof(item));",
        "  }",
    ]
