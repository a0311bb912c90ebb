"""A program as C statements, those that hang on parameters alone apart from those for every element."""

from __future__ import annotations

from dataclasses import dataclass

from actsearch.compiler.c_simplify import simplify
from actsearch.compiler.c_templates import CONDITIONS, TEMPLATES
from actsearch.compiler.torch_source import number_source
from actsearch.expr.expand import expand
from actsearch.expr.graph import Node, Program


@dataclass(frozen=True)
class Body:
    """A program as C statements.

    Attributes:
        before: those that need no ``x``.
        lines: those for a lane.
        kept: names of what ``before`` hands on, in the order of the table ``h``.
        outputs: names of the results.
    """

    before: list[str]
    lines: list[str]
    kept: list[str]
    outputs: list[str]


def body_of(program: Program, double: bool) -> Body:
    """Return the statements that compute a program from ``x`` and ``p0``, ``p1``, ....

    What depends on parameters alone is computed before the loop and handed on in a table, a number a lane: GCC would
    compute it there anyway, but does not vectorise a choice whose condition it has moved out.

    Args:
        program: what is computed.
        double: in float64.
    """
    basic = simplify(expand(program), double)
    f = "" if double else "f"
    leaves = ("x", "parameter", "constant")
    outside: list[bool] = []
    names: list[str] = []
    sides: tuple[list[str], list[str]] = ([], [])
    for number, node in enumerate(basic.nodes):
        outside.append(node.op != "x" and all(outside[i] for i in node.args))
        names.append(_name(node, number, basic, f))
        if node.op not in leaves:
            kind = "int" if node.op in CONDITIONS else "real"
            text = TEMPLATES[node.op].replace("$f", f).format(*(names[i] for i in node.args))
            sides[outside[number]].append(f"      {kind} {names[-1]} = {text};")
    used = {i for k, node in enumerate(basic.nodes) if not outside[k] for i in node.args} | set(basic.outputs)
    kept = [i for i in sorted(used) if outside[i] and basic.nodes[i].op not in leaves]
    taken = [
        f"      int {names[i]} = h[{k}][l] != 0;"
        if basic.nodes[i].op in CONDITIONS
        else f"      real {names[i]} = h[{k}][l];"
        for k, i in enumerate(kept)
    ]
    return Body(sides[1], [*taken, *sides[0]], [names[i] for i in kept], [names[i] for i in basic.outputs])


def _name(node: Node, number: int, program: Program, f: str) -> str:
    if node.op == "x":
        return "x"
    if node.op == "parameter":
        return f"p{program.parameter_names.index(str(node.value))}"
    if node.op != "constant":
        return f"v{number}"
    text = number_source(float(node.value))  # type: ignore[arg-type]
    if text.startswith(("math", "-math")):
        return {"math.nan": "NAN", "math.inf": "INFINITY", "-math.inf": "(-INFINITY)"}[text]
    text = text if any(c in text for c in ".e") else f"{text}.0"
    return f"({text}{f})" if text.startswith("-") else f"{text}{f}"
