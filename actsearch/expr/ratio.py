"""Ratios of polynomials in x, whose powers must not overflow.

``x**5`` leaves float32 at 5e7 and the terms of a second derivative at 1e3, although the ratio itself is tame. So where
``|x| > 1`` numerator and denominator are divided by the highest power of the denominator and become polynomials in
``1/x``. Both forms are Horner's; only the one that is taken counts, in values and derivatives alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sympy

from actsearch.expr.functions import x
from actsearch.expr.recognise import Factor
from actsearch.expr.value import Value, call, select

if TYPE_CHECKING:
    from actsearch.expr.lower import Lowering

MIN_DEGREE = 2
"""Of the denominator; a line cannot overflow."""
MAX_DEGREE = 64
"""Of both: beyond it Horner's form is longer than what it protects from is likely."""

Coefficients = Mapping[int, sympy.Expr]
"""Degree -> what the power of x is multiplied by, free of x."""


@dataclass
class Denominator:
    """A sum of powers of x, powers of |x| and absolute values of polynomials in x.

    Attributes:
        plain: the powers of x.
        even: the powers of |x|.
        absolute: the polynomials whose absolute values are added.
    """

    plain: dict[int, sympy.Expr] = field(default_factory=dict)
    even: dict[int, sympy.Expr] = field(default_factory=dict)
    absolute: list[Coefficients] = field(default_factory=list)

    @property
    def degree(self) -> int:
        """The highest power of all."""
        return max(degree for part in (self.plain, self.even, *self.absolute) for degree in (*part, 0))


def ratio_of(lowering: Lowering, found: list[Factor]) -> tuple[Value, list[Factor]] | None:
    """Return the value of the ratio of polynomials among the factors of a product, and the other factors.

    None when no sum over a sum of degree two or more is among them.
    """
    above = [factor for factor in found if _is_sum(factor) and factor.power == 1]
    below = [factor for factor in found if (_is_sum(factor) or _is_named(factor)) and factor.power == -1]
    if len(above) != 1 or len(below) != 1:
        return None
    numerator, denominator = polynomial(above[0].argument), _denominator(below[0])
    if numerator is None or denominator is None or not MIN_DEGREE <= denominator.degree <= MAX_DEGREE:
        return None
    if not 1 <= max(numerator) <= MAX_DEGREE:
        return None
    others = [factor for factor in found if factor not in (above[0], below[0])]
    return _value(lowering, numerator, denominator), others


def polynomial(expr: sympy.Expr) -> Coefficients | None:
    """Return the coefficients of a sum of powers of x, None for anything else.

    Example:
        >>> polynomial(3 * x**2 - 1)
        {0: -1, 2: 3}
    """
    found: dict[int, sympy.Expr] = {}
    for term in sympy.Add.make_args(expr):
        coefficient, power = term.as_independent(x, as_Add=False)
        degree = _degree(power, x)
        if degree is None:
            return None
        found[degree] = found.get(degree, 0) + coefficient
    return found


def _is_sum(factor: Factor) -> bool:
    return factor.name == "plain" and isinstance(factor.argument, sympy.Add)


def _is_named(factor: Factor) -> bool:
    """Whether this is ``1 + |u|``, which :mod:`actsearch.expr.recognise` knows by name."""
    return factor.name == "one_plus_abs"


def _degree(power: sympy.Expr, base: sympy.Expr) -> int | None:
    """Return n for ``base**n``."""
    if power == 1:
        return 0
    if power == base:
        return 1
    if isinstance(power, sympy.Pow) and power.base == base and power.exp.is_Integer and power.exp > 0:
        return int(power.exp)
    return None


def _denominator(factor: Factor) -> Denominator | None:
    """Return the parts of a denominator that has only even parts or only powers of x, None for anything else."""
    if _is_named(factor):
        inside = polynomial(factor.argument)
        return None if inside is None else Denominator(even={0: sympy.S.One}, absolute=[inside])
    found, expr = Denominator(), factor.argument
    for term in sympy.Add.make_args(expr):
        coefficient, rest = term.as_independent(x, as_Add=False)
        plain, even = _degree(rest, x), _even_degree(rest)
        if isinstance(rest, sympy.Abs) and (inner := polynomial(rest.args[0])) is not None:
            if coefficient == 1 and len(inner) > 1:
                found.absolute.append(inner)
                continue
            if len(inner) == 1:
                ((even, inside),) = inner.items()
                coefficient = coefficient * sympy.Abs(inside)
        if even is not None and (plain is None or plain % 2 == 0):
            found.even[even] = found.even.get(even, 0) + coefficient
        elif plain is not None:
            found.plain[plain] = found.plain.get(plain, 0) + coefficient
        else:
            return None
    if found.plain and not found.absolute:  # x + x**2: nothing says that it is even, so it is all one polynomial
        as_powers = polynomial(expr)
        return None if as_powers is None else Denominator(plain=dict(as_powers))
    return None if found.plain else found


def _even_degree(rest: sympy.Expr) -> int | None:
    """Return n for a product of even powers of x and powers of |x| that is ``|x|**n``."""
    total = 0
    for factor in sympy.Mul.make_args(rest):
        plain, absolute = _degree(factor, x), _degree(factor, sympy.Abs(x))
        if plain is not None and plain % 2 == 0:
            total += plain
        elif absolute is not None:
            total += absolute
        else:
            return None
    return total


def _value(lowering: Lowering, numerator: Coefficients, denominator: Denominator) -> Value:
    value, degree = lowering.builder.x(), denominator.degree
    turned = 1.0 / value
    small = abs(value) <= 1.0
    inner = _bottom(lowering, denominator, value, abs(value), 0)
    outer = _bottom(lowering, denominator, turned, abs(turned), degree)
    top = max(numerator)
    above = _horner(lowering, _reverse(numerator, top), turned)
    growth = top - degree
    if growth:
        above = above * call("power", value if growth > 0 else turned, float(abs(growth)))
    if degree % 2 and not denominator.plain:  # divided by |x|**degree
        above = above * call("sign", value)
    return select(small, _horner(lowering, numerator, value), above) / select(small, inner, outer)


def _bottom(lowering: Lowering, denominator: Denominator, at: Value, size: Value, reverse: int) -> Value:
    """Return the denominator at x, or divided by the power ``reverse`` of x (of |x|, where it is even) at 1/x."""

    def turn(part: Coefficients) -> Coefficients:
        return _reverse(part, reverse) if reverse else part

    parts = [_horner(lowering, turn(part), base)
             for part, base in ((denominator.plain, at), (denominator.even, size)) if part]  # fmt: skip
    parts += [abs(_horner(lowering, turn(part), at)) for part in denominator.absolute]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _reverse(coefficients: Coefficients, degree: int) -> Coefficients:
    return {degree - power: coefficient for power, coefficient in coefficients.items()}


def _horner(lowering: Lowering, coefficients: Coefficients, at: Value) -> Value:
    total = lowering.builder.constant(0.0)
    for power in range(max(coefficients), -1, -1):
        total = total * at
        if power in coefficients:
            total = total + lowering.of(coefficients[power])
    return total
