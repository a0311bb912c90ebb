"""From a SymPy expression to a program over stable operations.

:mod:`actsearch.expr.recognise` finds the textbook forms; here each is given its operation, and the rest goes through as
it stands. Every subexpression is lowered once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, reduce

import mpmath
import sympy
from sympy import S

from actsearch.errors import ExprError
from actsearch.expr import recognise
from actsearch.expr.build import Builder
from actsearch.expr.evaluate import evaluate
from actsearch.expr.exact import number
from actsearch.expr.functions import SELU_ALPHA, SELU_SCALE
from actsearch.expr.graph import Program
from actsearch.expr.ops.exp_rational import TANH_SOFTPLUS
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.ratio import ratio_of
from actsearch.expr.sums import Sum
from actsearch.expr.value import Value, call, select


@lru_cache(maxsize=4096)
def lower(expr: sympy.Expr) -> Program:
    """Return the program of ``expr``.

    Args:
        expr: A SymPy expression in ``x`` (of any assumptions) and parameters.

    Raises:
        ExprError: There is another symbol, or a function that no operation computes.

    Example:
        >>> import sympy
        >>> x = sympy.Symbol("x", real=True)
        >>> print(lower(x / (1 + sympy.exp(-x))))
        0: x()
        1: sigmoid(0,)
        2: mul(0, 1)
        -> 2
    """
    builder = Builder(parameters_of(expr))
    return builder.program([Lowering(builder).of(sympy.sympify(expr))])


class Lowering:
    """The walk over one expression."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self._done: dict[sympy.Basic, Value] = {}

    def of(self, expr: sympy.Basic) -> Value:
        """Return the value of ``expr``."""
        if expr not in self._done:
            self._done[expr] = self._lower(expr)
        return self._done[expr]

    def _lower(self, expr: sympy.Basic) -> Value:
        if isinstance(expr, sympy.Symbol):
            return self._symbol(expr)
        if isinstance(expr, sympy.Expr) and expr.is_number:
            return self.builder.constant(number(expr))
        rule = _RULES.get(expr.func.__name__)
        if rule is None:
            raise ExprError(f"no operation computes {expr.func.__name__} in {expr}")
        return rule(self, expr)

    def _symbol(self, symbol: sympy.Symbol) -> Value:
        if isinstance(symbol, Parameter):
            return self.builder.parameter(symbol.name)
        if symbol.name == "x":
            return self.builder.x()
        raise ExprError(f"the symbol {symbol.name!r} is neither x nor a parameter")

    def named(self, name: str, argument: sympy.Expr) -> Value:
        """Return the named form of ``argument`` (see :class:`actsearch.expr.recognise.Factor`)."""
        if name == "plain":
            return self.of(argument)
        if name == "one_plus_abs":
            return 1.0 + abs(self.of(argument))
        head, _, c = name.partition(" ")
        if head == "square_plus":
            u = self.of(argument)
            return u * u + number(sympy.sympify(c))
        if head == "root_slope":
            return call("root_slope", self.of(argument), value=float(number(sympy.sympify(c))))
        if name == "exp":
            return _exp(self, sympy.exp(argument, evaluate=False))
        if name == "erfc":
            return _erfc(self, sympy.erfc(argument, evaluate=False))
        if name in ("sinc", "exprel", "sinhc", "bose", "erfcx"):
            return call(name, self.of(argument), value=0.0)
        return call(name, self.of(argument))


def _sum(lowering: Lowering, expr: sympy.Expr) -> Value:
    return Sum(lowering, expr).value()


def _product(lowering: Lowering, expr: sympy.Expr) -> Value:
    scale, found = recognise.factors(expr)
    above: list[Value] = []
    below: list[Value] = []
    if (ratio := ratio_of(lowering, found)) is not None:
        above, found = [ratio[0]], ratio[1]
    for factor in found:
        _place(lowering, factor, above, below)
    value = reduce(lambda a, b: a * b, above) if above else None
    if below:
        divisor = reduce(lambda a, b: a * b, below)
        value = (lowering.builder.lift(1.0) if value is None else value) / divisor
    constant = lowering.builder.constant(number(scale))
    return constant if value is None else constant * value


