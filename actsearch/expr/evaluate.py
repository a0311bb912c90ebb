"""The NumPy evaluator of programs: float64, vectorised, and silent about NaN and infinity, which are results."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from actsearch.expr.expand import expand
from actsearch.expr.graph import Program
from actsearch.expr.ops import OPS

Array = npt.NDArray[np.float64]


def evaluate_all(program: Program, x: npt.ArrayLike, parameters: Sequence[npt.ArrayLike] = ()) -> tuple[Array, ...]:
    """Return every output of ``program``, each float64 of the shape of ``x``.

    Args:
        program: What is evaluated.
        x: Where, of any shape.
        parameters: A value for each parameter, broadcastable to ``x``; none at all means the start values.
    """
    inputs = np.asarray(x, dtype=np.float64)
    given = parameters if len(parameters) else tuple(p.start for p in program.parameters)
    if len(given) != len(program.parameters):
        raise ValueError(f"{len(given)} parameter values for {len(program.parameters)} parameters")
    named = dict(zip(program.parameter_names, (np.asarray(v, dtype=np.float64) for v in given), strict=True))
    basic = expand(program)
    values: list[npt.NDArray[np.generic]] = []
    with np.errstate(all="ignore"):
        for node in basic.nodes:
            if node.op == "x":
                values.append(inputs)
            elif node.op == "parameter":
                values.append(named[str(node.value)])
            elif node.op == "constant":
                values.append(np.asarray(float(node.value if node.value is not None else math.nan)))
            else:
                numpy = OPS[node.op].numpy
                assert numpy is not None, f"{node.op} is not a basic operation"
                values.append(numpy(*(values[i] for i in node.args)))
    return tuple(np.array(np.broadcast_to(values[i], inputs.shape), dtype=np.float64) for i in basic.outputs)


def evaluate(program: Program, x: npt.ArrayLike, parameters: Sequence[npt.ArrayLike] = ()) -> Array:
    """Return the first output of ``program`` at ``x``; see :func:`evaluate_all`."""
    return evaluate_all(program, x, parameters)[0]
