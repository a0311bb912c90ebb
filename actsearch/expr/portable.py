"""Basic operations in simpler ones, for targets whose library lacks them: NumPy has no erf, ONNX no expm1.

Each definition is a program of its own, so every printer of programs can print it as a helper function. All are within
a few ulp in float64, in the tails too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from functools import lru_cache, partial

import mpmath

from actsearch.expr.build import Builder
from actsearch.expr.expand import expand
from actsearch.expr.graph import Program
from actsearch.expr.ops.constants import ERF_SLOPE
from actsearch.expr.ops.fit import horner, interpolate
from actsearch.expr.value import Value, call, select

_MIDDLE = 4.0  # of erfcx's map of [0, inf) to [-1, 1]
_NEAR = 8.0  # from here on the Bessel functions go by 1/|u|
_TAIL = 0.5  # from here on erfc goes by erfcx


@lru_cache(maxsize=16)
def definition(op: str) -> Program:
    """Return the program, in x, that computes one of :data:`DEFINED` in simpler operations.

    Args:
        op: ``"erf"``, ``"raw_erfc"``, ``"raw_erfcx"`` (for x >= 0), ``"raw_i0e"``, ``"raw_i1e"``, ``"raw_expm1"`` or
            ``"log1p"``.

    Example:
        >>> from actsearch.expr.evaluate import evaluate
        >>> evaluate(definition("erf"), [0.0, 0.5, 2.0]).round(6).tolist()
        [0.0, 0.5205, 0.995322]
    """
    builder = Builder()
    return builder.program([_RULES[op](builder.x())])


def needed(programs: Mapping[str, Program], lacking: Set[str]) -> list[str]:
    """Return which of the ``lacking`` operations the programs use, those that others are defined by first."""
    found: list[str] = []

    def visit(program: Program) -> None:
        for node in expand(program).nodes:
            if node.op in lacking and node.op not in found:
                visit(definition(node.op))
                found.append(node.op)

    for program in programs.values():
        visit(program)
    return found


def _erfcx(u: Value) -> Value:
    """Return ``exp(u**2) erfc(u)``, u >= 0: a polynomial in (u - 4)/(u + 4) over 1 + 2 u.

    Reference: Shepherd and Laframboise, Math. Comp. 36, 1981.
    """
    t = 1.0 - 2.0 * _MIDDLE / (u + _MIDDLE)
    return horner(t, _erfcx_coefficients()) / (1.0 + 2.0 * u)


@lru_cache(maxsize=1)
def _erfcx_coefficients() -> list[mpmath.mpf]:
    def scaled(t: mpmath.mpf) -> mpmath.mpf:
        u = _MIDDLE * (1 + t) / (1 - t)
        return (1 + 2 * u) * mpmath.hyperu(mpmath.mpf(1) / 2, mpmath.mpf(1) / 2, u * u) / mpmath.sqrt(mpmath.pi)

    return interpolate(scaled, 27)


def _erf(u: Value) -> Value:
    """Return erf: ``u`` times a polynomial in ``u**2`` on [-1, 1], beyond ``1 - erfc``."""
    square = call("minimum", u * u, 1.0)
    near = call("minimum", call("maximum", u, -1.0), 1.0) * horner(2.0 * square - 1.0, _erf_coefficients())
    a = call("maximum", abs(u), 1.0)
    far = 1.0 - call("raw_exp", -(a * a)) * call("raw_erfcx", a)
    return select(abs(u) < 1.0, near, call("sign", u) * far)


@lru_cache(maxsize=1)
def _erf_coefficients() -> list[mpmath.mpf]:
    def quotient(t: mpmath.mpf) -> mpmath.mpf:
        u = mpmath.sqrt((1 + t) / 2)
        return mpmath.erf(u) / u if u else ERF_SLOPE

    return interpolate(quotient, 14)


def _erfc(u: Value) -> Value:
    a = call("maximum", u, _TAIL)
    return select(u > _TAIL, call("raw_exp", -(a * a)) * call("raw_erfcx", a), 1.0 - call("erf", u))


def _bessel(u: Value, order: int) -> Value:
    """Return ``exp(-|u|) I_order(u)``: a polynomial on [-8, 8], one in 16/|u| - 1 over sqrt(|u|) beyond."""
    a = abs(u)
    low, high = call("minimum", a, _NEAR), call("maximum", a, _NEAR)
    near = horner(low * (2.0 / _NEAR) - 1.0, _near_coefficients(order))
    far = horner(2.0 * _NEAR / high - 1.0, _far_coefficients(order)) / call("sqrt", high)
    if order == 0:
        return select(a < _NEAR, near, far)
    return select(a < _NEAR, call("maximum", call("minimum", u, _NEAR), -_NEAR) * near, call("sign", u) * far)


@lru_cache(maxsize=2)
def _near_coefficients(order: int) -> list[mpmath.mpf]:
    def scaled(t: mpmath.mpf) -> mpmath.mpf:
        u = _NEAR * (1 + t) / 2
        return mpmath.besseli(order, u) * mpmath.exp(-u) / u**order

    return interpolate(scaled, 34)


@lru_cache(maxsize=2)
def _far_coefficients(order: int) -> list[mpmath.mpf]:
    def scaled(t: mpmath.mpf) -> mpmath.mpf:
        u = 2 * _NEAR / (1 + t)
        return mpmath.besseli(order, u) * mpmath.exp(-u) * mpmath.sqrt(u)

    return interpolate(scaled, 24)


def _expm1(u: Value) -> Value:
    """Return ``2 t / (1 - t)`` with ``t = tanh(u / 2)`` on [-1, 1], where exp(u) - 1 would cancel."""
    t = call("tanh", 0.5 * call("maximum", call("minimum", u, 1.0), -1.0))
    return select(abs(u) < 1.0, 2.0 * t / (1.0 - t), call("minus", call("raw_exp", u), 1.0))


def _log1p(u: Value) -> Value:
    """Return ``log(w) u / (w - 1)`` with ``w = 1 + u`` rounded: the rounding cancels.

    Reference: Kahan; see Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 1.14.1.
    """
    w = call("plus", u, 1.0)
    gap = call("minus", w, 1.0)
    is_lost = call("eq", gap, 0.0)
    near = select(is_lost, u, call("log", w) * (u / select(is_lost, 1.0, gap)))
    return select(abs(u) < 1.0, near, call("log", w))


_RULES: Mapping[str, Callable[[Value], Value]] = {
    "erf": _erf,
    "raw_erfc": _erfc,
    "raw_erfcx": _erfcx,
    "raw_i0e": partial(_bessel, order=0),
    "raw_i1e": partial(_bessel, order=1),
    "raw_expm1": _expm1,
    "log1p": _log1p,
}
#: The operations that :func:`definition` knows.
DEFINED = frozenset(_RULES)