def _place(lowering: Lowering, factor: recognise.Factor, above: list[Value], below: list[Value]) -> None:
    """Put a factor above or below the line."""
    name, power = factor.name, factor.power
    if name == "cosh" and power.is_negative:
        name, power = "sech", -power
    if name.startswith("square_plus") and power in (S.Half, -S.Half):
        c = float(number(sympy.sympify(name.split(" ")[1])))
        value, power = call("root", lowering.of(factor.argument), value=c), power * 2
    else:
        value = lowering.named(name, factor.argument)
    if power == 1:
        above.append(value)
    elif power == -1:
        below.append(value)
    else:
        above.append(call("power", value, lowering.of(power)))


def _power(lowering: Lowering, expr: sympy.Expr) -> Value:
    if expr.exp.is_number:
        return _product(lowering, expr)
    if expr.base.is_number and expr.base.is_positive:  # a**u = exp(u log a)
        return call("exp", lowering.of(expr.exp) * number(sympy.log(expr.base)))
    return call("power", lowering.of(expr.base), lowering.of(expr.exp))


def _exp(lowering: Lowering, expr: sympy.Expr) -> Value:
    form = recognise.number_times_square(expr.args[0])
    if form is not None:
        return call("exp_square", lowering.of(form[1]), value=float(number(form[0])))
    return call("exp", lowering.of(expr.args[0]))


def _erfc(lowering: Lowering, expr: sympy.Expr) -> Value:
    """``erfc(-u / sqrt(2)) = 2 normal_cdf(u)``, whose square in the exponent is exact."""
    scale, rest = recognise.split_number(expr.args[0])
    ratio = scale * sympy.sqrt(2)
    if ratio.is_Rational:
        return 2.0 * call("normal_cdf", lowering.of(-ratio * rest))
    return call("erfc", lowering.of(expr.args[0]))


def _log(lowering: Lowering, expr: sympy.Expr) -> Value:
    inside = expr.args[0]
    if form := recognise.one_plus_exp(inside):
        return lowering.of(sympy.log(form[0])) + call("softplus", lowering.of(form[1]))
    if form := recognise.exp_minus_one(inside):
        return call("log", lowering.of(form[0]) * call("expm1", lowering.of(form[1])))
    if (pair := recognise.exp_pair(inside)) and pair[0] == "cosh":
        return lowering.of(sympy.log(2 * pair[1])) + call("log_cosh", lowering.of(pair[2]))
    if (exps := recognise.exp_plus_exp(inside)) and exps[0].is_positive:
        return lowering.of(sympy.log(exps[0]) + exps[1]) + call("softplus", lowering.of(exps[2]))
    if isinstance(inside, sympy.Add) and recognise.split_sum(inside)[0] == 1:
        return call("log1p", lowering.of(inside - 1))
    return _log_of_value(lowering.of(inside))


def _log_of_value(inside: Value) -> Value:
    if inside.node.op == "sigmoid":
        return -call("softplus", -inside.args[0])
    if inside.node.op == "cosh":
        return call("log_cosh", inside.args[0])
    if inside.node.op == "power" and inside.args[1].constant is not None:
        base, power = inside.args
        return power * call("log", abs(base) if power.constant % 2 == 0 else base)
    return call("log", inside)


def _tanh(lowering: Lowering, expr: sympy.Expr) -> Value:
    u = lowering.of(expr.args[0])
    if u.node.op == "softplus":
        return call("exp_rational", u.args[0], value=TANH_SOFTPLUS)
    return call("tanh", u)


def _extremum(op: str) -> Rule:
    def rule(lowering: Lowering, expr: sympy.Expr) -> Value:
        if op == "maximum" and S.Zero in expr.args:
            return call("relu", lowering.of(sympy.Max(*(arg for arg in expr.args if arg != 0))))
        return reduce(lambda a, b: call(op, a, b), [lowering.of(arg) for arg in sympy.ordered(expr.args)])

    return rule


def _piecewise(lowering: Lowering, expr: sympy.Expr) -> Value:
    if (whole := _lifted_gap(lowering, expr)) is not None:
        return whole
    value = lowering.builder.constant(mpmath.nan)
    for branch, condition in reversed(expr.args):
        value = (
            lowering.of(branch)
            if condition == sympy.true
            else select(lowering.of(condition), lowering.of(branch), value)
        )
    return value


