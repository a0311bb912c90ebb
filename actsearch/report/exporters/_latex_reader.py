r"""A reader of the LaTeX that the LaTeX exporter writes: recursive descent over tokens, nothing is evaluated as code.

It knows numbers, ``x``, ``t``, declared parameters, ``\pi``, ``e``, sums, products, ``\frac``, ``\sqrt``, powers,
absolute values, floors, calls (a name, then ``{\left( ... \right)}``), ``\max``, ``\min``, cases, and definitions
below the formula. Anything else is an ExportError.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import sympy

from actsearch.errors import ExportError
from actsearch.expr.functions import x

_T = sympy.Symbol("t", real=True)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{rf"\{name}": getattr(sympy, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "log")},
    **{
        rf"\operatorname{{{name}}}": getattr(sympy, name)
        for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh", "sinc", "erf", "erfc", "sign")
    },
}
_LISTS: dict[str, Any] = {r"\max": sympy.Max, r"\min": sympy.Min}
_CONSTANTS: dict[str, Any] = {r"\pi": sympy.pi, "e": sympy.E}
_RELATIONS: dict[str, Any] = {
    ">": sympy.Gt, "<": sympy.Lt, r"\geq": sympy.Ge, r"\leq": sympy.Le, "=": sympy.Eq, r"\neq": sympy.Ne,
}  # fmt: skip
_COMMENT = re.compile(r"^% parameter (?P<latex>\S+) : (?P<name>\w+), ", re.MULTILINE)
_BLOCK = re.compile(r"\\begin\{aligned\}\n(.*)\n\\end\{aligned\}", re.DOTALL)
_DEFINITION = re.compile(r"\s*(?P<name>.+?)\((?P<variable>[xt])\) &= (?P<body>.*)", re.DOTALL)


def read(text: str) -> tuple[Any, list[sympy.Symbol]]:
    """Return the expression of a file's formula in elementary functions, and its parameters sorted by name.

    Raises:
        ExportError: the text is not what the LaTeX exporter writes.
    """
    block = _BLOCK.search(text)
    if block is None:
        raise ExportError("there is no aligned block with a formula")
    symbols = {found["latex"]: sympy.Symbol(found["name"], real=True) for found in _COMMENT.finditer(text)}
    matches = [_DEFINITION.fullmatch(line) for line in block[1].split(" \\\\\n  ")]
    lines = [(match["name"], match["body"]) for match in matches if match is not None]
    if len(lines) != len(matches) or not lines or lines[0][0] != "f":
        raise ExportError("the aligned block is not a formula f(x) with definitions below it")
    functions = dict(_FUNCTIONS)
    waiting = lines[1:]
    while waiting:  # a definition may use another one that stands below it
        ready = [(name, body) for name, body in waiting if not _uses(body, {other for other, _ in waiting})]
        if not ready:
            raise ExportError("the definitions below the formula go in a circle")
        for name, body in ready:
            functions[name] = sympy.Lambda(_T, _Reader(body, {"t": _T}, functions).whole())
        waiting = [line for line in waiting if line not in ready]
    return _Reader(lines[0][1], {"x": x, **symbols}, functions).whole(), sorted(symbols.values(), key=str)


def _uses(body: str, names: set[str]) -> bool:
    return any(re.search(re.escape(name) + r"(\^\{[^{}]*\})?\{\\left\(", body) for name in names)


class _Reader:
    def __init__(self, text: str, symbols: dict[str, sympy.Symbol], functions: dict[str, Any]) -> None:
        self.symbols = symbols
        self.functions = functions
        names = sorted({*symbols, *functions, *_LISTS, *_CONSTANTS}, key=len, reverse=True)
        parts = [r"\d+(?:\.\d+)?", *map(re.escape, names), r"\\begin\{cases\}", r"\\end\{cases\}", r"\\text\{[a-z]+\}"]
        parts += [r"\\left", r"\\right", r"\\\\", r"\\[A-Za-z]+", r"I_\{[01]\}", r"[-+^{}()\[\]|&<>=,]"]
        skip = re.compile(r"(?:\s|\\[ ,:;!])+")
        self.tokens: list[str] = []
        place, pattern = 0, re.compile("|".join(parts))
        while place < len(text):
            if blank := skip.match(text, place):
                place = blank.end()
                continue
            match = pattern.match(text, place)
            if match is None:
                raise ExportError(f"LaTeX that this reader does not know: {text[place : place + 20]!r}")
            self.tokens.append(match[0])
            place = match.end()
        self.place = 0

    @property
    def next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def peek(self, *tokens: str) -> bool:
        return tuple(self.tokens[self.place : self.place + len(tokens)]) == tokens

    def take(self, *tokens: str) -> None:
        if not self.peek(*tokens):
            raise ExportError(f"LaTeX that this reader does not know: expected {''.join(tokens)!r} at {self.next!r}")
        self.place += len(tokens)

    def accept(self, *tokens: str) -> bool:
        found = self.peek(*tokens)
        self.place += len(tokens) if found else 0
        return found

    def whole(self) -> Any:
        value = self.sum()
        if self.next:
            raise ExportError(f"LaTeX that this reader does not know: {self.next!r} after the formula")
        return value

    def sum(self) -> Any:
        sign = -1 if self.accept("-") else 1
        value = sign * self.product()
        while self.next in ("+", "-"):
            sign = -1 if self.next == "-" else 1
            self.place += 1
            value += sign * self.product()
        return value

    def product(self) -> Any:
        value = self.power()
        while self.accept(r"\cdot") or self._starts_atom():
            value *= self.power()
        return value

    def _starts_atom(self) -> bool:
        token = self.next
        if token in (r"\left", r"\frac", r"\sqrt", r"\begin{cases}", "{") or token.startswith("I_{"):
            return True
        known = token in self.symbols or token in self.functions or token in _LISTS or token in _CONSTANTS
        return bool(known or token[:1].isdigit())

    def power(self) -> Any:
        base = self.atom()
        return base ** self.group() if self.accept("^") else base

    def group(self) -> Any:
        self.take("{")
        value = self.sum()
        self.take("}")
        return value

    def atom(self) -> Any:
        token = self.next
        if self._is_call():
            return self.call()
        self.place += 1
        if token in self.symbols:
            return self.symbols[token]
        if token in _CONSTANTS:
            return _CONSTANTS[token]
        if token[:1].isdigit():
            return sympy.Float(token, 17) if "." in token else sympy.Integer(token)
        if token in _LISTS:
            return _LISTS[token](*self.bracket())
        if token.startswith("I_{"):
            return sympy.besseli(int(token[3]), *self.bracket())
        if token == r"\frac":
            return self.group() / self.group()
        if token == r"\sqrt":
            return self.root()
        if token == r"\begin{cases}":
            return self.cases()
        self.place -= 1
        return self.fence()

    def _is_call(self) -> bool:
        """A name is a call when a brace and a bracket follow, after a power if there is one: else it is a factor."""
        if self.next not in self.functions:
            return False
        place = self.place + 1
        if self.tokens[place : place + 2] == ["^", "{"]:
            place = self._after_group(place + 1)
        return self.tokens[place : place + 3] == ["{", r"\left", "("]

    def _after_group(self, place: int) -> int:
        depth = 0
        for index in range(place, len(self.tokens)):
            depth += {"{": 1, "}": -1}.get(self.tokens[index], 0)
            if not depth:
                return index + 1
        return len(self.tokens)

    def call(self) -> Any:
        function = self.functions[self.next]
        self.place += 1
        exponent = self.group() if self.accept("^") else sympy.Integer(1)
        self.take("{")
        arguments = self.bracket()
        self.take("}")
        return function(*arguments) ** exponent

    def bracket(self) -> list[Any]:
        self.take(r"\left", "(")
        values = [self.sum()]
        while self.accept(","):
            values.append(self.sum())
        self.take(r"\right", ")")
        return values

    def root(self) -> Any:
        degree: Any = sympy.Integer(2)
        if self.accept("["):
            degree = self.sum()
            self.take("]")
        return self.group() ** (1 / degree)

    def fence(self) -> Any:
        if self.accept(r"\left", "|"):
            value = sympy.Abs(self.group())
            self.take(r"\right", "|")
            return value
        if self.accept(r"\left", r"\lfloor"):
            value = sympy.floor(self.group())
            self.take(r"\right", r"\rfloor")
            return value
        if self.peek(r"\left"):
            return self.bracket()[0]
        return self.group()

    def cases(self) -> Any:
        pairs = []
        while not self.accept(r"\end{cases}"):
            value = self.sum()
            self.take("&")
            pairs.append((value, True if self.accept(r"\text{otherwise}") else self.condition()))
            self.accept("\\\\")
        return sympy.Piecewise(*pairs)

    def condition(self) -> Any:
        self.accept(r"\text{for}")
        value = self.both()
        while self.accept(r"\vee"):
            value = sympy.Or(value, self.both())
        return value

    def both(self) -> Any:
        value = self.relation()
        while self.accept(r"\wedge"):
            value = sympy.And(value, self.relation())
        return value

    def relation(self) -> Any:
        start = self.place
        if self.accept(r"\left", "("):  # a condition in brackets, or a sum that begins with one
            try:
                value = self.condition()
                self.take(r"\right", ")")
                return value
            except ExportError:
                self.place = start
        left = self.sum()
        token = self.next
        if token not in _RELATIONS:
            raise ExportError(f"LaTeX that this reader does not know: {token!r} in a condition")
        self.place += 1
        return _RELATIONS[token](left, self.sum())
