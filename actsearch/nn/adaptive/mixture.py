"""Mixtures: a learned convex or affine combination of named functions.

Manessi, Rozza 2018, "Learning Combinations of Activation Functions", arXiv:1801.09403.
"""

from __future__ import annotations

import math

import sympy

from actsearch.errors import ActivationError
from actsearch.expr.parameters import Parameter
from actsearch.nn.adaptive._formula import Formula, check_word, rounded, start_expr

COMBINATIONS = ("convex", "affine")
_MOST_BASES = 12
_TOLERANCE = 1e-6


def formula(
    bases: tuple[str, ...] = ("identity", "relu", "tanh"),
    combination: str = "convex",
    weights: tuple[float, ...] | None = None,
) -> Formula:
    """Return sum_i w_i f_i(x), the weights learned, the functions fixed.

    It starts at the mean of the functions unless weights are given. Convex: w = softmax(l), and the ``l_i`` are
    learned, the last being 0. Affine: the ``w_i`` are learned, the last being 1 minus the others.

    Args:
        bases: two or more functions.
        combination: "convex" (weights in (0, 1) of sum 1) or "affine" (weights of sum 1).
        weights: where the weights start; of sum 1, and above 0 in a convex combination.

    Raises:
        ActivationError: fewer than two functions, or weights that the combination does not allow.

    Example:
        >>> formula(bases=("relu", "tanh"), combination="affine").expr
        w0*relu(x) + (1 - w0)*tanh(x)
    """
    check_word("combination", combination, COMBINATIONS)
    if not isinstance(bases, tuple | list) or not 2 <= len(bases) <= _MOST_BASES:
        raise ActivationError(f"bases={bases!r}; a mixture is of 2 to {_MOST_BASES} functions, as in (relu, tanh)")
    functions = [start_expr(base) for base in bases]
    starts = _starts(weights, len(bases), combination)
    made = _convex(starts) if combination == "convex" else _affine(starts)
    expr = sum(weight * function for weight, function in zip(made, functions, strict=True))
    start = sum(sympy.Float(weight) * function for weight, function in zip(starts, functions, strict=True))
    return Formula(expr, start)


def _starts(weights: tuple[float, ...] | None, n: int, combination: str) -> list[float]:
    if weights is None:
        return [1 / n] * n
    least = 0.0 if combination == "convex" else -math.inf
    if len(weights) != n or not all(least < weight < math.inf for weight in weights):
        kind = "numbers above 0" if combination == "convex" else "numbers"
        raise ActivationError(f"weights={weights!r}; this {combination} combination has {n} of them, {kind}")
    if abs(math.fsum(weights) - 1) > _TOLERANCE:
        raise ActivationError(f"weights={weights!r} have the sum {math.fsum(weights):g}; it must be 1")
    return [float(weight) for weight in weights]


def _convex(starts: list[float]) -> list[sympy.Expr]:
    """Return the softmax of the logits, in a form that an extreme logit does not overflow."""
    logits = [Parameter(f"l{i}", rounded(math.log(w / starts[-1]))) for i, w in enumerate(starts[:-1])]
    every = [*logits, sympy.S.Zero]
    return [1 / sum(sympy.exp(other - own) for other in every) for own in every]


def _affine(starts: list[float]) -> list[sympy.Expr]:
    free = [Parameter(f"w{i}", rounded(weight)) for i, weight in enumerate(starts[:-1])]
    return [*free, 1 - sum(free)]
