"""Values with their rounding errors: a program is evaluated several times with noise in every operation.

What the noise does to a result is what rounding may have done to it. The noise is up to 100 times as large as the
rounding of the operations, and fixed, so the same program always gives the same answer. It is continuous and drawn
several times, so that errors that happen to cancel in one copy do not in all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from actsearch.expr.expand import expand
from actsearch.expr.graph import Program
from actsearch.expr.ops import OPS

Array = npt.NDArray[np.float64]

_COPIES = 5  # the first is without noise
_NOISE = 2.0**-46
_MARGIN = 4.0
# Their underflow is invisible to noise: 0 times anything is 0.
_UNDERFLOWING = frozenset({"raw_exp", "raw_erfc", "raw_power"})


def noisy_values(program: Program, x: Array, parameters: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return values and bounds of their errors; an error is infinite where a value may have lost everything.

    Args:
        program: what is evaluated.
        x: where, of any shape.
        parameters: for each name a value, broadcastable to ``x``.
    """
    random = np.random.default_rng(20170216)  # fixed: the noise is part of the definition
    shape = (_COPIES, *x.shape)
    scale = np.reshape([0.0] + [_NOISE] * (_COPIES - 1), (_COPIES, *[1] * x.ndim))
    lost = np.zeros(x.shape, dtype=bool)
    basic = expand(program)
    values: list[npt.NDArray[np.generic]] = []
    with np.errstate(all="ignore"):
        for node in basic.nodes:
            if node.op == "x":
                values.append(x[None])
            elif node.op == "parameter":
                values.append(np.asarray(parameters[str(node.value)], dtype=np.float64)[None])
            elif node.op == "constant":
                values.append(np.array(float(node.value if node.value is not None else np.nan)))
            else:
                numpy = OPS[node.op].numpy
                assert numpy is not None, f"{node.op} is not a basic operation"
                value = np.asarray(numpy(*(values[i] for i in node.args)))
                if value.dtype != bool:
                    if node.op in _UNDERFLOWING:
                        lost |= (np.abs(np.broadcast_to(value, shape)) < 1e-290).any(axis=0)
                    noise = 1 + scale * random.uniform(-1, 1, size=shape)
                    value = value * noise + 0.0  # + 0.0: no negative zeros
                values.append(value)
        copies = np.broadcast_to(values[basic.outputs[0]], shape).astype(np.float64)
        errors = _MARGIN * np.abs(copies - copies[0]).max(axis=0)
    errors[lost | ~np.isfinite(copies).all(axis=0)] = np.inf
    return copies[0], errors
