"""Sums: pairs of terms that would cancel are computed as one.

``1 - tanh(u)`` is ``2 sigmoid(-2u)``, ``exp(u) - 1`` is ``expm1(u)``; such pairs are looked for in sums of any length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import sympy
from sympy import S

from actsearch.expr import recognise
from actsearch.expr.exact import number
from actsearch.expr.value import Value, call

if TYPE_CHECKING:
    from actsearch.expr.lower import Lowering

#: A form of ``1 - f(u)``, ``1 + f(u)``, ...: from u and the sign, its value.
Complement = Callable[[Value], Value]


def _twice_square(op: str) -> Complement:
    return lambda u: 2.0 * call("power", call(op, 0.5 * u), 2.0)


#: (name, a / b) -> (a + b name(u)) / b
_WITH_CONSTANT: dict[tuple[str, sympy.Expr], Complement] = {
    ("exp", S.NegativeOne): lambda u: call("expm1", u),
    ("tanh", S.One): lambda u: 2.0 * call("sigmoid", 2.0 * u),
    ("tanh", S.NegativeOne): lambda u: -2.0 * call("sigmoid", -2.0 * u),
    ("sigmoid", S.NegativeOne): lambda u: -call("sigmoid", -u),
    ("sigmoid", -S.Half): lambda u: 0.5 * call("tanh", 0.5 * u),
    ("cos", S.NegativeOne): lambda u: -_twice_square("sin")(u),
    ("cos", S.One): _twice_square("cos"),
    ("cosh", S.NegativeOne): _twice_square("sinh"),
    ("cosh", S.One): _twice_square("cosh"),
}


class Sum:
    """One sum, its terms taken out as they are paired."""

    def __init__(self, lowering: Lowering, expr: sympy.Expr) -> None:
        self.lowering = lowering
        self.constant, self.terms = recognise.split_sum(expr)
        self.values: list[Value] = []

    def value(self) -> Value:
        """Return the value of the sum."""
        self._pair_with_constant()
        self._pair_terms()
        parts = [*self.values, *(self._term(scale, rest) for scale, rest in self.terms)]
        if self.constant != 0 or not parts:
            parts.append(self.lowering.builder.constant(number(self.constant)))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def _term(self, scale: sympy.Expr, rest: sympy.Expr) -> Value:
        return self.lowering.of(rest) * self.lowering.builder.constant(number(scale))

    def _pair_with_constant(self) -> None:
        for i, (scale, rest) in enumerate(self.terms):
            if self.constant == 0:
                return
            value = self._complement(self.constant / scale, rest)
            if value is not None:
                self.values.append(value * self.lowering.builder.constant(number(scale)))
                self.constant = S.Zero
                del self.terms[i]
                return

    def _complement(self, ratio: sympy.Expr, rest: sympy.Expr) -> Value | None:
        """Return ``ratio + rest`` where that has a form of its own."""
        if isinstance(rest, sympy.erf | sympy.erfc):
            return self._error_function(ratio, rest)
        if isinstance(rest, sympy.Pow) and rest.exp == S.Half:
            return self._root(ratio, rest.base)
        if isinstance(rest, sympy.Pow) and rest.exp == 2:
            return self._square(ratio, rest.base)
        scale, found = recognise.factors(rest)
        if len(found) == 1 and found[0].power == 1:
            form = _WITH_CONSTANT.get((found[0].name, ratio / scale))
        else:
            return None
        name = found[0].name if found[0].name != "plain" else found[0].argument.func.__name__
        argument = found[0].argument if found[0].name != "plain" else (found[0].argument.args or (S.Zero,))[0]
        form = _WITH_CONSTANT.get((name, ratio / scale))
        return None if form is None else form(self.lowering.of(argument)) * number(scale)

    def _error_function(self, ratio: sympy.Expr, rest: sympy.Expr) -> Value | None:
        u = rest.args[0]
        if isinstance(rest, sympy.erf) and ratio in (1, -1):
            return self.lowering.of(sympy.erfc(-ratio * u, evaluate=False)) * float(ratio)
        if isinstance(rest, sympy.erfc) and ratio == -2:
            return -self.lowering.of(sympy.erfc(-u, evaluate=False))
        return -call("erf", self.lowering.of(u)) if isinstance(rest, sympy.erfc) and ratio == -1 else None

    def _root(self, ratio: sympy.Expr, inside: sympy.Expr) -> Value | None:
        """``sqrt(w**2 + c) - sqrt(c)``, and ``sqrt(c + w) - sqrt(c) = w / (sqrt(c + w) + sqrt(c))``."""
        form = recognise.square_plus(inside)
        if form and ratio.is_negative and recognise.same(ratio**2, form[1]):
            return call("root_minus", self.lowering.of(form[0]), value=float(number(form[1])))
        constant, _ = recognise.split_sum(inside)
        if ratio.is_negative and recognise.same(ratio**2, constant):
            return self.lowering.of(inside - constant) / (call("sqrt", self.lowering.of(inside)) + number(-ratio))
        return None

    def _square(self, ratio: sympy.Expr, base: sympy.Expr) -> Value | None:
        """``1 - tanh(u)**2`` and its kind."""
        forms: dict[tuple[object, int], Complement] = {
            (sympy.tanh, -1): lambda u: -call("sech_square", u),
            (sympy.sin, -1): lambda u: -call("power", call("cos", u), 2.0),
            (sympy.cos, -1): lambda u: -call("power", call("sin", u), 2.0),
            (sympy.cosh, -1): lambda u: call("power", call("sinh", u), 2.0),
            (sympy.sinh, 1): lambda u: call("power", call("cosh", u), 2.0),
        }
        if (form := forms.get((base.func, ratio))) is not None:
            return form(self.lowering.of(base.args[0]))
        return -call("one_minus_square", self.lowering.of(base)) if ratio == -1 else None

    def _pair_terms(self) -> None:
        for i in range(len(self.terms)):
            for j in range(i + 1, len(self.terms)):
                value = self._two(self.terms[i], self.terms[j]) or self._two(self.terms[j], self.terms[i])
                if value is not None:
                    self.values.append(value)
                    del self.terms[j], self.terms[i]
                    return self._pair_terms()
        return None

    def _two(self, first: tuple[sympy.Expr, sympy.Expr], second: tuple[sympy.Expr, sympy.Expr]) -> Value | None:
        (a, f), (b, g) = first, second
        of = self.lowering.of
        if pair := recognise.exp_pair(a * f + b * g):
            return call(pair[0], of(pair[2])) * number(2 * pair[1])
        if isinstance(g, sympy.tanh | sympy.sin) and recognise.same(a * f, -b * g.args[0]):
            return (of(g.args[0]) - of(g)) * number(-b)
        if isinstance(g, sympy.Pow) and g.exp == S.Half and (form := recognise.square_plus(g.base)):
            ratio = a * f / (b * form[0])
            if ratio in (1, -1):
                return call("root_plus", of(ratio * form[0]), value=float(number(form[1]))) * number(b)
        return None
