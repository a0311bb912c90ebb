"""A program as C statements, those that hang on parameters alone apart from those for every element."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from actsearch.compiler.c_simplify import simplify
from actsearch.compiler.c_templates import CONDITIONS, TEMPLATES
from actsearch.compiler.torch_source import number_source
from actsearch.expr.expand import expand
from actsearch.expr.graph import Node, Program

_COMMON = 3  # results that a factor is common to, so that it is multiplied first
_PRODUCTS = ("mul", "times", "neg", "div")


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


def body_of(program: Program, double: bool, times: str = "") -> Body:
    """Return the statements that compute a program from ``x`` and ``p0``, ``p1``, ....

    What depends on parameters alone is computed before the loop and handed on in a table, a number a lane: GCC would
    compute it there anyway, but does not vectorise a choice whose condition it has moved out.

    Args:
        program: what is computed.
        double: in float64.
        times: name of a number that all results are multiplied by.
    """
    basic = simplify(expand(program), double)
    f = "" if double else "f"
    leaves = ("x", "parameter", "constant")
    outside: list[bool] = []
    names: list[str] = []
    sides: tuple[list[str], list[str]] = ([], [])
    fused = _steps(basic)
    for number, node in enumerate(basic.nodes):
        outside.append(node.op != "x" and all(outside[i] for i in node.args))
        names.append(_name(node, number, basic, f))
        if number in fused:
            text = f"MADD({', '.join(names[i] for i in fused[number])})"
            sides[outside[number]].append(f"      real {names[-1]} = {text};")
        elif node.op not in leaves:
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
    lines, results = _multiplied(basic, names, outside, times) if times else ([], [names[i] for i in basic.outputs])
    return Body(sides[1], [*taken, *sides[0], *lines], [names[i] for i in kept], results)


def _multiplied(
    program: Program, names: Sequence[str], outside: Sequence[bool], times: str
) -> tuple[list[str], list[str]]:
    """Return the results multiplied by ``times``: it is multiplied once by a factor that several have in common."""
    uses = _uses(program)
    # what serves elsewhere too is computed anyway, and what hangs on parameters alone was, before the loop
    whole = [outer or uses[i] > 1 for i, outer in enumerate(outside)]
    factors = [_factors(program, whole, i) for i in program.outputs]
    found = Counter(i for _, inside in factors for i in set(inside))
    lines, results = {}, []
    for output, (sign, inside) in zip(program.outputs, factors, strict=True):
        common = max(inside, key=lambda i: found[i])
        if found[common] < _COMMON:
            results.append(f"{times} * {names[output]}")
            continue
        inside.remove(common)
        first = f"{times}{common}{'n' if sign else ''}"
        lines[first] = f"      real {first} = {sign}{times} * {names[common]};"
        results.append(" * ".join([first, *([f"({' * '.join(names[i] for i in inside)})"] if inside else [])]))
    return [*lines.values()], results


def _factors(program: Program, whole: Sequence[bool], number: int) -> tuple[str, list[int]]:
    """Return the sign and the factors of a product; ``whole`` are those that are not taken apart."""
    node = program.nodes[number]
    if node.op not in ("neg", "mul") or whole[number]:
        return "", [number]
    parts = [_factors(program, whole, i) for i in node.args]
    minus = (node.op == "neg") + sum(bool(sign) for sign, _ in parts)
    return "-" * (minus % 2), [i for _, found in parts for i in found]


def _uses(program: Program) -> Counter[int]:
    return Counter(i for node in program.nodes for i in node.args) + Counter(program.outputs)


def _steps(program: Program) -> dict[int, tuple[int, int, int]]:
    """Return the sums ``u v + w`` that are one fused operation, by number, where the product serves nothing else.

    These are Horner's steps. ``w`` is no product itself: of two that cancel, nothing is to be left.
    """
    uses = _uses(program)
    found: dict[int, tuple[int, int, int]] = {}
    for number, node in enumerate(program.nodes):
        for product, rest in (node.args, node.args[::-1]) if node.op == "add" else ():
            if program.nodes[product].op == "mul" and uses[product] == 1 and program.nodes[rest].op not in _PRODUCTS:
                u, v = program.nodes[product].args
                found[number] = (u, v, rest)
    return found


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
