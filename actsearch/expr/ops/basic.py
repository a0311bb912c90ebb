"""The basic operations: what every language has, or can be given in one line.

Measured on torch 2.13 (CPU, float64 and vectorised float32) against mpmath: each of these is within 2 ulp on 1e-30 to
1e4, ``erfcx`` on its positive half; ``i0e`` and ``i1e`` within 8.
"""

from __future__ import annotations

import mpmath
import numpy as np
from scipy import special

from actsearch.expr.ops.constants import ERF_SLOPE
from actsearch.expr.ops.row import Op
from actsearch.expr.value import Value, call, select


def _larger(y: Value) -> tuple[Value, Value]:
    """Return where the first argument of max or min is above the second, and where below.

    Where the difference has a form of its own, as ``x - tanh(x)``, that decides: it knows which is larger when both
    round to the same number.
    """
    u, v = y.args
    difference = u - v
    inner = difference.args[0] if difference.node.op == "neg" else difference
    return (difference > 0, difference < 0) if inner.node.op in ("tanhshrink", "sinshrink") else (u > v, u < v)


def _choice(y: Value, first: Value, second: Value) -> tuple[Value | float, Value | float]:
    """Return the slopes of max and min: ``first`` and ``second`` say where each argument wins.

    A tie of two arguments that are not constant is split in halves, as torch.maximum does. A tie with a constant goes
    to the constant, as in torch's relu, relu6 and hardtanh; but ``min(u, 0) = u - relu(u)`` has slope 1 at ``u = 0``,
    so that ``max(u, 0) + a * min(u, 0)`` has slope ``a`` there, as torch's leaky_relu, prelu and celu.
    """
    u, v = y.args
    if y.node.op == "minimum" and (u.is_constant(0) or v.is_constant(0)):
        other = v if u.is_constant(0) else u
        return (select(other <= 0, 1.0, 0.0),) * 2
    if u.constant is not None or v.constant is not None:
        return select(first, 1.0, 0.0), select(second, 1.0, 0.0)
    return select(first, 1.0, select(second, 0.0, 0.5)), select(second, 1.0, select(first, 0.0, 0.5))


def _head(a: np.ndarray) -> np.ndarray:
    """Return the upper 26 of a float64's 53 significant bits."""
    return (np.ascontiguousarray(a).view(np.int64) & -(2**27)).view(np.float64).reshape(np.shape(a))


