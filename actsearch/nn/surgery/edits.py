"""A place in a function's code where an activation is to be replaced."""

from __future__ import annotations

import ast
import types
from dataclasses import dataclass, field

Key = tuple[str, int, int, int, int]


@dataclass(frozen=True)
class Edit:
    """One place in a function's code.

    Attributes:
        key: kind of syntax node, first line and column, last line and column.
        kind: "reference" (a function or module is named), "call" (a function is called), "in_place" (called as a
            statement that changes its argument), "method" (``x.relu()``), "method_in_place", "helper" (a function whose
            own code has places) or "super" (the same of a base class's method).
        site: attribute of the model's module under which the new activation hangs; "" until it is given one.
        function: the helper.
        edits: the helper's places.
    """

    key: Key
    kind: str
    site: str = ""
    function: types.FunctionType | None = None
    edits: tuple[Edit, ...] = ()

    @property
    def is_helper(self) -> bool:
        """Whether the places are in another function."""
        return self.function is not None

    def sites(self) -> list[str]:
        """Return the sites, in order of the code."""
        return [site for edit in self.edits for site in edit.sites()] if self.is_helper else [self.site]


@dataclass
class Findings:
    """What reading code has shown.

    Attributes:
        left: labels of activations that are not selected.
        problems: sentences, each with file and line, about what cannot be followed.
    """

    left: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def key_of(node: ast.expr) -> Key:
    """Return what tells a node from all others of its file."""
    return (type(node).__name__, node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)


def input_of(node: ast.Call) -> ast.expr | None:
    """Return the argument that an activation function is applied to."""
    if node.args:
        return None if isinstance(node.args[0], ast.Starred) else node.args[0]
    return next((keyword.value for keyword in node.keywords if keyword.arg in ("input", "x")), None)
