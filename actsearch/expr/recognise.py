"""Textbook forms, found in SymPy's sums, products and powers, and what they are computed as.

Each rule takes a sum or product apart as SymPy has it (``x/(1 + exp(-x))`` is ``Mul(x, Pow(Add(1, exp(-x)), -1))``) and
returns pieces that :mod:`actsearch.expr.lower` turns into stable operations. ``u`` and ``w`` are any expressions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy
from sympy import Expr, S


@dataclass(frozen=True)
class Factor:
    """A factor ``name(argument)**power`` of a product; the name "plain" stands for the argument itself."""

    name: str
    argument: Expr
    power: Expr


@dataclass(frozen=True)
class Term:
    """A term ``coefficient * name(argument)`` of a sum."""

    coefficient: Expr
    name: str
    argument: Expr


def same(a: Expr, b: Expr) -> bool:
    """Whether two expressions are equal after expansion."""
    return a == b or (a - b).expand() == 0


def split_sum(expr: Expr) -> tuple[Expr, list[tuple[Expr, Expr]]]:
    """Return the constant of a sum and its other terms as (number, rest)."""
    constant, terms = S.Zero, []
    for arg in sympy.Add.make_args(expr):
        if arg.is_number:
            constant += arg
        else:
            terms.append(split_number(arg))
    return constant, terms


def split_number(expr: Expr) -> tuple[Expr, Expr]:
    """Return ``expr`` as (number, rest), irrational numbers included."""
    number, rest = expr.as_independent(*expr.free_symbols, as_Add=False)
    return number, rest


def one_plus_exp(expr: Expr) -> tuple[Expr, Expr] | None:
    """Return ``(a, u)`` for ``a (1 + exp(u))``, of which ``a + b exp(w)`` with ``a b > 0`` is the general form."""
    constant, terms = split_sum(expr)
    if len(terms) == 1 and isinstance(terms[0][1], sympy.exp):
        b, e = terms[0]
        if (constant * b).is_positive:
            return constant, e.args[0] if constant == b else e.args[0] + sympy.log(b / constant)
    return None


def exp_plus_exp(expr: Expr) -> tuple[Expr, Expr, Expr] | None:
    """Return ``(a, u, w)`` for ``a exp(u) (1 + exp(w))``: the sum of two exponentials of one sign."""
    constant, terms = split_sum(expr)
    if constant != 0 or len(terms) != 2 or not all(isinstance(rest, sympy.exp) for _, rest in terms):
        return None
    (a, first), (b, second) = terms
    if not (a * b).is_positive:
        return None
    return a, first.args[0], second.args[0] - first.args[0] + sympy.log(b / a)


def one_plus_minus_erf(expr: Expr) -> tuple[Expr, Expr] | None:
    """Return ``(a, u)`` for ``a erfc(u)`` written as ``a - a erf(u)`` or ``a + a erf(-u)``."""
    constant, terms = split_sum(expr)
    if len(terms) != 1 or not isinstance(terms[0][1], sympy.erf) or constant == 0:
        return None
    ratio = terms[0][0] / constant
    return (constant, -ratio * terms[0][1].args[0]) if ratio in (1, -1) else None


def exp_minus_one(expr: Expr) -> tuple[Expr, Expr] | None:
    """Return ``(b, u)`` for ``b (exp(u) - 1)``."""
    constant, terms = split_sum(expr)
    if len(terms) == 1 and isinstance(terms[0][1], sympy.exp) and terms[0][0] == -constant:
        return terms[0][0], terms[0][1].args[0]
    return None


def exp_pair(expr: Expr) -> tuple[str, Expr, Expr] | None:
    """Return ``("cosh" or "sinh", b, u)`` for ``b (exp(u) + exp(-u))`` or ``b (exp(u) - exp(-u))``."""
    constant, terms = split_sum(expr)
    if constant != 0 or len(terms) != 2 or not all(isinstance(rest, sympy.exp) for _, rest in terms):
        return None
    (b, first), (c, second) = terms
    if not same(first.args[0], -second.args[0]) or abs(b) != abs(c):
        return None
    return ("cosh" if b == c else "sinh"), b, first.args[0]


def square_plus(expr: Expr) -> tuple[Expr, Expr] | None:
    """Return ``(w, c)`` for ``w**2 + c`` with a number ``c > 0``."""
    constant, terms = split_sum(expr)
    if not constant.is_positive or len(terms) != 1:
        return None
    k, rest = terms[0]
    w = _square_root(rest)
    return None if w is None or not k.is_positive else (sympy.sqrt(k) * w, constant)


def _square_root(expr: Expr) -> Expr | None:
    """Return ``w`` for ``w**2``, of which every factor is an even whole power."""
    powers = [arg.as_base_exp() for arg in sympy.Mul.make_args(expr)]
    if not all(isinstance(power, sympy.Integer) and power > 0 and power % 2 == 0 for _, power in powers):
        return None
    return sympy.Mul(*(base ** (power // 2) for base, power in powers))


def one_plus_abs(expr: Expr) -> tuple[Expr, Expr] | None:
    """Return ``(a, u)`` for ``a (1 + |u|)`` with a number ``a > 0``."""
    constant, terms = split_sum(expr)
    if constant.is_positive and len(terms) == 1 and isinstance(terms[0][1], sympy.Abs) and terms[0][0].is_positive:
        return constant, terms[0][0] / constant * terms[0][1].args[0]
    return None


def number_times_square(expr: Expr) -> tuple[Expr, Expr] | None:
    """Return ``(c, w)`` for ``c w**2`` with a number ``c``."""
    number, rest = split_number(expr)
    w = _square_root(rest)
    return None if w is None else (number, w)


def guarded_gap(expr: sympy.Piecewise) -> tuple[Expr, Expr] | None:
    """Return ``(f, c)`` for "f where x != 0, else the number c", in either order."""
    if len(expr.args) != 2:
        return None
    (first, condition), (second, otherwise) = expr.args
    if otherwise != sympy.true or not isinstance(condition, sympy.Ne | sympy.Eq):
        return None
    branch, constant = (first, second) if isinstance(condition, sympy.Ne) else (second, first)
    at_zero = isinstance(condition.lhs, sympy.Symbol) and condition.rhs == 0
    return (branch, constant) if at_zero and constant.is_number else None


# --- products -------------------------------------------------------------------------------------------------------


def factors(expr: Expr) -> tuple[Expr, list[Factor]]:
    """Return a product as a number and its factors, textbook forms named, those that cancel combined."""
    number, found = S.One, []
    for arg in sympy.Mul.make_args(expr):
        base, power = (arg.base, arg.exp) if isinstance(arg, sympy.Pow) else (arg, S.One)
        if arg.is_number:
            number *= arg
            continue
        scale, named = _name(base, power)
        number *= scale
        found.extend(named)
    return _combine(number, found)


def _name(base: Expr, power: Expr) -> tuple[Expr, list[Factor]]:
    """Return the number and the named factors that ``base**power`` is."""
    if isinstance(base, sympy.Add) and power.is_number and (named := _name_sum(base, power)):
        return named
    name = base.func.__name__ if len(base.args) == 1 else ""
    if name in ("exp", "expm1", "sin", "sinh", "cosh", "erfc", "sigmoid"):
        return S.One, [Factor(name, base.args[0], power)]
    return S.One, [Factor("plain", base, power)]


def _name_sum(base: Expr, power: Expr) -> tuple[Expr, list[Factor]] | None:
    """Return the number and the named factors that a power of a sum is, None when it is no form that is known."""
    if (form := one_plus_exp(base)) and form[0].is_positive:
        return form[0] ** power, [Factor("sigmoid", -form[1], -power)]
    if form := one_plus_abs(base):
        return form[0] ** power, [Factor("one_plus_abs", form[1], power)]
    if form := square_plus(base):
        return S.One, [Factor(f"square_plus {form[1]}", form[0], power)]
    if not power.is_integer:
        return None
    if form := exp_minus_one(base):
        return form[0] ** power, [Factor("expm1", form[1], power)]
    if pair := exp_pair(base):
        return (2 * pair[1]) ** power, [Factor(pair[0], pair[2], power)]
    if sum_ := exp_plus_exp(base):
        return sum_[0] ** power, [Factor("exp", sum_[1] * power, S.One), Factor("sigmoid", -sum_[2], -power)]
    if form := one_plus_minus_erf(base):
        return form[0] ** power, [Factor("erfc", form[1], power)]
    return None


def _combine(number: Expr, found: list[Factor]) -> tuple[Expr, list[Factor]]:
    """Apply the rules for two factors until none fits."""
    pending = True
    while pending:
        pending = False
        for i, first in enumerate(found):
            for j, second in enumerate(found):
                result = _pair(first, second) if i != j else None
                if result is not None:
                    scale, replaced = result
                    rest = [f for k, f in enumerate(found) if k not in (i, j)]
                    number, found = number * scale, rest + [f for f in replaced if f.power != 0]
                    pending = True
                    break
            if pending:
                break
    return _with_argument(number, found)


Pair = tuple[Expr, list[Factor]] | None


def _pair(a: Factor, b: Factor) -> Pair:
    rule = _PAIRS.get((a.name, b.name))
    return rule(a, b) if rule else None


def _exp_exp(a: Factor, b: Factor) -> Pair:
    """``exp(u) exp(v)``, which arise from sums of exponentials."""
    if a.power != 1 or b.power != 1:
        return None
    total = (a.argument + b.argument).expand()
    return S.One, [] if total == 0 else [Factor("exp", total, S.One)]


def _exp_sigmoid(a: Factor, b: Factor) -> Pair:
    """``exp(m u) sigmoid(-u)**n = sigmoid(u)**m sigmoid(-u)**(n - m)``."""
    if not b.power.is_Integer or a.power != 1:
        return None
    for m in range(1, int(b.power) + 1):
        if same(a.argument, -m * b.argument):
            rest = Factor("sigmoid", b.argument, b.power - m)
            return S.One, [Factor("sigmoid", -b.argument, S(m)), rest]
    return None


def _exp_expm1(a: Factor, b: Factor) -> Pair:
    """``exp(u) / expm1(u) = -1 / expm1(-u)``."""
    if b.power == -1 and a.power == 1 and same(a.argument, b.argument):
        return S.NegativeOne, [Factor("expm1", -b.argument, S.NegativeOne)]
    return None


def _expm1_sigmoid(a: Factor, b: Factor) -> Pair:
    """``expm1(u) sigmoid(-u) = tanh(u/2)``, and its powers."""
    if a.power == b.power and same(a.argument, -b.argument):
        return S.One, [Factor("tanh", a.argument / 2, a.power)]
    return None


def _sinh_cosh(a: Factor, b: Factor) -> Pair:
    if a.power == -b.power and a.power.is_positive and same(a.argument, b.argument):
        return S.One, [Factor("tanh", a.argument, a.power)]
    if a.power == -b.power and a.power.is_positive and same(a.argument, -b.argument):
        return (-S.One) ** a.power, [Factor("tanh", b.argument, a.power)]
    return None


def _erfc_exp(a: Factor, b: Factor) -> Pair:
    """``erfc(u) exp(u**2)``."""
    if a.power == b.power == 1 and same(a.argument**2, b.argument):
        return S.One, [Factor("erfcx", a.argument, S.One)]
    return None


def _with_argument(number: Expr, found: list[Factor]) -> tuple[Expr, list[Factor]]:
    """Replace ``f(u)`` and the ``u`` that goes with it: ``sin(u) / u``, ``u / expm1(u)``, ``u / (1 + |u|)``, ...

    The factors of ``u`` may stand singly (SymPy has ``sin(b*x)/(b*x)`` as three factors), and a number may be missing.
    """
    for factor in found:
        rule = _WITH_ARGUMENT.get((factor.name.split(" ")[0], bool(factor.power.is_positive)))
        if rule is None:
            continue
        name, unit, companion = rule
        n = factor.power / unit
        plain = {f.argument: f.power for f in found if f.name == "plain"}
        scale, rest = split_number(factor.argument)
        if -rest in plain:  # a sum takes the sign in: expm1(-x - 1) beside x + 1
            scale, rest = -scale, -rest
        parts = [arg.as_base_exp() for arg in sympy.Mul.make_args(rest)]
        if not n.is_Integer or not all(base in plain and plain[base].is_number for base, _ in parts):
            continue
        n = min([n, *(sympy.floor(plain[base] / (companion * power)) for base, power in parts)])
        if n < 1:
            continue
        for base, power in parts:
            plain[base] -= companion * power * n
        named = Factor(factor.name.replace(factor.name.split(" ")[0], name), factor.argument, n)
        left = [replace(factor, power=factor.power - unit * n), *(Factor("plain", b, p) for b, p in plain.items())]
        others = [f for f in found if f is not factor and f.name != "plain"]
        remaining = [f for f in [named, *left, *others] if f.power != 0]
        return _with_argument(number * scale ** (-companion * n), remaining)
    return number, found


#: (f, whether its power is positive) -> the whole's name, the power of f and that of u in it.
_WITH_ARGUMENT: dict[tuple[str, bool], tuple[str, Expr, int]] = {
    ("sin", True): ("sinc", S.One, -1),
    ("sinh", True): ("sinhc", S.One, -1),
    ("expm1", True): ("exprel", S.One, -1),
    ("expm1", False): ("bose", S.NegativeOne, 1),
    ("one_plus_abs", False): ("softsign", S.NegativeOne, 1),
    ("square_plus", False): ("root_slope", -S.Half, 1),
}

_PAIRS = {
    ("exp", "exp"): _exp_exp,
    ("exp", "sigmoid"): _exp_sigmoid,
    ("exp", "expm1"): _exp_expm1,
    ("expm1", "sigmoid"): _expm1_sigmoid,
    ("sinh", "cosh"): _sinh_cosh,
    ("erfc", "exp"): _erfc_exp,
}
