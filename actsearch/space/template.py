"""From the text of an alternative to its template: calls of rules and parameters are taken out, a formula is left."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Set

from actsearch.expr.parameters import Parameter
from actsearch.expr.syntax import tree_of
from actsearch.expr.text import parse
from actsearch.space.rules import Alternative, Call


def make_alternative(text: str, rules: Set[str], parameters: Mapping[str, Parameter], line: int = 0) -> Alternative:
    """Return the alternative that a text describes; the text must have been checked before.

    Args:
        text: a formula that may call rules.
        rules: names of the rules.
        parameters: parameters that the space declares: used by name alone.
        line: where the file has the text.

    Example:
        >>> made = make_alternative("a * unary(2 * a) + beta[1.0]", {"unary"}, {})
        >>> made.template, made.calls
        ('a * _0 + _beta', (Call(rule='unary', args=('2 * a',)),))
    """
    taker = _Taker(rules, parameters)
    tree = taker.visit(copy.deepcopy(tree_of(text)))
    return Alternative(text.strip(), ast.unparse(tree), tuple(taker.calls), tuple(taker.found), line)


class _Taker(ast.NodeTransformer):
    """Replaces calls of rules by ``_k`` and parameters by ``_name``, inner ones first."""

    def __init__(self, rules: Set[str], parameters: Mapping[str, Parameter]) -> None:
        self.rules = rules
        self.parameters = parameters
        self.calls: list[Call] = []
        self.found: list[Parameter] = []

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.args = [self.visit(argument) for argument in node.args]
        if not isinstance(node.func, ast.Name) or node.func.id not in self.rules:
            return node
        self.calls.append(Call(node.func.id, tuple(ast.unparse(argument) for argument in node.args)))
        return _name(f"_{len(self.calls) - 1}", node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        parameter = parse(ast.unparse(node))
        assert isinstance(parameter, Parameter)
        return self.take(parameter, node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        declared = self.parameters.get(node.id)
        return node if declared is None else self.take(declared, node)

    def take(self, parameter: Parameter, node: ast.expr) -> ast.expr:
        if parameter not in self.found:
            self.found.append(parameter)
        return _name(f"_{parameter.name}", node)


def _name(name: str, node: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Name(name, ast.Load()), node)
