"""The table of primitives: one row each, and everything known about a primitive in its row.

To add one, add a row. A row whose ``build`` composes functions that exist needs nothing else: parsing, printing,
lowering and the conformance tests find it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Any

import sympy
from sympy import S

from actsearch.expr import functions as f
from actsearch.expr.unevaluated import choice, comparison, extreme, power


@dataclass(frozen=True, slots=True)
class Primitive:
    """One named elementary function.

    Attributes:
        name: how it is written in a text.
        arity: number of arguments; None for two or more.
        build: makes the SymPy expression from that many SymPy expressions.
        definition: the textbook formula in ``a``, ``b``, ..., for people and for tests.
        source: where the function comes from.
        smooth: False when the function or its first derivative jumps somewhere inside its domain.
        domain: closed hull of the arguments (of one argument) at which the function is real.
    """

    name: str
    arity: int | None
    build: Callable[..., sympy.Expr]
    definition: str
    source: str = "elementary"
    smooth: bool = True
    domain: tuple[float, float] = (-inf, inf)


def _step(a: Any) -> Any:
    return choice([(S.One, comparison(sympy.StrictGreaterThan, a, S.Zero)), (S.Zero, S.true)])


def _sqrt(a: Any) -> Any:
    return power(a, S.Half)


def _max(*args: Any) -> Any:
    return extreme(sympy.Max, args)


def _min(*args: Any) -> Any:
    return extreme(sympy.Min, args)


def _clip(a: Any, low: Any, high: Any) -> Any:
    return _min(_max(a, low), high)


_ROWS = (
    Primitive("abs", 1, sympy.Abs, "sqrt(a**2)", smooth=False),
    Primitive("sign", 1, sympy.sign, "a/abs(a), 0 at 0", smooth=False),
    Primitive("step", 1, _step, "1 if a > 0 else 0", "the slope of relu in torch", smooth=False),
    Primitive("floor", 1, sympy.floor, "the largest integer that is not above a", smooth=False),
    Primitive("sqrt", 1, _sqrt, "a**(1/2)", domain=(0, inf)),
    Primitive("exp", 1, sympy.exp, "e**a"),
    Primitive("expm1", 1, f.expm1, "exp(a) - 1"),
    Primitive("log", 1, sympy.log, "natural logarithm", domain=(0, inf)),
    Primitive("log1p", 1, f.log1p, "log(1 + a)", domain=(-1, inf)),
    Primitive("sin", 1, sympy.sin, "sine"),
    Primitive("cos", 1, sympy.cos, "cosine"),
    Primitive("tan", 1, sympy.tan, "sin(a)/cos(a)", smooth=False),
    Primitive("sinh", 1, sympy.sinh, "(exp(a) - exp(-a))/2"),
    Primitive("cosh", 1, sympy.cosh, "(exp(a) + exp(-a))/2"),
    Primitive("tanh", 1, sympy.tanh, "sinh(a)/cosh(a)"),
    Primitive("asin", 1, sympy.asin, "inverse of sin", domain=(-1, 1)),
    Primitive("acos", 1, sympy.acos, "inverse of cos", domain=(-1, 1)),
    Primitive("atan", 1, sympy.atan, "inverse of tan"),
    Primitive("asinh", 1, sympy.asinh, "inverse of sinh"),
    Primitive("acosh", 1, sympy.acosh, "inverse of cosh", domain=(1, inf)),
    Primitive("atanh", 1, sympy.atanh, "inverse of tanh", domain=(-1, 1)),
    Primitive("sinc", 1, sympy.sinc, "sin(a)/a, 1 at 0", "Ramachandran et al. 2017, arXiv:1710.05941"),
    Primitive("erf", 1, sympy.erf, "2/sqrt(pi) * integral of exp(-t**2) from 0 to a", "NIST DLMF 7.2"),
    Primitive("erfc", 1, sympy.erfc, "1 - erf(a)", "NIST DLMF 7.2"),
    Primitive("sigmoid", 1, f.sigmoid, "1/(1 + exp(-a))"),
    Primitive("log_sigmoid", 1, f.log_sigmoid, "log(sigmoid(a))"),
    Primitive("softplus", 1, f.softplus, "log(1 + exp(a))", "Dugas et al. 2000"),
    Primitive("silu", 1, f.silu, "a*sigmoid(a)", "Ramachandran et al. 2017, arXiv:1710.05941"),
    Primitive("normal_cdf", 1, f.normal_cdf, "erfc(-a/sqrt(2))/2", "NIST DLMF 7.2"),
    Primitive("gelu", 1, f.gelu, "a*normal_cdf(a)", "Hendrycks, Gimpel 2016, arXiv:1606.08415"),
    Primitive("relu", 1, f.relu, "max(a, 0)", smooth=False),
    Primitive("elu", 1, f.elu, "a if a > 0 else exp(a) - 1", "Clevert et al. 2015, arXiv:1511.07289"),
    Primitive("selu", 1, f.selu, "1.0507009873554805*(a if a > 0 else 1.6732632423543772*(exp(a) - 1))",
              "Klambauer et al. 2017, arXiv:1706.02515", smooth=False),
    Primitive("softsign", 1, f.softsign, "a/(1 + abs(a))"),
    Primitive("hard_sigmoid", 1, f.hard_sigmoid, "min(max(a/6 + 1/2, 0), 1)",
              "Howard et al. 2019, arXiv:1905.02244", smooth=False),
    Primitive("mish", 1, f.mish, "a*tanh(softplus(a))", "Misra 2019, arXiv:1908.08681"),
    Primitive("log_cosh", 1, f.log_cosh, "log(cosh(a))"),
    Primitive("bessel_i0e", 1, f.bessel_i0e, "exp(-abs(a))*I0(a)", "NIST DLMF 10.25", smooth=False),
    Primitive("bessel_i1e", 1, f.bessel_i1e, "exp(-abs(a))*I1(a)", "NIST DLMF 10.25"),
    Primitive("max", None, _max, "the largest argument", smooth=False),
    Primitive("min", None, _min, "the smallest argument", smooth=False),
    Primitive("clip", 3, _clip, "min(max(a, b), c)", smooth=False),
)  # fmt: skip

PRIMITIVES: Mapping[str, Primitive] = MappingProxyType({row.name: row for row in _ROWS})
"""Name -> row."""
