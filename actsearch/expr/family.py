"""Adaptive families in a text: ``rational(degrees=(5, 4), start=gelu)`` names a family and its settings.

A family is no formula; it stands as an opaque atom where an expression is expected, so that a search space can hold
families beside expressions. What the settings mean, only the family's own file knows (:func:`actsearch.make`).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import sympy

from actsearch.errors import ExprError
from actsearch.expr.bounds import MAX_TEXT

Setting = bool | int | float | str | tuple["Setting", ...]
"""A word or formula is a str."""


class Family(sympy.AtomicExpr):
    """A family's name and settings.

    Args:
        name: the name of a file in ``actsearch/nn/adaptive``.
        settings: values of its settings; equal ones in another order are equal.

    Example:
        >>> Family("rational", {"degrees": (5, 4), "start": "gelu"})
        rational(degrees=(5, 4), start=gelu)
    """

    __slots__ = ("name", "settings")
    is_number = False
    is_commutative = True

    name: str
    settings: Mapping[str, Setting]

    def __new__(cls, name: str, settings: Mapping[str, Setting] | None = None) -> Family:
        """Return the family."""
        made = super().__new__(cls)
        made.name = name
        made.settings = dict(settings or {})
        return made

    @property
    def text(self) -> str:
        """The text that :func:`read_family` reads back."""
        return f"{self.name}({', '.join(f'{key}={_written(value)}' for key, value in self.settings.items())})"

    def _hashable_content(self) -> tuple[Any, ...]:
        return (self.name, *(f"{key}={_written(self.settings[key])}" for key in sorted(self.settings)))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.name, self.settings

    def _sympystr(self, printer: Any) -> str:
        return self.text


def read_family(text: str) -> Family | None:
    """Return the family of a text that is a name with settings by keyword; None for any other text.

    Raises:
        ExprError: a setting is there twice or has no value.

    Example:
        >>> read_family("rational(degrees=(5, 4), start=x*tanh(x))").settings
        {'degrees': (5, 4), 'start': 'x * tanh(x)'}
        >>> read_family("tanh(x)") is None
        True
    """
    if len(text) > MAX_TEXT:
        return None
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # as a formula it gets its own message
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
        return None
    settings: dict[str, Setting] = {}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise ExprError(f"the settings of {node.func.id!r} are written name=value, not **")
        settings[keyword.arg] = _value(keyword.value)
    return Family(node.func.id, settings)


def read_setting(text: str) -> Setting:
    """Return the value of one setting's text.

    Raises:
        ExprError: it is no Python expression.

    Example:
        >>> read_setting("(5, 4)"), read_setting("gelu"), read_setting("0.5"), read_setting("True")
        ((5, 4), 'gelu', 0.5, True)
    """
    try:
        return _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExprError(f"{text!r} is no value of a setting: a number, a word, a formula or (a, b) is") from None


def _value(node: ast.expr) -> Setting:
    if isinstance(node, ast.Tuple | ast.List):
        return tuple(_value(part) for part in node.elts)
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float | str):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        number = node.operand.value
        if isinstance(number, int | float):
            return -number
    return ast.unparse(node)


def _written(value: Setting) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_written, value))}{',' * (len(value) == 1)})"
    if not isinstance(value, str):
        return repr(value)
    try:
        return value if read_setting(value) == value else repr(value)
    except ExprError:
        return repr(value)
