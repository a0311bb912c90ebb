"""From a checked syntax tree to a SymPy expression: one method for each kind of node that a formula may have."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import sympy
from sympy import S

from actsearch.errors import ExprError, suggest
from actsearch.expr import catalog
from actsearch.expr.bounds import power_fault, shallow_fault, size_fault
from actsearch.expr.functions import x
from actsearch.expr.parameters import CONSTRAINTS, GRANULARITIES, Parameter
from actsearch.expr.primitives import PRIMITIVES
from actsearch.expr.syntax import fault, tree_of
from actsearch.expr.unevaluated import choice, comparison, power

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


class Reader:
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

    def _fault(self, node: ast.AST, message: str) -> ExprError:
        return fault(self.text, getattr(node, "col_offset", 0), message)

    def build(self, node: ast.expr) -> Any:
        """Return the expression of a node, checked."""
        method = _METHODS.get(type(node))
        if method is None:
            raise self._fault(node, f"{_describe(node)} has no place in a formula")
        try:
            value = method(self, node)
            problem = shallow_fault(value) if self.finite else ""
        except ExprError:
            raise
        except (ArithmeticError, TypeError, ValueError) as error:
            # SymPy's answers to constants that it cannot compute or compare
            raise self._fault(node, f"this cannot be computed ({error})") from error
        if problem:
            raise self._fault(node, problem)
        return value

    def _constant(self, node: ast.Constant) -> Any:
        if type(node.value) is int:
            return sympy.Integer(node.value)
        if type(node.value) is float:
            return sympy.Float(node.value)
        raise self._fault(node, f"{node.value!r} is not a real number")

    def _name(self, node: ast.Name) -> Any:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in _CONSTANTS:
            return _CONSTANTS[node.id]
        if node.id in self._known_functions():
            raise self._fault(node, f"{node.id!r} is a function: write {node.id}(x)")
        hint = suggest(node.id, [*self.names, *_CONSTANTS]) or f"; a parameter is written {node.id}[1.0]"
        raise self._fault(node, f"unknown name {node.id!r}{hint}")

    def _known_functions(self) -> list[str]:
        return [*self.functions, *PRIMITIVES, *catalog.names(aliases=True)]

    def _arithmetic(self, node: ast.expr) -> Any:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            raise self._fault(node, "a condition belongs before 'else', as in: a if x > 0 else b")
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            return self._sum(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return self._power(node)
        if isinstance(node, ast.BinOp) and not isinstance(node.op, (ast.Mult, ast.Div)):
            raise self._fault(node, "the operators of a formula are + - * / **")
        return self._product(node)

    def _sum(self, node: ast.expr) -> Any:
        """Return ``a + b - c`` made in one go, since SymPy's sums depend on how they were put together."""
        terms: list[tuple[ast.expr, bool]] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
            terms.append((node.right, isinstance(node.op, ast.Sub)))
            node = node.left
        terms.append((node, False))
        return sympy.Add(*[self._product(term, (S.NegativeOne,) * negative) for term, negative in reversed(terms)])

    def _product(self, node: ast.expr, factors: tuple[Any, ...] = ()) -> Any:
        """Return ``-a * b / c`` made in one go: SymPy multiplies out 2*(x + 1), but not 2*(x + 1)*sin(x)."""
        found = [*factors, *self._factors(node)]
        return found[0] if len(found) == 1 else sympy.Mul(*found)

    def _factors(self, node: ast.expr) -> list[Any]:
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
            found += self._inverses(part) if divides else [self.build(part)]
        return found

    def _inverses(self, node: ast.expr) -> list[Any]:
        is_product = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div))
        divisors = self._factors(node) if is_product else [self.build(node)]
        if self.finite and any(divisor.is_Number and divisor.is_zero for divisor in divisors):
            raise self._fault(node, "this is a division by zero")
        return [power(divisor, S.NegativeOne) for divisor in divisors]

    def _power(self, node: ast.BinOp) -> Any:
        base, exponent = self.build(node.left), self.build(node.right)
        if problem := power_fault(base, exponent):
            raise self._fault(node.right, problem)
        return power(base, exponent)

    def _call(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name):
            raise self._fault(node, "only a name can be called")
        if node.keywords:
            raise self._fault(node.keywords[0].value, "arguments have no names in a formula")
        name, arguments = node.func.id, [self.build(argument) for argument in node.args]
        if name in self.functions:
            return self.functions[name](*arguments)
        if name in PRIMITIVES:
            self._check_arity(node, PRIMITIVES[name].arity)
            return PRIMITIVES[name].build(*arguments)
        if name not in catalog.names(aliases=True):
            raise self._fault(node, f"unknown function {name!r}{suggest(name, self._known_functions())}")
        self._check_arity(node, 1)
        formula = catalog.get(name).text
        value = Reader(formula, {"x": arguments[0]}, {}, self.finite).build(tree_of(formula))
        if problem := size_fault(value):  # here too: a formula that has x twice doubles with each call inside it
            raise self._fault(node, problem)
        return value

    def _check_arity(self, node: ast.Call, arity: int | None) -> None:
        given = len(node.args)
        if arity is None and given < 2:
            raise self._fault(node, f"{ast.unparse(node.func)} takes two or more arguments, not {given}")
        if arity is not None and given != arity:
            plural = "" if arity == 1 else "s"
            raise self._fault(node, f"{ast.unparse(node.func)} takes {arity} argument{plural}, not {given}")

    def _parameter(self, node: ast.Subscript) -> Any:
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if not isinstance(node.value, ast.Name) or not parts:
            raise self._fault(node, "a parameter is written name[start], as in beta[1.0]")
        start = self._product(parts[0])
        if not start.is_number:
            raise self._fault(parts[0], "a parameter starts at a number")
        fields: dict[str, str] = {}
        for word in parts[1:]:
            if not isinstance(word, ast.Name):
                raise self._fault(word, f"one of {', '.join((*CONSTRAINTS, *GRANULARITIES))} is expected here")
            kind = "granularity" if word.id in GRANULARITIES else "constraint"
            if kind in fields:
                raise self._fault(word, f"a second {kind}, {word.id!r}")
            if word.id not in (*CONSTRAINTS, *GRANULARITIES):
                near = suggest(word.id, (*CONSTRAINTS, *GRANULARITIES))
                raise self._fault(word, f"{word.id!r} is neither a constraint nor a granularity{near}")
            fields[kind] = word.id
        try:
            return Parameter(node.value.id, float(start), **fields)
        except ExprError as error:
            raise self._fault(node, str(error)) from None

    def _choice(self, node: ast.IfExp) -> Any:
        """Return ``a if c else b if d else ...`` as one Piecewise."""
        pairs: list[tuple[Any, Any]] = []
        rest: ast.expr = node
        while isinstance(rest, ast.IfExp):
            pairs.append((self.build(rest.body), self._condition(rest.test)))
            rest = rest.orelse
        return choice([*pairs, (self.build(rest), S.true)])

    def _condition(self, node: ast.expr, negated: bool = False) -> Any:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self._condition(node.operand, not negated)
        if isinstance(node, ast.BoolOp):
            parts = [self._condition(value, negated) for value in node.values]
            return (sympy.And if isinstance(node.op, ast.And) is not negated else sympy.Or)(*parts)
        if isinstance(node, ast.Compare):
            sides = [self.build(side) for side in (node.left, *node.comparators)]
            parts = [self._comparison(node, op, left, right, negated)
                     for op, left, right in zip(node.ops, sides, sides[1:], strict=False)]  # fmt: skip
            return parts[0] if len(parts) == 1 else (sympy.Or if negated else sympy.And)(*parts)
        raise self._fault(node, "a condition is a comparison, as in: a if x > 0 else b")

    def _comparison(self, node: ast.Compare, op: ast.cmpop, left: Any, right: Any, negated: bool) -> Any:
        if type(op) not in _COMPARISONS:
            raise self._fault(node, "only < <= > >= == != compare numbers")
        return comparison(_COMPARISONS[_OPPOSITES[type(op)] if negated else type(op)], left, right)


_METHODS: dict[type[ast.expr], Callable[[Reader, Any], Any]] = {
    ast.Constant: Reader._constant,
    ast.Name: Reader._name,
    ast.UnaryOp: Reader._arithmetic,
    ast.BinOp: Reader._arithmetic,
    ast.Call: Reader._call,
    ast.Subscript: Reader._parameter,
    ast.IfExp: Reader._choice,
}


def _describe(node: ast.expr) -> str:
    words = {ast.Compare: "a comparison outside a condition", ast.BoolOp: "'and' or 'or' outside a condition"}
    return words.get(type(node), f"a Python {type(node).__name__.lower()}")
