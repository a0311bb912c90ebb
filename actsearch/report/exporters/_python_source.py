"""Programs as Python source for array libraries that look like NumPy: one line an operation.

What a library lacks is printed as a helper function beside (see :mod:`actsearch.expr.portable`).
"""

from __future__ import annotations

import keyword
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actsearch.expr import portable
from actsearch.expr.expand import expand
from actsearch.expr.graph import Node, Program
from actsearch.expr.ops import OPS
from actsearch.expr.parameters import Parameter

_INFIX = {
    **{"add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "div": "{0} / {1}"},
    **{"plus": "{0} + {1}", "minus": "{0} - {1}", "times": "{0} * {1}", "neg": "-{0}"},
    **{"lt": "{0} < {1}", "le": "{0} <= {1}", "eq": "{0} == {1}"},
}
_CALLS = """
    abs sign floor round maximum minimum log log1p sqrt tan sinh cosh tanh asin acos atan asinh acosh atanh erf
    raw_expm1 raw_sin raw_cos raw_exp raw_erfc raw_erfcx raw_i0e raw_i1e
""".split()  # noqa: SIM905 - a list of 30 quoted names reads worse
# as NumPy, JAX and Keras alike call them
_SPELLED = {
    **{"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh"},
    **{"atanh": "arctanh", "raw_power": "power"},
}
_CHOICES = ("select", "maximum", "minimum")
_LOGIC = {"and": "logical_and({0}, {1})", "or": "logical_or({0}, {1})", "not": "logical_not({0})"}


@dataclass(frozen=True)
class Dialect:
    """How one library spells the operations.

    Attributes:
        module: the name that its functions are called by, such as ``np``.
        helpers: functions that a file gets when it uses them, name -> source; ``head``, which keeps the upper half of
            the significant bits, is one.
        lacking: operations that it does not have.
        special: operations that it has under another name, as templates.
        numbers: template of a choice between two numbers, in the type of x.
        number: template of a number in a choice or extremum, in the type of x.
        spread: template that gives a result the shape and type of x.
        taken: names that the files use otherwise.
    """

    module: str
    helpers: Mapping[str, str]
    lacking: frozenset[str]
    special: Mapping[str, str]
    numbers: str
    number: str
    spread: str
    taken: frozenset[str]

    def template(self, op: str) -> str:
        """Return the template of a basic operation."""
        if op in self.lacking:
            return f"{_short(op)}({{0}})"
        if op in _INFIX:
            return _INFIX[op]
        if op in self.special:
            return self.special[op]
        if op in _LOGIC:
            return f"{self.module}.{_LOGIC[op]}"
        if op == "head":
            return "head({0})"
        arguments = ", ".join(f"{{{i}}}" for i in range(OPS[op].arity))
        return f"{self.module}.{_SPELLED.get(op, 'where' if op == 'select' else _short(op))}({arguments})"

    def argument(self, name: str) -> str:
        """Return the Python name of a parameter: its own, unless the file needs that name for itself."""
        base, _, number = name.rpartition("_")
        is_temporary = base in OPS and number.isdigit()
        is_helper = name in _CALLS or f"raw_{name}" in _CALLS
        is_taken = name in self.taken or keyword.iskeyword(name)
        return f"{name}_" if is_temporary or is_helper or is_taken or name in ("x", *self.helpers) else name


def functions(dialect: Dialect, programs: Mapping[str, Program]) -> str:
    """Return the source of functions ``name(x, *parameters)``, helpers first; several outputs come as a tuple."""
    helpers = portable.needed(programs, dialect.lacking)
    sources = [_source(dialect, _short(op), portable.definition(op)) for op in helpers]
    sources += [_source(dialect, name, program) for name, program in programs.items()]
    used = [text for name, text in dialect.helpers.items() if any(f" {name}(" in source for source in sources)]
    return "\n\n\n".join([*used, *sources])


def described(parameter: Parameter) -> str:
    """Return a line that tells what a parameter may be."""
    allowed = {"real": "any real number", "positive": "above 0", "unit": "between 0 and 1"}[parameter.constraint]
    return f"{parameter.name}: starts at {parameter.start!r}, {allowed}, one for each {parameter.granularity}"


def _source(dialect: Dialect, name: str, program: Program) -> str:
    basic = expand(program)
    arguments = ["x", *(dialect.argument(parameter) for parameter in basic.parameter_names)]
    lines, results = _lines(dialect, basic)
    returned = results[0] if len(results) == 1 else f"({', '.join(results)})"
    return "\n    ".join([f"def {name}({', '.join(arguments)}):", *lines, f"return {returned}"])


def _lines(dialect: Dialect, basic: Program) -> tuple[list[str], list[str]]:
    """Return the statements, and the sources of the outputs."""
    lines: list[str] = []
    names: list[str] = []
    uses_x: list[bool] = []
    counter: Counter[str] = Counter()
    for node in basic.nodes:
        uses_x.append(node.op == "x" or any(uses_x[i] for i in node.args))
        if (leaf := _leaf(dialect, node)) is not None:
            names.append(leaf)
            continue
        short = _short(node.op)
        counter[short] += 1
        both_numbers = node.op == "select" and all(basic.nodes[i].op == "constant" for i in node.args[1:])
        template = dialect.numbers if both_numbers else dialect.template(node.op)
        number = dialect.number if node.op in _CHOICES else "{0}"
        args = [number.format(names[i]) if basic.nodes[i].op == "constant" else names[i] for i in node.args]
        lines.append(f"{short}_{counter[short]} = {template.format(*map(_bracketed, args))}")
        names.append(f"{short}_{counter[short]}")
    results = [names[i] if uses_x[i] and basic.nodes[i].op != "x" else dialect.spread.format(names[i])
               for i in basic.outputs]  # fmt: skip
    return lines, results


def _leaf(dialect: Dialect, node: Node) -> str | None:
    if node.op == "x":
        return "x"
    if node.op == "parameter":
        return dialect.argument(str(node.value))
    return number_source(float(node.value)) if node.op == "constant" else None  # type: ignore[arg-type]


def number_source(number: float) -> str:
    """Return a float as Python source, infinity and NaN included."""
    return repr(number) if math.isfinite(number) else f'float("{number}")'


def _bracketed(arg: str) -> str:
    return f"({arg})" if arg.startswith("-") else arg


def _short(op: str) -> str:
    return op.removeprefix("raw_")


def parameter_source(parameters: Sequence[Parameter], dialect: Dialect) -> str:
    """Return the dictionary of start values, as source."""
    items = ", ".join(f'"{dialect.argument(p.name)}": {p.start!r}' for p in parameters)
    return f"{{{items}}}"
