"""From stable operations to basic ones, the last step before evaluation or printing.

Products are formed here as a whole: the exponents of all exponentially small or large factors are added, and their exp
goes in last and in two halves, ``(a * h) * h`` with ``h = exp(e / 2)``. So the product keeps its accuracy where a
factor alone underflows, and is a number where one overflows and another underflows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from actsearch.expr.build import Builder
from actsearch.expr.graph import Program
from actsearch.expr.ops import LEAVES, OPS
from actsearch.expr.two_words import total
from actsearch.expr.value import Value, call

_PRODUCTS = frozenset({"mul", "div", "neg"})


@dataclass
class _Product:
    """A product taken apart: plain factors above and below, exponents, and the sign."""

    above: list[Value] = field(default_factory=list)
    below: list[Value] = field(default_factory=list)
    exponents: list[Value] = field(default_factory=list)  # of the source program
    negative: bool = False

    @property
    def is_alone(self) -> bool:
        """Whether nothing but numbers goes with the exponential."""
        return len(self.exponents) == 1 and all(factor.constant is not None for factor in self.above + self.below)


@lru_cache(maxsize=4096)
def expand(program: Program) -> Program:
    """Return ``program`` in basic operations."""
    source, target = Builder(program.parameters), Builder(program.parameters)
    values = source.embed(program)
    expansion = _Expansion(target)
    return target.program([expansion.of(values[i]) for i in program.outputs])


class _Expansion:
    """The walk: each value of the program is spelled out once."""

    def __init__(self, target: Builder) -> None:
        self.target = target
        self.done: dict[int, Value] = {}

    def of(self, y: Value) -> Value:
        """Return ``y`` in basic operations."""
        for index in _order(y):
            if index not in self.done:
                self.done[index] = self._node(Value(y.builder, index))
        return self.done[y.index]

    def _node(self, y: Value) -> Value:
        if y.node.op in LEAVES:
            return self.target.copy(y.node, ())
        row = OPS[y.node.op]
        if y.node.op in _PRODUCTS or _scaled(y) is not None:
            product = _Product()
            self._take_apart(y, product)
            if product.exponents:
                return self._multiply(product)
        if row.expand is not None:
            return self.of(row.expand(y))
        return self.target.copy(y.node, [self.done[i] for i in y.node.args])

    def _take_apart(self, y: Value, product: _Product, inverse: bool = False) -> None:
        """Add the factors of ``y``, or of ``1 / y``, to ``product``."""
        plain = product.below if inverse else product.above
        if y.node.op == "neg":
            product.negative = not product.negative
            self._take_apart(y.args[0], product, inverse)
        elif y.node.op == "mul":
            for arg in y.args:
                self._take_apart(arg, product, inverse)
        elif y.node.op == "div":
            self._take_apart(y.args[0], product, inverse)
            self._take_apart(y.args[1], product, not inverse)
        elif (scaled := _scaled(y)) is not None:
            exponents, rest = scaled
            product.exponents.extend(-exponent if inverse else exponent for exponent in exponents)
            plain.append(self.of(rest))
        else:
            plain.append(self.of(y))

    def _multiply(self, product: _Product) -> Value:
        """Return the product: ``exp(high + low) = exp(high) (1 + low)``, in halves unless it stands alone."""
        exponent, low = total(product.exponents)
        high = self.of(exponent)
        value = self.target.constant(1.0)
        for factor in product.above:
            value = value * factor
        for factor in product.below:
            value = value / factor
        if low is not None:
            value = value * (1.0 + self.of(low))
        if product.is_alone:
            value = value * call("raw_exp", high)
        else:
            half = call("raw_exp", 0.5 * high)
            value = (value * half) * half
        return -value if product.negative else value


def _scaled(y: Value) -> tuple[tuple[Value, ...], Value] | None:
    """Return the exponents and the rest of an exponentially small factor, or of a power of one."""
    row = OPS.get(y.node.op)
    if row is not None and row.scaled is not None:
        return row.scaled(y)
    if y.node.op == "power" and (power := y.args[1].constant) is not None and (inner := _scaled(y.args[0])):
        exponents, rest = inner
        return tuple(power * exponent for exponent in exponents), call("power", rest, y.args[1])
    return None


def _order(y: Value) -> list[int]:
    seen: set[int] = set()
    stack = [y.index]
    while stack:
        index = stack.pop()
        if index not in seen:
            seen.add(index)
            stack.extend(y.builder.nodes[index].args)
    return sorted(seen)
