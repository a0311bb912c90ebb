"""From stable operations to basic ones, the last step before evaluation or printing.

Products are formed here as a whole: exponentially small factors go in last and in two halves, ``(a * h) * h`` with
``h = exp(e / 2)``, so that the product keeps its accuracy where the factor alone underflows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from actsearch.expr.build import Builder
from actsearch.expr.graph import Program
from actsearch.expr.ops import LEAVES, OPS
from actsearch.expr.two_words import two_words
from actsearch.expr.value import Value, call

_PRODUCTS = frozenset({"mul", "div", "neg"})


@dataclass
class _Product:
    """A product taken apart: plain factors above and below, exponents, and the sign."""

    above: list[Value] = field(default_factory=list)
    below: list[Value] = field(default_factory=list)
    exponents: list[Value] = field(default_factory=list)
    negative: bool = False


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
        if y.node.op in _PRODUCTS:
            product = _Product()
            self._take_apart(y, product)
            if product.exponents:
                return _multiply(product)
        row = OPS[y.node.op]
        if row.scaled is not None:
            return self._alone(*row.scaled(y))
        if row.expand is not None:
            return self.of(row.expand(y))
        return self.target.copy(y.node, [self.done[i] for i in y.node.args])

    def _alone(self, exponents: tuple[Value, ...], rest: Value) -> Value:
        product = _Product()
        self._add_scaled(exponents, rest, product)
        if len(exponents) == 1 and product.above[0].constant is not None:
            return product.above[0] * call("raw_exp", product.exponents[0]) * product.above[1]
        return _multiply(product)

    def _add_scaled(self, exponents: tuple[Value, ...], rest: Value, product: _Product) -> None:
        product.above.append(self.of(rest))
        for exponent in exponents:
            high, correction = self._exponent(exponent)
            product.exponents.append(high)
            product.above.append(self.target.lift(correction))

    def _exponent(self, exponent: Value) -> tuple[Value, Value | float]:
        """Return an exponent and the factor that makes up for its rounding: ``exp(low) = 1 + low``."""
        high, low = two_words(exponent)
        return self.of(high), 1.0 if low is None else 1.0 + self.of(low)

    def _take_apart(self, y: Value, product: _Product) -> None:
        """Add the factors of ``y`` to ``product``."""
        if y.node.op == "neg":
            product.negative = not product.negative
            self._take_apart(y.args[0], product)
        elif y.node.op == "mul":
            for arg in y.args:
                self._take_apart(arg, product)
        elif y.node.op == "div":
            self._take_apart(y.args[0], product)
            product.below.append(self.of(y.args[1]))
        elif (row := OPS.get(y.node.op)) is not None and row.scaled is not None:
            self._add_scaled(*row.scaled(y), product)
        else:
            product.above.append(self.of(y))


def _multiply(product: _Product) -> Value:
    value = product.above[0]
    for factor in product.above[1:]:
        value = value * factor
    for factor in product.below:
        value = value / factor
    halves = [call("raw_exp", 0.5 * exponent) for exponent in product.exponents]
    for half in halves + halves:
        value = value * half
    return -value if product.negative else value


def _order(y: Value) -> list[int]:
    seen: set[int] = set()
    stack = [y.index]
    while stack:
        index = stack.pop()
        if index not in seen:
            seen.add(index)
            stack.extend(y.builder.nodes[index].args)
    return sorted(seen)