def _sign(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.sign(x)


def _erfcx(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.exp(x * x) * mpmath.erfc(x)


BASIC = (
    Op("add", 2, lambda a, b: a + b, lambda y: (1.0, 1.0), np.add, "{0} + {1}", rounding=0.5),
    Op("sub", 2, lambda a, b: a - b, lambda y: (1.0, -1.0), np.subtract, "{0} - {1}", rounding=0.5),
    Op("mul", 2, lambda a, b: a * b, lambda y: y.args[::-1], np.multiply, "{0} * {1}", rounding=1.0),
    Op(
        "div",
        2,
        lambda a, b: a / b,
        lambda y: (1.0 / y.args[1], -y / y.args[1]),
        np.divide,
        "{0} / {1}",
        rounding=1.5,  # torch divides a Python number by a tensor as reciprocal, then product
    ),
    # the same, out of reach of simplification: steps of exact arithmetic (see actsearch/expr/two_words.py)
    Op("plus", 2, lambda a, b: a + b, None, np.add, "{0} + {1}", rounding=0.5),
    Op("minus", 2, lambda a, b: a - b, None, np.subtract, "{0} - {1}", rounding=0.5),
    Op("times", 2, lambda a, b: a * b, None, np.multiply, "{0} * {1}", rounding=0.5),
    Op("head", 1, lambda a: a, None, _head, "head({0})", rounding=0.0),
    Op("neg", 1, lambda a: -a, lambda y: (-1.0,), np.negative, "-{0}", rounding=0.0),
    Op("abs", 1, abs, lambda y: (call("sign", y.args[0]),), np.abs, "torch.abs({0})", rounding=0.0),
    Op("sign", 1, _sign, None, np.sign, "torch.sign({0})", rounding=0.0),
    Op("floor", 1, mpmath.floor, None, np.floor, "torch.floor({0})", rounding=0.0),
    Op("round", 1, mpmath.nint, None, np.round, "torch.round({0})", rounding=0.0),
    Op(
        "maximum",
        2,
        max,
        lambda y: _choice(y, *_larger(y)),
        np.maximum,
        "torch.maximum({0}, {1})",
        rounding=0.0,
    ),
    Op(
        "minimum",
        2,
        min,
        lambda y: _choice(y, *_larger(y)[::-1]),
        np.minimum,
        "torch.minimum({0}, {1})",
        rounding=0.0,
    ),
    Op("lt", 2, lambda a, b: a < b, None, np.less, "{0} < {1}", rounding=0.0),
    Op("le", 2, lambda a, b: a <= b, None, np.less_equal, "{0} <= {1}", rounding=0.0),
    Op("eq", 2, lambda a, b: a == b, None, np.equal, "{0} == {1}", rounding=0.0),
    Op("and", 2, lambda a, b: a and b, None, np.logical_and, "{0} & {1}", rounding=0.0),
    Op("or", 2, lambda a, b: a or b, None, np.logical_or, "{0} | {1}", rounding=0.0),
    Op("not", 1, lambda a: not a, None, np.logical_not, "~{0}", rounding=0.0),
    Op(
        "select",
        3,
        lambda c, a, b: a if c else b,
        lambda y: (0.0, select(y.args[0], 1.0, 0.0), select(y.args[0], 0.0, 1.0)),
        np.where,
        "torch.where({0}, {1}, {2})",
        rounding=0.0,
    ),
    Op("raw_expm1", 1, mpmath.expm1, None, np.expm1, "torch.expm1({0})"),
    Op("log", 1, mpmath.log, lambda y: (1.0 / y.args[0],), np.log, "torch.log({0})"),
    Op("log1p", 1, mpmath.log1p, lambda y: (1.0 / (1.0 + y.args[0]),), np.log1p, "torch.log1p({0})"),
    Op("sqrt", 1, mpmath.sqrt, lambda y: (0.5 / y,), np.sqrt, "torch.sqrt({0})"),
    Op("raw_sin", 1, mpmath.sin, None, np.sin, "torch.sin({0})"),
    Op("raw_cos", 1, mpmath.cos, None, np.cos, "torch.cos({0})"),
    Op("tan", 1, mpmath.tan, lambda y: (1.0 + y * y,), np.tan, "torch.tan({0})"),
    Op("sinh", 1, mpmath.sinh, lambda y: (call("cosh", y.args[0]),), np.sinh, "torch.sinh({0})"),
    Op("cosh", 1, mpmath.cosh, lambda y: (call("sinh", y.args[0]),), np.cosh, "torch.cosh({0})"),
    Op("tanh", 1, mpmath.tanh, lambda y: (call("sech_square", y.args[0]),), np.tanh, "torch.tanh({0})"),
    Op(
        "asin",
        1,
        mpmath.asin,
        lambda y: (call("power", call("one_minus_square", y.args[0]), -0.5),),
        np.arcsin,
        "torch.asin({0})",
    ),
    Op(
        "acos",
        1,
        mpmath.acos,
        lambda y: (-call("power", call("one_minus_square", y.args[0]), -0.5),),
        np.arccos,
        "torch.acos({0})",
    ),
    Op("atan", 1, mpmath.atan, lambda y: (1.0 / (1.0 + y.args[0] * y.args[0]),), np.arctan, "torch.atan({0})"),
    Op(
        "asinh",
        1,
        mpmath.asinh,
        lambda y: (call("power", 1.0 + y.args[0] * y.args[0], -0.5),),
        np.arcsinh,
        "torch.asinh({0})",
    ),
    Op(
        "acosh",
        1,
        mpmath.acosh,
        lambda y: (call("power", -call("one_minus_square", y.args[0]), -0.5),),
        np.arccosh,
        "torch.acosh({0})",
    ),
    Op(
        "atanh",
        1,
        mpmath.atanh,
        lambda y: (1.0 / call("one_minus_square", y.args[0]),),
        np.arctanh,
        "torch.atanh({0})",
    ),
    Op(
        "erf",
        1,
        mpmath.erf,
        lambda y: (ERF_SLOPE * call("exp_square", y.args[0], value=-1.0),),
        special.erf,
        "torch.erf({0})",
    ),
    Op("raw_exp", 1, mpmath.exp, None, np.exp, "torch.exp({0})"),
    Op("raw_erfc", 1, mpmath.erfc, None, special.erfc, "torch.erfc({0})"),
    Op("raw_erfcx", 1, _erfcx, None, special.erfcx, "torch.special.erfcx({0})"),
    Op("raw_i0e", 1, lambda x: mpmath.besseli(0, x) * mpmath.exp(-abs(x)), None, special.i0e, "torch.special.i0e({0})"),
    Op("raw_i1e", 1, lambda x: mpmath.besseli(1, x) * mpmath.exp(-abs(x)), None, special.i1e, "torch.special.i1e({0})"),
    Op("raw_power", 2, lambda a, b: a**b, None, np.power, "torch.pow({0}, {1})"),
)
