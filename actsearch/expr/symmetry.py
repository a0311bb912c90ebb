"""Symmetry classes: functions that a net between linear maps cannot tell apart.

Where every activation sits between linear maps whose initial weights are symmetric about zero and whose biases start at
zero, training with f(-x) or -f(x) is training with f from weights whose signs were flipped, which are as likely; and
where activations are normalised, a f(x) + b with positive a *is* f. So one member stands for all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import mpmath
import numpy as np
import numpy.typing as npt
import sympy

from actsearch.expr.cells import ZERO, cells, exact_cell, negated
from actsearch.expr.fingerprint import fingerprint, fingerprint_of_negative, moving
from actsearch.expr.functions import x as X
from actsearch.expr.graph import Program
from actsearch.expr.noisy import noisy_values
from actsearch.expr.parameters import Parameter
from actsearch.expr.points import SAMPLE_POINTS
from actsearch.expr.program import lower
from actsearch.expr.resolve import to_expr
from actsearch.expr.settle import settled

Array = npt.NDArray[np.float64]

_POINTS = np.concatenate([SAMPLE_POINTS, -SAMPLE_POINTS])
# Three sample points and their mirror images: location and scale are taken there, so that no reflection moves them.
_PROBES = np.concatenate([[15, 18, 21], [39, 42, 45]])
_ROUNDING = 2.0**-48  # of the sums below, relative
_ZERO = mpmath.mpf("1e-15")  # a centred value below is a zero that 20 digits leave something of


def symmetry_class(expr: sympy.Expr | str, *, affine: bool) -> str:
    """Return the identity of a function up to mirroring, equal for f(x), f(-x), -f(x) and -f(-x).

    Parameters keep their start values, constraints and granularities, and a function that they move is not compared up
    to an affine map.

    Args:
        expr: an expression in x and parameters, a catalog name, or text.
        affine: whether a f(x) + b, a not zero, is the same point too: so it is where activations are normalised.

    Raises:
        ExprError: it is no such expression.

    Example:
        >>> symmetry_class("x - silu(x)", affine=False) == symmetry_class("silu", affine=False)
        True
        >>> symmetry_class("2*sigmoid(x) - 1", affine=False) == symmetry_class("sigmoid(x)", affine=False)
        False
        >>> symmetry_class("2*sigmoid(x) - 1", affine=True) == symmetry_class("sigmoid(x)", affine=True)
        True
    """
    return _class(to_expr(expr) if isinstance(expr, str) else expr, affine)


@lru_cache(maxsize=16384)
def _class(expr: sympy.Expr, affine: bool) -> str:
    program = lower(expr)
    parameters = tuple(p for p in program.parameters if isinstance(p, Parameter))
    if moving(program, parameters):
        return min(of(form) for form in (expr, expr.xreplace({X: -X})) for of in (fingerprint, fingerprint_of_negative))
    start = {p.name: float(p.start) for p in parameters}  # of those that move nothing, as in max(x, min(x, alpha*x))
    names = (_centred(program, start) if affine else None) or _plain(program, start)
    n = len(SAMPLE_POINTS)
    forms = [names[:n], names[n:]]
    forms += [[negated(name) for name in form] for form in forms]
    return hashlib.sha256(",".join(min(forms)).encode()).hexdigest()[:32]


def _plain(program: Program, start: Mapping[str, float]) -> list[str]:
    """Return the cells of the values at all points."""
    found = cells(*noisy_values(program, _POINTS, _arrays(start)))
    return [
        exact_cell(settled(program, float(point), start)) if name is None else name
        for point, name in zip(_POINTS, found, strict=True)
    ]


def _arrays(start: Mapping[str, float]) -> dict[str, Array]:
    return {name: np.array(value) for name, value in start.items()}


def _centred(program: Program, start: Mapping[str, float]) -> list[str] | None:
    """Return the cells of (f - location) / scale at all points; None where the probes show neither."""
    values, errors = noisy_values(program, _POINTS, _arrays(start))
    if not np.isfinite(values[_PROBES]).all():
        return None
    with np.errstate(all="ignore"):
        probed, blur = values[_PROBES], errors[_PROBES].max()
        location = probed.mean()
        blur = blur + _ROUNDING * np.abs(probed).max()
        scale = np.abs(probed - location).sum()
        relative = 2 * len(_PROBES) * blur / scale  # of the scale
        centred = (values - location) / scale
        error = (errors + blur) / scale + np.abs(centred) * (relative + _ROUNDING)
        error[~np.isfinite(error)] = np.inf
        found = cells(centred, error)
    if None not in found:
        return [name for name in found if name is not None]
    return _settled(program, found, start)


def _settled(program: Program, found: Sequence[str | None], start: Mapping[str, float]) -> list[str] | None:
    """Return the cells, what float64 leaves open from 20 digits; None for a function constant at the probes."""
    with mpmath.workdps(40):
        probed = [settled(program, float(point), start) for point in _POINTS[_PROBES]]
        location = mpmath.fsum(probed) / len(probed)
        scale = mpmath.fsum(abs(value - location) for value in probed)
        if not scale > _ZERO * (1 + abs(location)):
            return None
        return [_exact((settled(program, float(p), start) - location) / scale) if name is None else name
                for p, name in zip(_POINTS, found, strict=True)]  # fmt: skip


def _exact(value: mpmath.mpf) -> str:
    return ZERO if mpmath.isfinite(value) and abs(value) < _ZERO else exact_cell(value)
