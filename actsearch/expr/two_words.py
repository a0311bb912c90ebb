"""Exponents to twice the precision: polynomials of the input as a rounded value and what the rounding lost.

``exp(v)`` has ``|v|`` times the relative error of ``v``: without the second word, ``exp(-0.2*x**2)`` would lose six
bits in float32 and nine in float64 before it underflows. Products and sums are Dekker's and Knuth's exact ones.

Reference:
    T. J. Dekker, "A floating-point technique for extending the available precision", Numer. Math. 18, 1971.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from actsearch.expr.value import Value, call, select

Words = tuple[Value, "Value | None"]

_LARGEST_POWER = 8
_MOST_PRODUCTS = 12  # more would cost more than the accuracy is worth; such an exponent is computed plainly
_SATURATED = 1e4  # exp is 0 or infinite beyond, in every type: no second word, which may have overflowed


def two_words(v: Value, largest: float = _SATURATED) -> Words:
    """Return ``v`` as a rounded value and a correction, or as itself and None.

    There is no correction where ``v`` is exact (the input, a parameter, their multiples by powers of two), nor where it
    is made of anything but sums, products and whole powers of those.

    Args:
        v: What is computed twice as precisely.
        largest: Beyond this absolute value the correction is 0.
    """
    return _limited(_words_of_polynomial(v), largest)


def total(exponents: Sequence[Value]) -> Words:
    """Return the sum of exponents in the same way, the rounding of the sum itself included."""
    words = _words_of_polynomial(exponents[0])
    for exponent in exponents[1:]:
        words = _sum(words, _words_of_polynomial(exponent))
    return _limited(words, _SATURATED)


def shifted(v: Value, by: Value, largest: float) -> Words:
    """Return ``v + by`` in the same way."""
    return _limited(_sum(_words_of_polynomial(v), _constant(by)), largest)


def _words_of_polynomial(v: Value) -> Words:
    return (v, None) if _exact(v) or not 0 < _products(v) <= _MOST_PRODUCTS else _words(v)


def _limited(words: Words, largest: float) -> Words:
    """Return words of which the second is a rounding error of the first, and 0 where it may have overflowed."""
    high, low = words
    if low is None:
        return words
    fits = abs(high) < largest
    low = select(fits, low, 0.0)
    normal = call("plus", high, low)
    return normal, select(fits, call("minus", low, call("minus", normal, high)), 0.0)


def _exact(v: Value) -> bool:
    if v.node.op in ("neg", "abs", "minimum", "maximum", "select", "relu"):
        return all(_exact(arg) for arg in (v.args[1:] if v.node.op == "select" else v.args))
    if v.node.op == "mul":
        return v.args[0].constant is not None and _power_of_two(v.args[0]) and _exact(v.args[1])
    return v.node.op in ("x", "parameter") or (v.constant is not None and _short(v))


def _power_of_two(c: Value) -> bool:
    return isinstance(c.node.value, float) and np.frexp(c.node.value)[0] in (0.5, -0.5)


def _short(c: Value) -> bool:
    """Whether a constant is exact in float32 with bits to spare."""
    return isinstance(c.node.value, float) and float(np.float32(c.node.value)) == c.node.value


def _products(v: Value) -> int:
    """Return how many products and sums ``v`` takes; a number over the limit when it has anything else in it."""
    if _exact(v) or v.constant is not None:
        return 0
    if v.node.op == "power":
        exponent = v.args[1].constant
        if exponent is None or exponent % 1 != 0 or not 2 <= exponent <= _LARGEST_POWER:
            return _MOST_PRODUCTS + 1
        return int(exponent) - 1 + _products(v.args[0])
    if v.node.op == "softplus":
        return 1 if _exact(v.args[0]) else _MOST_PRODUCTS + 1
    if v.node.op in ("add", "sub", "mul", "neg", "abs", "minimum", "maximum", "relu", "select"):
        cost = v.node.op in ("add", "sub", "mul")
        inner = v.args[1:] if v.node.op == "select" else v.args
        return cost + sum(_products(arg) for arg in inner)
    return _MOST_PRODUCTS + 1


def _words(v: Value) -> Words:
    if _exact(v):
        return v, None
    if v.constant is not None:
        return _constant(v)
    op = v.node.op
    if op == "power":
        return _power(_words(v.args[0]), int(v.args[1].constant or 0))
    if op == "softplus":  # max(u, 0), which is exact, and a smaller term
        u = v.args[0]
        return _sum((call("maximum", u, 0.0), None), (call("log1p", call("raw_exp", -abs(u))), None))
    if op == "neg":
        return _negative(_words(v.args[0]))
    if op == "mul":
        return _product(_words(v.args[0]), _words(v.args[1]))
    if op in ("add", "sub"):
        second = _words(v.args[1])
        return _sum(_words(v.args[0]), second if op == "add" else _negative(second))
    return _chosen(v)


def _chosen(v: Value) -> Words:
    """Absolute value, relu, minimum, maximum and choices select between words."""
    if v.node.op == "select":
        condition, yes, no = v.args
    elif v.node.op == "abs":
        condition, yes, no = v.args[0] < 0, -v.args[0], v.args[0]
    elif v.node.op == "relu":
        condition, yes, no = v.args[0] > 0, v.args[0], v.builder.constant(0.0)
    else:
        a, b = v.args
        condition, yes, no = (a < b if v.node.op == "minimum" else a > b), a, b
    (high, low), (other, rest) = _words(yes), _words(no)
    if low is None and rest is None:
        return select(condition, high, other), None
    zero = v.builder.constant(0.0)
    return select(condition, high, other), select(condition, low or zero, rest or zero)


def _constant(c: Value) -> Words:
    """Return a number as its float32 and the rest: in float64, too, a product with the first word keeps its bits."""
    number = c.constant
    high = float(np.float32(float(number)))
    return c.builder.constant(high), c.builder.constant(number - high)


def _negative(a: Words) -> Words:
    return -a[0], None if a[1] is None else -a[1]


def _sum(a: Words, b: Words) -> Words:
    total = call("plus", a[0], b[0])
    moved = call("minus", total, a[0])
    lost = call("minus", a[0], call("minus", total, moved)) + call("minus", b[0], moved)
    for low in (a[1], b[1]):
        lost = lost if low is None else lost + low
    return total, lost


def _product(a: Words, b: Words) -> Words:
    product = call("times", a[0], b[0])
    (a1, a2), (b1, b2) = _halves(a[0]), _halves(b[0])
    first = call("minus", call("times", a1, b1), product)
    lost = (first + (call("times", a1, b2) + call("times", a2, b1))) + call("times", a2, b2)
    if a[1] is not None:
        lost = lost + a[1] * b[0]
    if b[1] is not None:
        lost = lost + a[0] * b[1]
    if a[1] is not None and b[1] is not None:
        lost = lost + a[1] * b[1]
    return product, lost


def _halves(a: Value) -> tuple[Value, Value]:
    """Return the upper half of the significant bits and the rest: products of halves are exact."""
    if a.constant is not None:
        head = _head(float(a.constant))
        return a.builder.constant(head), a.builder.constant(float(a.constant) - head)
    upper = call("head", a)
    return upper, call("minus", a, upper)


def _head(number: float) -> float:
    """Return the upper 12 bits of a number of at most 24: products with a half of either type are exact."""
    mantissa, exponent = math.frexp(number)
    return math.ldexp(math.trunc(mantissa * 4096), exponent - 12)


def _power(a: Words, n: int) -> Words:
    if n == 1:
        return a
    half = _power(a, n // 2)
    square = _product(half, half)
    return _product(square, a) if n % 2 else square
