"""The basic operations in Triton: a template each; ``{0}``, ``{1}``, ... are the arguments.

Of Triton's own functions only those serve whose accuracy on a GPU is known and that its interpreter has as well:
``tl.sin``, ``tl.cos`` and ``tl.erf`` (CUDA's own, within 2 ulp; the sine reduces any argument), square roots rounded to
nearest, ``tl.floor``, ``tl.abs`` and ``tl.fma``. Not ``tl.exp``, whose error grows with its argument, and not
libdevice, which the interpreter lacks: the other functions are written out in arithmetic (``triton_functions.py``), so
that what the interpreter tests is what a GPU runs.
"""

from __future__ import annotations

from collections.abc import Mapping

_SAME = ("log", "log1p", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh")
_WITH_NAN = "tl.{}({{0}}, {{1}}, propagate_nan=tl.PropagateNan.ALL)"

TEMPLATES: Mapping[str, str] = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "plus": "{0} + {1}",
    "minus": "{0} - {1}",
    "times": "{0} * {1}",
    "neg": "-{0}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "not": "~{0}",
    "select": "tl.where({0}, {1}, {2})",
    "head": "head({0})",
    "rest": "rest({0}, {1}, {2})",  # a b - p exactly, where p is a b rounded
    "abs": "tl.abs({0})",
    "sign": "sign({0})",
    "floor": "tl.floor({0})",
    "round": "rounded({0})",
    "sqrt": "square_root({0})",
    "maximum": _WITH_NAN.format("maximum"),
    "minimum": _WITH_NAN.format("minimum"),
    "decay": "decay({0})",  # exp where the argument is not positive
    "erf": "tl.erf({0})",
    "raw_exp": "exponential({0})",
    "raw_expm1": "expm1({0})",
    "raw_sin": "tl.sin({0})",
    "raw_cos": "tl.cos({0})",
    "raw_erfc": "erfc({0})",
    "raw_erfcx": "erfcx({0})",
    "scaled_erfcx": "erfcx({0} * {1})",
    "raw_i0e": "i0e({0})",
    "raw_i1e": "i1e({0})",
    "raw_power": "power({0}, {1})",
} | {name: f"{name}({{0}})" for name in _SAME}

#: Operations written with operators: numbers among their arguments stay Python's, which take the other's type.
INFIX = frozenset(name for name, template in TEMPLATES.items() if "(" not in template)
#: Operations that float64 lacks: their float32 goes through float64.
SINGLE_ONLY = frozenset({"raw_power"})
