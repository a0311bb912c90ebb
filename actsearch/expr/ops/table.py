"""All rows under their names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from actsearch.expr.ops.basic import BASIC
from actsearch.expr.ops.bessel import BESSEL
from actsearch.expr.ops.bose import BOSE
from actsearch.expr.ops.exp_rational import EXP_RATIONAL
from actsearch.expr.ops.exponential import EXPONENTIAL
from actsearch.expr.ops.gaussian import GAUSSIAN
from actsearch.expr.ops.powers import POWERS
from actsearch.expr.ops.quotient import QUOTIENT
from actsearch.expr.ops.row import Op
from actsearch.expr.ops.shapes import SHAPES

_ROWS = (*BASIC, *POWERS, *EXPONENTIAL, *EXP_RATIONAL, *GAUSSIAN, *QUOTIENT, *BOSE, *BESSEL, *SHAPES)

#: Nodes that take nothing: the input, a learnable parameter, a number.
LEAVES = frozenset({"x", "parameter", "constant"})
OPS: Mapping[str, Op] = MappingProxyType({row.name: row for row in _ROWS})
assert len(OPS) == len(_ROWS), "two operations of one name"
