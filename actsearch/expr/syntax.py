"""From a text to a checked Python syntax tree: characters, size and nesting, and errors that show the place."""

from __future__ import annotations

import ast
import re
import warnings
from functools import lru_cache

from actsearch.errors import ExprError
from actsearch.expr.bounds import MAX_TEXT, MAX_TEXT_DEPTH, MAX_TOKENS

_FOREIGN = re.compile(r"[^A-Za-z0-9_.+\-*/()\[\],<>=!\s]")
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9.][A-Za-z0-9_.]*|\*\*|[<>=!]=|\S")
_WINDOW = 60  # characters shown on either side of a fault


def fault(text: str, column: int, message: str) -> ExprError:
    """Return an error that shows where in the text the fault is.

    Example:
        >>> print(fault("x + sillu(x)", 4, "unknown name 'sillu'"))
        unknown name 'sillu'
          x + sillu(x)
              ^
    """
    column = max(0, min(column, len(text)))
    start, end = max(0, column - _WINDOW), column + _WINDOW
    before, after = ("..." if start else ""), ("..." if end < len(text) else "")
    # what cannot be printed in one column would move the caret
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in text[start:end])
    return ExprError(f"{message}\n  {before}{shown}{after}\n  {' ' * (len(before) + column - start)}^")


@lru_cache(maxsize=4096)
def tree_of(text: str) -> ast.expr:
    """Return the syntax tree of a text, its nesting bounded; nothing in it has been judged yet.

    Raises:
        ExprError: the text is empty, too long, too deep, has a character that no formula has, or is no expression.
    """
    _check_characters(text)
    tree = _python_tree(text)
    _check_depth(text, tree)
    return tree


def _check_characters(text: str) -> None:
    if not text.strip():
        raise ExprError("the formula is empty")
    if len(text) > MAX_TEXT:
        raise ExprError(f"the formula has {len(text)} characters; at most {MAX_TEXT} are read")
    if foreign := _FOREIGN.search(text):
        raise fault(text, foreign.start(), f"{foreign.group()!r} does not belong in a formula")
    depth = 0
    for count, token in enumerate(_TOKEN.finditer(text)):
        depth += (token.group() in "([") - (token.group() in ")]")
        if depth > MAX_TEXT_DEPTH:
            raise fault(text, token.start(), f"brackets are nested more than {MAX_TEXT_DEPTH} deep")
        if count >= MAX_TOKENS:
            raise fault(text, token.start(), f"the formula has more than {MAX_TOKENS} parts")


def _python_tree(text: str) -> ast.expr:
    line = re.sub(r"\s", " ", text)  # one line: columns are then places in the text
    stripped = line.lstrip()
    indent = len(line) - len(stripped)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's remarks on odd literals; what is odd is refused later
            tree = ast.parse(stripped, mode="eval").body
    except SyntaxError as error:
        raise fault(text, indent + (error.offset or 1) - 1, f"this is not a formula: {error.msg}") from None
    except (MemoryError, RecursionError):
        raise ExprError("the formula is nested too deeply") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            node.col_offset += indent
    return tree


def _check_depth(text: str, tree: ast.expr) -> None:
    """Refuse deep trees; chains such as ``a + b + c`` or ``a if b else c if d else e`` are one level."""
    stack: list[tuple[ast.AST, int]] = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_TEXT_DEPTH:
            raise fault(text, getattr(node, "col_offset", 0), f"the formula is nested more than {MAX_TEXT_DEPTH} deep")
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.expr, ast.keyword, ast.comprehension)):
                stack.append((child, depth if _continues(node, child) else depth + 1))


def _continues(node: ast.AST, child: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return child is node.left and not isinstance(node.op, ast.Pow)
    return isinstance(node, ast.IfExp) and child is node.orelse
