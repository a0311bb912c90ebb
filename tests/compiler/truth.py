"""True values of expressions and of their derivatives: SymPy differentiates, mpmath computes to 900 digits."""

from __future__ import annotations

from functools import cache

import mpmath
import sympy

BITS = 3000  # 1 - tanh(x) and the like are resolved down to the smallest float64
_SIDE = mpmath.mpf(10) ** -60
_INFINITE = mpmath.mpf(10) ** 20  # at 0 the slope of a root is taken at its side, and infinite
_HUGE = mpmath.mpf(2) ** 40  # exp of more has an exponent of so many digits that mpmath takes minutes


def _exp(a: mpmath.mpf) -> mpmath.mpf:
    return mpmath.exp(max(min(a, _HUGE), -_HUGE)) if isinstance(a, mpmath.mpf) else mpmath.exp(a)


_FUNCTIONS = {
    "exp": _exp, "log": mpmath.log, "sin": mpmath.sin, "cos": mpmath.cos, "tan": mpmath.tan,
    "sinh": mpmath.sinh, "cosh": mpmath.cosh, "tanh": mpmath.tanh, "asin": mpmath.asin, "acos": mpmath.acos,
    "atan": mpmath.atan, "asinh": mpmath.asinh, "acosh": mpmath.acosh, "atanh": mpmath.atanh, "erf": mpmath.erf,
    "erfc": mpmath.erfc, "besseli": mpmath.besseli, "sign": mpmath.sign, "Abs": abs, "floor": mpmath.floor,
    "Max": max, "Min": min, "DiracDelta": lambda *_: mpmath.mpf(0), "sech": mpmath.sech, "coth": mpmath.coth,
    "StrictLessThan": lambda a, b: a < b, "LessThan": lambda a, b: a <= b, "StrictGreaterThan": lambda a, b: a > b,
    "GreaterThan": lambda a, b: a >= b, "Equality": lambda a, b: a == b, "Unequality": lambda a, b: a != b,
    "And": lambda *a: all(a), "Or": lambda *a: any(a), "Not": lambda a: not a,
    "ITE": lambda c, a, b: a if c else b,
}  # fmt: skip


@cache
def derivative(expr: sympy.Expr, order: int, variable: sympy.Symbol) -> sympy.Expr:
    """Return the derivative of the expression written in elementary functions."""
    if order == 0:
        return _exact_numbers(_exact_numbers(expr).rewrite("elementary"))
    # SymPy leaves the slope of floor as an unevaluated derivative; it is 0
    return derivative(expr, order - 1, variable).diff(variable).replace(sympy.Derivative, lambda *_: sympy.S.Zero)


def _exact_numbers(expr: sympy.Expr) -> sympy.Expr:
    """Return ``expr`` with fractions for decimals: SymPy's arithmetic on decimals has 15 digits."""
    return expr.xreplace({number: sympy.Rational(number) for number in expr.atoms(sympy.Float)})


def value(expr: sympy.Basic, point: dict[sympy.Symbol, mpmath.mpf]) -> mpmath.mpf:
    """Return the value of an elementary expression at the working precision.

    Raises:
        ZeroDivisionError, ValueError: It has none.
    """
    done: dict[sympy.Basic, mpmath.mpf] = {}
    stack = [expr]
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
        elif isinstance(node, sympy.Piecewise):
            done[node] = _piecewise(node, point)
        elif missing := [arg for arg in node.args if arg not in done]:
            stack.extend(missing)
        else:
            done[node] = _node(node, [done[arg] for arg in node.args], point)
    return done[expr]


def _piecewise(node: sympy.Piecewise, point: dict[sympy.Symbol, mpmath.mpf]) -> mpmath.mpf:
    for branch, condition in node.args:
        if condition == sympy.true or value(condition, point):
            return value(branch, point)
    raise ValueError("no branch")


def _node(node: sympy.Basic, args: list[mpmath.mpf], point: dict[sympy.Symbol, mpmath.mpf]) -> mpmath.mpf:
    if isinstance(node, sympy.Symbol):
        return point[node]
    if isinstance(node, sympy.Float):
        return mpmath.mpf(node._mpf_)
    if not args and node.is_number:
        return mpmath.mpf(node.p) / node.q if node.is_Rational else mpmath.mpmathify(node._to_mpmath(BITS))
    if node.is_Add:
        return mpmath.fsum(args)
    if node.is_Mul:
        return mpmath.fprod(args)
    if node.is_Pow:
        return _real(mpmath.power(*args))
    name = node.func.__name__
    if name == "Heaviside":
        return args[1] if args[0] == 0 else mpmath.mpf(args[0] > 0)
    if name == "sinc":
        return mpmath.sinc(args[0])
    if name not in _FUNCTIONS:
        raise ValueError(f"no true value of {name}")
    return _real(_FUNCTIONS[name](*args))


def _real(number: object) -> mpmath.mpf:
    if isinstance(number, mpmath.mpc):
        if number.imag != 0:
            raise ValueError("not real")
        return number.real
    return number


def true_value(
    expr: sympy.Expr, order: int, x: float, starts: dict[sympy.Symbol, float], variable: sympy.Symbol
) -> mpmath.mpf | None:
    """Return the derivative at ``x``, by continuity where the formula has a gap.

    None outside the domain, and at 0 where the function or one of the derivatives up to this one jumps or is infinite.
    """
    formula = derivative(expr, order, variable)
    point = {symbol: mpmath.mpf(start) for symbol, start in starts.items()}

    def at(place: mpmath.mpf) -> mpmath.mpf:
        return _settled(formula, {**point, variable: place})

    try:
        if x != 0:
            return at(mpmath.mpf(x))
        sides = [at(sign * _SIDE) for sign in (-1, 1)]
    except (ZeroDivisionError, ValueError):
        return None
    if max(map(abs, sides)) > _INFINITE:
        return None
    return (
        None if _jumps(sides) or (order and true_value(expr, order - 1, x, starts, variable) is None) else _limit(sides)
    )


def _jumps(sides: list[mpmath.mpf]) -> bool:
    return abs(sides[0] - sides[1]) > mpmath.mpf(10) ** -25 * max(1, *map(abs, sides))


def _limit(sides: list[mpmath.mpf]) -> mpmath.mpf:
    """Return the value at 0: what is this small beside 0 itself is 0 (a square root makes 1e-30 of 1e-60)."""
    middle = (sides[0] + sides[1]) / 2
    return mpmath.mpf(0) if abs(middle) < mpmath.mpf(10) ** -25 else middle


def _settled(formula: sympy.Expr, point: dict[sympy.Symbol, mpmath.mpf]) -> mpmath.mpf:
    """Return the value at a precision that doubles until 30 digits stand; 0 only where the highest one says so."""
    last = mpmath.mpf(0)
    for bits in (1300, 2000, BITS, BITS + 500):
        with mpmath.workprec(bits):
            current = value(formula, point)
        if current != 0 and abs(current - last) <= abs(current) * mpmath.mpf(10) ** -30:
            break
        last = current
    return current
