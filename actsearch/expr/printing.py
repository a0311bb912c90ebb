"""From a SymPy expression to text that ``parse`` reads back as the same expression."""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy
from sympy import S

from actsearch.errors import ExprError, suggest
from actsearch.expr.family import Family
from actsearch.expr.functions import x
from actsearch.expr.parameters import Parameter
from actsearch.expr.primitives import PRIMITIVES

# binding strength: a part is put in brackets when it binds more weakly than its place asks
_SUM, _PRODUCT, _SIGNED, _POWER, _ATOM = range(1, 6)
_CHOICE = 0

_COMPARISONS = {
    sympy.StrictGreaterThan: ">",
    sympy.GreaterThan: ">=",
    sympy.StrictLessThan: "<",
    sympy.LessThan: "<=",
    sympy.Equality: "==",
    sympy.Unequality: "!=",
}


def format(expr: sympy.Expr) -> str:
    """Return the text of an expression: ``parse(format(e)) == e`` for every expression of the grammar.

    Raises:
        ExprError: the expression holds something that no text can say, such as a symbol other than ``x`` that is no
            Parameter, or a SymPy function that is no primitive.

    Example:
        >>> from actsearch.expr.functions import sigmoid
        >>> format(x * sigmoid(Parameter("beta", 1.0, "positive") * x))
        'x*sigmoid(beta[1.0, positive]*x)'
    """
    return _print(sympy.sympify(expr))[0]


def _at_least(expr: Any, strength: int) -> str:
    text, own = _print(expr)
    return text if own >= strength else f"({text})"


def _print(expr: Any) -> tuple[str, int]:
    """Return the text and how strongly it binds."""
    if expr.is_Symbol:
        return _symbol(expr), _ATOM
    if expr.is_Number:
        return _number(expr)
    if expr is S.Pi:
        return "pi", _ATOM
    if expr is S.Exp1:
        return "e", _ATOM
    if expr.is_Add:
        return _sum(expr), _SUM
    if expr.is_Mul:
        return _product(expr.args)
    if expr.is_Pow:
        return _power(expr)
    if isinstance(expr, sympy.Piecewise):
        return _piecewise(expr), _CHOICE
    if isinstance(expr, (sympy.Function, sympy.Max, sympy.Min)):
        return _call(expr), _ATOM
    if isinstance(expr, Family):
        return expr.text, _ATOM
    raise ExprError(f"{expr} ({type(expr).__name__}) has no place in a formula")


def _symbol(symbol: Any) -> str:
    if isinstance(symbol, Parameter):
        words = [word for word, usual in ((symbol.constraint, "real"), (symbol.granularity, "layer")) if word != usual]
        return f"{symbol.name}[{', '.join([repr(symbol.start), *words])}]"
    if symbol == x:
        return "x"
    raise ExprError(f"{symbol.name!r} is neither the real symbol x nor a Parameter")


def _number(number: Any) -> tuple[str, int]:
    if number.is_Integer:
        text, strength = str(int(number)), _ATOM
    elif number.is_Rational:
        text, strength = f"{number.p}/{number.q}", _PRODUCT
    elif number.is_Float:
        text, strength = repr(float(number)), _ATOM
    else:
        raise ExprError(f"{number} has no place in a formula")
    return (text, min(strength, _PRODUCT)) if text.startswith("-") else (text, strength)


def _sum(expr: Any) -> str:
    texts = [_at_least(term, _PRODUCT) for term in sorted(expr.args, key=lambda term: term.is_number)]
    texts.sort(key=lambda text: text.startswith("-"))  # a positive term first
    joined = texts[0]
    for text in texts[1:]:
        joined += f" - {text[1:]}" if text.startswith("-") else f" + {text}"
    return joined


def _product(factors: tuple[Any, ...]) -> tuple[str, int]:
    upper: list[str] = []
    lower: list[str] = []
    sign = ""
    for factor in sorted(factors, key=_place_in_product):
        if factor.is_Rational:
            sign = "-" if factor.p < 0 else ""
            upper += [str(abs(factor.p))] if factor.p not in (1, -1) else []
            lower += [str(factor.q)] if factor.q != 1 else []
        elif factor.is_Float:
            sign = "-" if factor < 0 else ""
            upper.append(repr(abs(float(factor))))
        elif factor.is_Pow and factor.exp.is_Rational and factor.exp < 0:
            lower.append(_at_least(sympy.Pow(factor.base, -factor.exp, evaluate=False), _POWER))
        else:
            upper.append(_at_least(factor, _POWER))
    text = sign + "*".join(upper or ["1"])
    if lower:
        text += "/" + (lower[0] if len(lower) == 1 else f"({'*'.join(lower)})")
    return text, _PRODUCT


def _place_in_product(factor: Any) -> int:
    return 0 if factor.is_Number else 1 if isinstance(factor, Parameter) else 2


def _power(expr: Any) -> tuple[str, int]:
    base, exponent = expr.args
    if exponent.is_Rational and exponent < 0:
        return _product((expr,))
    if exponent is S.One:  # unevaluated, from _product
        return _print(base)
    if exponent is S.Half:
        return f"sqrt({_print(base)[0]})", _ATOM
    return f"{_at_least(base, _ATOM)}**{_at_least(exponent, _ATOM)}", _POWER


def _piecewise(expr: Any) -> str:
    *choices, (last, always) = expr.args
    if always is not S.true:
        raise ExprError(f"{expr} has no value where none of its conditions hold; end it with (value, True)")
    parts = [f"{_at_least(value, _SUM)} if {_condition(condition)} else " for value, condition in choices]
    return "".join(parts) + _print(last)[0]


def _condition(condition: Any) -> str:
    if type(condition) in _COMPARISONS:
        left, right = (_at_least(side, _SUM) for side in condition.args)
        return f"{left} {_COMPARISONS[type(condition)]} {right}"
    if isinstance(condition, (sympy.And, sympy.Or)):
        word = " and " if isinstance(condition, sympy.And) else " or "
        ordered = sorted(condition.args, key=sympy.default_sort_key)
        return word.join(f"({_condition(part)})" if part.args and not part.is_Relational else _condition(part)
                         for part in ordered)  # fmt: skip
    if isinstance(condition, sympy.ITE):  # SymPy makes it of a Piecewise inside a condition
        test, then, otherwise = condition.args
        return _condition((test & then) | (~test & otherwise))
    raise ExprError(f"{condition} is not a condition that a formula can have")


def _call(expr: Any) -> str:
    names = _names_of_functions()
    if type(expr) not in names:
        name = type(expr).__name__
        raise ExprError(f"{name} is no primitive{suggest(name, PRIMITIVES)}")
    return f"{names[type(expr)]}({', '.join(_print(argument)[0] for argument in expr.args)})"


@cache
def _names_of_functions() -> dict[type, str]:
    """Return SymPy class -> primitive name, for the rows that are one class applied to their arguments."""
    found: dict[type, str] = {}
    for row in PRIMITIVES.values():
        arguments = tuple(sympy.symbols(f"a:{row.arity or 2}", real=True))
        built = row.build(*arguments)
        if isinstance(built, (sympy.Function, sympy.Max, sympy.Min)) and set(built.args) == set(arguments):
            found.setdefault(type(built), row.name)
    return found
