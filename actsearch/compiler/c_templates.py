"""The basic operations in C: a template each, and the few functions that the C library lacks.

``{0}``, ``{1}``, ... are the arguments; ``$f`` is the suffix of the C library's float functions, empty for double.
The functions of the first group are vectorised by GCC through libmvec, whose errors are within 4 ulp.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from actsearch.compiler.c_special import SPECIAL

#: Functions of the vector library; their prototypes are declared by hand: the headers do so only under -ffast-math.
VECTOR = [
    "expm1",
    "log",
    "log1p",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "asin",
    "acos",
    "atan",
    "asinh",
    "acosh",
    "atanh",
    "erf",
    "erfc",
]

#: Functions that GCC knows itself.
SCALAR = ["fabs", "floor", "rint", "sqrt"]

TEMPLATES: Mapping[str, str] = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "plus": "{0} + {1}",
    "minus": "{0} - {1}",
    "times": "{0} * {1}",
    "head": "head({0})",
    "rest": "rest({0}, {1}, {2})",  # a b - p exactly, where p is a b rounded
    "neg": "-{0}",
    "abs": "fabs$f({0})",
    "sign": "sign({0})",
    "floor": "floor$f({0})",
    "round": "rint$f({0})",  # halves to even, as torch.round
    "sqrt": "sqrt$f({0})",
    "maximum": "maximum({0}, {1})",
    "minimum": "minimum({0}, {1})",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "not": "!{0}",
    "select": "{0} ? {1} : {2}",
    "raw_exp": "exponential({0})",
    "decay": "decay({0})",  # exp where the argument is not positive
    "raw_erfcx": "erfcx(1, {0})",
    "scaled_erfcx": "erfcx({0}, {1})",  # of their product
    "raw_i0e": "i0e({0})",
    "raw_i1e": "i1e({0})",
    "raw_power": "pow$f({0}, {1})",
} | {f"{prefix}{name}": f"{name}$f({{0}})" for name in VECTOR for prefix in ("", "raw_")}

#: Operations whose C value is a truth value.
CONDITIONS = frozenset({"lt", "le", "eq", "and", "or", "not"})

_HELPERS = {
    "sign": "INLINE real sign(real x) { return x > 0 ? (real)1 : x < 0 ? (real)-1 : x; }",
    # NaN in either argument gives NaN, as in torch
    "maximum": "INLINE real maximum(real a, real b) { return (a > b || a != a) ? a : b; }",
    "minimum": "INLINE real minimum(real a, real b) { return (a < b || a != a) ? a : b; }",
}


@lru_cache(maxsize=1024)
def helper(name: str, double: bool) -> str | None:
    """Return the C definition of a function that the library lacks, None when it needs none.

    Args:
        name: a word of a template, such as ``erfcx``.
        double: for float64, else for float32.
    """
    if name in _HELPERS:
        return _HELPERS[name]
    if name in SPECIAL:
        return SPECIAL[name](double)
    return None
