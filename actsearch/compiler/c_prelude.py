"""What stands before C kernels: types, prototypes, and the functions that loops call."""

from __future__ import annotations

import re
from collections.abc import Sequence

from actsearch.compiler.c_channels import channel_helpers
from actsearch.compiler.c_templates import SCALAR, VECTOR, helper

#: The C type of an item in memory, by the name of a torch type.
TYPES = {"float32": "float", "float64": "double", "bfloat16": "uint16_t"}
_LANES = 64  # partial sums in a block; GCC unrolls shorter loops before it could vectorise them

# spelled out: reading the headers would take a tenth of the time of a build
_TYPEDEFS = [
    f"typedef __{name.upper()}_TYPE__ {name}_t;" for name in ("int32", "int64", "uint16", "uint32", "uint64", "size")
]
_SIMD = '__attribute__((simd("notinbranch"), const)) '
_BFLOAT16 = """
INLINE real load(item h) { union { uint32_t i; float f; } u = { (uint32_t)h << 16 }; return u.f; }
INLINE item store(real x) {
  union { float f; uint32_t i; } u = { x };
  return x != x ? 0x7fc0 : (item)((u.i + 0x7fff + ((u.i >> 16) & 1)) >> 16);
}"""
_PLAIN = """
INLINE real load(item x) { return x; }
INLINE item store(real x) { return x; }"""
_FUSED = """
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#define FUSED
#define MADD(a, b, c) __builtin_fma{f}(a, b, c)
#else
#define MADD(a, b, c) ((a) * (b) + (c))
#endif"""
_FILL = """
static __attribute__((noinline)) void fill(const void* from, void* room, int m, int width) {
  __builtin_memcpy(room, from, (size_t)m * width);
  for (int l = m; l < LANES; l++) __builtin_memcpy((char*)room + (size_t)l * width, from, width);
}"""
# What lanes give is summed in float64: strip by strip and lane by lane for float64, compensated (Kahan); for float32
# four strips and four lanes at a time, which loses no more than the rounding of the terms themselves, and then 29 bits
# are to spare.
_SUM = {
    True: """
#define TERMS 1
#define SUMS LANES
#define ADD(s, c, v) { double t_ = (v) - c, u_ = s + t_; c = (u_ - s) - t_; s = u_; }
static __attribute__((noinline)) void add(real e[][LANES], double s[][SUMS], double c[][SUMS], int n) {
  for (int j = 0; j < n; j++) for (int l = 0; l < LANES; l++) ADD(s[j][l], c[j][l], e[j][l])
}""",
    False: """
#define TERMS 4
#define SUMS (LANES / 4)
#define ADD(s, c, v) s += (double)(v);
INLINE real four(const real* e, int step) { return (e[0] + e[step]) + (e[2 * step] + e[3 * step]); }
static __attribute__((noinline)) void add(real e[][LANES], double s[][SUMS], double c[][SUMS], int n) {
  for (int j = 0; j < n; j++) for (int l = 0; l < SUMS; l++) {
    const real a = four(&e[j][l], SUMS), b = four(&e[n + j][l], SUMS);
    s[j][l] += (a + b) + (four(&e[2 * n + j][l], SUMS) + four(&e[3 * n + j][l], SUMS));
  }
}""",
}
# ``e`` holds n rows for each of TERMS strips; ``collect`` is called for every strip and ``unfinished`` after the last.
_COLLECT = """
INLINE int collect(real e[][LANES], int n, int* terms, int m) {
  if (m < LANES) for (int j = 0; j < n; j++) for (int l = m; l < LANES; l++) e[*terms * n + j][l] = 0;
  if (++*terms < TERMS) return 0;
  *terms = 0;
  return 1;
}
INLINE int unfinished(real e[][LANES], int n, int terms) {
  if (terms) __builtin_memset(e + terms * n, 0, (size_t)(TERMS - terms) * n * LANES * sizeof(real));
  return terms;
}"""


def prelude(dtype: str, bodies: Sequence[str], vectors: bool = True) -> str:
    """Return what stands before the kernels: types, prototypes, and the helpers that ``bodies`` use.

    Args:
        dtype: a name of :data:`TYPES`.
        bodies: what :func:`actsearch.compiler.c_source.kernels` returned, for one program or several.
        vectors: declare the C library's functions as having vector forms.
    """
    double = dtype == "float64"
    real, f = ("double", "") if double else ("float", "f")
    words = set(re.findall(r"\w+", "\n".join(bodies)))
    helpers = list(dict.fromkeys(text for name in sorted(words) if (text := helper(name, double)) is not None))
    used = words | set(re.findall(r"\w+", "\n".join(helpers)))
    prototypes = [
        f"{_SIMD if vectors and name in (*VECTOR, 'pow') else ''}{real} {name}{f}({', '.join([real] * arity)});"
        for name, arity in {**dict.fromkeys((*VECTOR, *SCALAR), 1), "pow": 2}.items()
        if f"{name}{f}" in used
    ]
    return "\n".join(
        [
            *_TYPEDEFS,
            '#define NAN __builtin_nanf("")',
            "#define INFINITY __builtin_inff()",
            f"#define LANES {_LANES}",
            "#define INLINE static inline __attribute__((always_inline))",  # what is called in a loop is not vectorised
            f"typedef {real} real;",
            f"typedef {TYPES[dtype]} item;",
            _FUSED.replace("{f}", f),
            *prototypes,
            _BFLOAT16 if dtype == "bfloat16" else _PLAIN,
            _FILL,
            *([_SUM[double], _COLLECT] if "collect" in words else []),
            *([channel_helpers(double)] if "spread" in words else []),
            *helpers,
        ]
    )