def _lifted_gap(lowering: Lowering, expr: sympy.Piecewise) -> Value | None:
    """Return ``f`` for "f(u) where u != 0, else c" when f's stable form is c at 0: then the guard is not needed.

    Left in place, it would give every derivative the value 0 at that point.
    """
    gap = recognise.guarded_gap(expr)
    if gap is None or parameters_of(expr):
        return None
    whole = lowering.of(gap[0])
    return whole if evaluate(lowering.builder.program([whole]), 0.0) == float(number(gap[1])) else None


def _compare(op: str, flipped: bool = False) -> Rule:
    def rule(lowering: Lowering, expr: sympy.Rel) -> Value:
        a, b = lowering.of(expr.lhs), lowering.of(expr.rhs)
        return call(op, b, a) if flipped else call(op, a, b)

    return rule


def _logic(op: str) -> Rule:
    return lambda lowering, expr: reduce(lambda a, b: call(op, a, b), map(lowering.of, expr.args))


def _simple(op: str) -> Rule:
    return lambda lowering, expr: call(op, lowering.of(expr.args[0]))


def _heaviside(lowering: Lowering, expr: sympy.Expr) -> Value:
    u = lowering.of(expr.args[0])
    return select(u > 0, 1.0, select(u < 0, 0.0, lowering.of(expr.args[1])))


def _with(form: Callable[[Value], Value]) -> Rule:
    return lambda lowering, expr: form(lowering.of(expr.args[0]))


def _selu(u: Value) -> Value:
    below = SELU_ALPHA * call("expm1", call("minimum", u, 0.0))
    return SELU_SCALE * select(u > 0, u, below)


def _hard_sigmoid(u: Value) -> Value:
    """Clip before dividing: u + 3 is exact at the kinks, u / 6 + 1/2 is not."""
    return call("minimum", call("maximum", u + 3.0, 0.0), 6.0) / 6.0


Rule = Callable[[Lowering, sympy.Basic], Value]

_RULES: dict[str, Rule] = {
    "Add": _sum,
    "Mul": _product,
    "Pow": _power,
    "exp": _exp,
    "log": _log,
    "tanh": _tanh,
    "erfc": _erfc,
    "Max": _extremum("maximum"),
    "Min": _extremum("minimum"),
    "Piecewise": _piecewise,
    "StrictLessThan": _compare("lt"),
    "LessThan": _compare("le"),
    "StrictGreaterThan": _compare("lt", flipped=True),
    "GreaterThan": _compare("le", flipped=True),
    "Equality": _compare("eq"),
    "Unequality": lambda lowering, expr: call("not", call("eq", lowering.of(expr.lhs), lowering.of(expr.rhs))),
    "And": _logic("and"),
    "Or": _logic("or"),
    "Not": _simple("not"),
    "ITE": lambda lowering, expr: select(*map(lowering.of, expr.args)),
    "BooleanTrue": lambda lowering, expr: lowering.builder.constant(1.0),
    "BooleanFalse": lambda lowering, expr: lowering.builder.constant(0.0),
    "Heaviside": _heaviside,
    "Abs": _simple("abs"),
    "ceiling": _with(lambda u: -call("floor", -u)),
    "coth": _with(lambda u: 1.0 / call("tanh", u)),
    "sech": _simple("sech"),
    "csch": _with(lambda u: 1.0 / call("sinh", u)),
    "cot": _with(lambda u: 1.0 / call("tan", u)),
    "sec": _with(lambda u: 1.0 / call("cos", u)),
    "csc": _with(lambda u: 1.0 / call("sin", u)),
    "sinc": _with(lambda u: call("sinc", u, value=0.0)),
    "log_sigmoid": _with(lambda u: -call("softplus", -u)),
    "silu": _with(lambda u: u * call("sigmoid", u)),
    "gelu": _with(lambda u: u * call("normal_cdf", u)),
    "mish": _with(lambda u: u * call("exp_rational", u, value=TANH_SOFTPLUS)),
    "selu": _with(_selu),
    "hard_sigmoid": _with(_hard_sigmoid),
    "bessel_i0e": _simple("i0e"),
    "bessel_i1e": _simple("i1e"),
    **{
        name: _simple(name)
        for name in (
            *("sign", "floor", "sin", "cos", "tan", "sinh", "cosh", "asin", "acos", "atan", "asinh", "acosh", "atanh"),
            *("erf", "normal_cdf", "sigmoid", "softplus", "relu", "elu", "softsign", "expm1", "log1p", "log_cosh"),
        )
    },
}
