"""Expressions from text: Python's expression syntax over an allow-list; no text is ever evaluated.

Start at :func:`parse`. The grammar: ``x``, ``pi``, ``e``, numbers, ``+ - * / **``, primitives and catalog names as
functions, ``beta[1.0]`` or ``beta[1.0, positive, channel]`` for a parameter, and ``a if x > 0 else b`` with ``and``,
``or`` and ``not`` in conditions.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import sympy
from sympy import S

from actsearch.errors import ExprError, suggest
from actsearch.expr import catalog
from actsearch.expr.bounds import MAX_TEXT, deep_fault, power_fault, shallow_fault, size_fault
from actsearch.expr.functions import x
from actsearch.expr.parameters import CONSTRAINTS, GRANULARITIES, Parameter, parameters_of
from actsearch.expr.primitives import PRIMITIVES
from actsearch.expr.printing import format
from actsearch.expr.syntax import fault, tree_of
from actsearch.expr.unevaluated import choice, comparison, power, settled

__all__ = ["format", "parse"]

_CONSTANTS = {"x": x, "pi": S.Pi, "e": S.Exp1}
_COMPARISONS: dict[type[ast.cmpop], Any] = {
    ast.Gt: sympy.StrictGreaterThan,
    ast.GtE: sympy.GreaterThan,
    ast.Lt: sympy.StrictLessThan,
    ast.LtE: sympy.LessThan,
    ast.Eq: sympy.Equality,
    ast.NotEq: sympy.Unequality,
}
_OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}


def parse(
    text: str,
    names: Mapping[str, sympy.Expr] | None = None,
    functions: Mapping[str, Callable[..., sympy.Expr]] | None = None,
    *,
    finite: bool = True,
) -> sympy.Expr:
    """Return the expression of a text.

    Args:
        text: a formula, such as ``"x * sigmoid(beta[1.0] * x)"``.
        names: further names, or other meanings of ``x``, ``pi`` and ``e``: what each stands for. A rule of a search
            space passes its arguments here.
        functions: further functions, called with the SymPy expressions of their arguments, in the order of the text
            and inner calls first; they take precedence over primitives. A rule of a search space passes the other
            rules here.
        finite: refuse a part that is constant and infinite or not real. A search space sets it to False, since it
            judges such candidates by their values.

    Reading the same text again with other names is cheap: its syntax tree is kept.

    Raises:
        ExprError: the text is outside the grammar or too large; the message shows the place and the nearest name.

    Example:
        >>> parse("x * sigmoid(beta[1.0] * x)")
        x*sigmoid(beta*x)
        >>> parse("a + f(a)", names={"a": parse("2*x")}, functions={"f": sympy.sin})
        2*x + sin(2*x)
    """
    if not isinstance(text, str):
        raise ExprError(f"a formula is a text, not {type(text).__name__}")
    tree = tree_of(text)
    builder = _Builder(text, names or {}, functions or {}, finite)
    try:
        expr = builder.build(tree)
        if problem := size_fault(expr):
            raise ExprError(problem)
        if finite:
            _check_writable(expr, text)
    except RecursionError:
        raise ExprError("the formula is nested too deeply") from None
    parameters_of(expr)
    return expr


def _check_writable(expr: Any, text: str) -> None:
    """Refuse what could not be written and read again; SymPy moves parts deeper than the checks of each node look."""
    if problem := deep_fault(expr):
        shown = text if len(text) <= 200 else f"{text[:200]}..."
        raise ExprError(f"{problem} in some part of {shown!r}")
    if len(text) > MAX_TEXT // 10 and len(format(expr)) > MAX_TEXT:
        raise ExprError(f"the formula written out has more than {MAX_TEXT} characters")


class _Builder:
    """Turns the syntax tree of one text into an expression."""

    def __init__(
        self,
        text: str,
        names: Mapping[str, sympy.Expr],
        functions: Mapping[str, Callable[..., sympy.Expr]],
        finite: bool,
    ) -> None:
        self.text = text
        self.names = names
        self.functions = functions
        self.finite = finite

    def fault(self, node: ast.AST, message: str) -> ExprError:
        return fault(self.text, getattr(node, "col_offset", 0), message)

    def build(self, node: ast.expr) -> Any:
        """Return the expression of a node, checked."""
        method = _METHODS.get(type(node))
        if method is None:
            raise self.fault(node, f"{_describe(node)} has no place in a formula")
        try:
            value = settled(method(self, node))
            problem = shallow_fault(value) if self.finite else ""
        except ExprError:
            raise
        except (
            ArithmeticError,
            TypeError,
            ValueError,
        ) as error:  # SymPy's answers to constants that it cannot compute or compare
            raise self.fault(node, f"this cannot be computed ({error})") from error
        if problem:
            raise self.fault(node, problem)
        return value

    def constant(self, node: ast.Constant) -> Any:
        if type(node.value) is int:
            return sympy.Integer(node.value)
        if type(node.value) is float:
            return sympy.Float(node.value)
        raise self.fault(node, f"{node.value!r} is not a real number")

    def name(self, node: ast.Name) -> Any:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in _CONSTANTS:
            return _CONSTANTS[node.id]
        if node.id in self.known_functions():
            raise self.fault(node, f"{node.id!r} is a function: write {node.id}(x)")
        hint = suggest(node.id, [*self.names, *_CONSTANTS]) or f"; a parameter is written {node.id}[1.0]"
        raise self.fault(node, f"unknown name {node.id!r}{hint}")

    def known_functions(self) -> list[str]:
        return [*self.functions, *PRIMITIVES, *catalog.names(aliases=True)]

    def arithmetic(self, node: ast.expr) -> Any:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            raise self.fault(node, "a condition belongs before 'else', as in: a if x > 0 else b")
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            return self.sum(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return self.power(node)
        if isinstance(node, ast.BinOp) and not isinstance(node.op, (ast.Mult, ast.Div)):
            raise self.fault(node, "the operators of a formula are + - * / **")
        return self.product(node)

    def sum(self, node: ast.expr) -> Any:
        """Return ``a + b - c`` made in one go, since SymPy's sums depend on how they were put together."""
        terms: list[tuple[ast.expr, bool]] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            terms.append((node.right, isinstance(node.op, ast.Sub)))
            node = node.left
        terms.append((node, False))
        return sympy.Add(*[self.product(term, (S.NegativeOne,) * negative) for term, negative in reversed(terms)])

    def product(self, node: ast.expr, factors: tuple[Any, ...] = ()) -> Any:
        """Return ``-a * b / c`` made in one go: SymPy multiplies out 2*(x + 1), but not 2*(x + 1)*sin(x)."""
        found = [*factors, *self.factors(node)]
        return found[0] if len(found) == 1 else sympy.Mul(*found)

    def factors(self, node: ast.expr) -> list[Any]:
        signs: list[Any] = []
        parts: list[tuple[ast.expr, bool]] = []  # last one first: (node, whether it divides)
        while True:
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
                signs += [S.NegativeOne] if isinstance(node.op, ast.USub) else []
                node = node.operand
            elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
                parts.append((node.right, isinstance(node.op, ast.Div)))
                node = node.left
            else:
                break
        found = [*signs, self.build(node)]
        for part, divides in reversed(parts):
            found += self.inverses(part) if divides else [self.build(part)]
        return found

    def inverses(self, node: ast.expr) -> list[Any]:
        is_product = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div))
        divisors = self.factors(node) if is_product else [self.build(node)]
        if self.finite and any(divisor.is_Number and divisor.is_zero for divisor in divisors):
            raise self.fault(node, "this is a division by zero")
        return [power(divisor, S.NegativeOne) for divisor in divisors]

    def power(self, node: ast.BinOp) -> Any:
        base, exponent = self.build(node.left), self.build(node.right)
        if problem := power_fault(base, exponent):
            raise self.fault(node.right, problem)
        return power(base, exponent)

    def call(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name):
            raise self.fault(node, "only a name can be called")
        if node.keywords:
            raise self.fault(node.keywords[0].value, "arguments have no names in a formula")
        name, arguments = node.func.id, [self.build(argument) for argument in node.args]
        if name in self.functions:
            return self.functions[name](*arguments)
        if name in PRIMITIVES:
            self.check_arity(node, PRIMITIVES[name].arity)
            return PRIMITIVES[name].build(*arguments)
        if name not in catalog.names(aliases=True):
            raise self.fault(node, f"unknown function {name!r}{suggest(name, self.known_functions())}")
        self.check_arity(node, 1)
        formula = catalog.get(name).text
        value = _Builder(formula, {"x": arguments[0]}, {}, self.finite).build(tree_of(formula))
        if problem := size_fault(value):  # here too: a formula that has x twice doubles with each call inside it
            raise self.fault(node, problem)
        return value

    def check_arity(self, node: ast.Call, arity: int | None) -> None:
        given = len(node.args)
        if arity is None and given < 2:
            raise self.fault(node, f"{ast.unparse(node.func)} takes two or more arguments, not {given}")
        if arity is not None and given != arity:
            plural = "" if arity == 1 else "s"
            raise self.fault(node, f"{ast.unparse(node.func)} takes {arity} argument{plural}, not {given}")

    def parameter(self, node: ast.Subscript) -> Any:
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if not isinstance(node.value, ast.Name) or not parts:
            raise self.fault(node, "a parameter is written name[start], as in beta[1.0]")
        start = self.product(parts[0])
        if not start.is_number:
            raise self.fault(parts[0], "a parameter starts at a number")
        fields: dict[str, str] = {}
        for word in parts[1:]:
            if not isinstance(word, ast.Name):
                raise self.fault(word, f"one of {', '.join((*CONSTRAINTS, *GRANULARITIES))} is expected here")
            kind = "granularity" if word.id in GRANULARITIES else "constraint"
            if kind in fields:
                raise self.fault(word, f"a second {kind}, {word.id!r}")
            if word.id not in (*CONSTRAINTS, *GRANULARITIES):
                near = suggest(word.id, (*CONSTRAINTS, *GRANULARITIES))
                raise self.fault(word, f"{word.id!r} is neither a constraint nor a granularity{near}")
            fields[kind] = word.id
        try:
            return Parameter(node.value.id, float(start), **fields)
        except ExprError as error:
            raise self.fault(node, str(error)) from None

    def choice(self, node: ast.IfExp) -> Any:
        """Return ``a if c else b if d else ...`` as one Piecewise."""
        pairs: list[tuple[Any, Any]] = []
        rest: ast.expr = node
        while isinstance(rest, ast.IfExp):
            pairs.append((self.build(rest.body), self.condition(rest.test)))
            rest = rest.orelse
        return choice([*pairs, (self.build(rest), S.true)])

    def condition(self, node: ast.expr, negated: bool = False) -> Any:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self.condition(node.operand, not negated)
        if isinstance(node, ast.BoolOp):
            parts = [self.condition(value, negated) for value in node.values]
            return (sympy.And if isinstance(node.op, ast.And) is not negated else sympy.Or)(*parts)
        if isinstance(node, ast.Compare):
            sides = [self.build(side) for side in (node.left, *node.comparators)]
            parts = [self.comparison(node, op, left, right, negated)
                     for op, left, right in zip(node.ops, sides, sides[1:], strict=False)]  # fmt: skip
            return parts[0] if len(parts) == 1 else (sympy.Or if negated else sympy.And)(*parts)
        raise self.fault(node, "a condition is a comparison, as in: a if x > 0 else b")

    def comparison(self, node: ast.Compare, op: ast.cmpop, left: Any, right: Any, negated: bool) -> Any:
        if type(op) not in _COMPARISONS:
            raise self.fault(node, "only < <= > >= == != compare numbers")
        return comparison(_COMPARISONS[_OPPOSITES[type(op)] if negated else type(op)], left, right)


_METHODS: dict[type[ast.expr], Callable[[_Builder, Any], Any]] = {
    ast.Constant: _Builder.constant,
    ast.Name: _Builder.name,
    ast.UnaryOp: _Builder.arithmetic,
    ast.BinOp: _Builder.arithmetic,
    ast.Call: _Builder.call,
    ast.Subscript: _Builder.parameter,
    ast.IfExp: _Builder.choice,
}


def _describe(node: ast.expr) -> str:
    words = {ast.Compare: "a comparison outside a condition", ast.BoolOp: "'and' or 'or' outside a condition"}
    return words.get(type(node), f"a Python {type(node).__name__.lower()}")
