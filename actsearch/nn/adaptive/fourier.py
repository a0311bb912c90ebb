"""Fourier series: sines and cosines of x, 2x, ..., whose coefficients are learned.

Khalfaoui-Hassani, Kesselheim 2025, "Polynomial, trigonometric, and tropical activations", arXiv:2502.01247.
"""

from __future__ import annotations

import math

import numpy as np
import sympy

from actsearch.expr.functions import x
from actsearch.nn.adaptive._formula import Formula, check_count, parameters, start_expr

_N_NODES = 128


def formula(degree: int = 3) -> Formula:
    """Return a_0 + sum_k (a_k cos(k x) + b_k sin(k x)) / k!, k from 1 to the degree.

    It starts at a_k = b_k = c, with a_0 and c such that E f(z)^2 = E f'(z)^2 = 1 for z ~ N(0, 1): signals and gradients
    keep their size through a layer of unit-gain weights.

    Args:
        degree: 1 to 8.

    Example:
        >>> from actsearch.expr.moments import moments
        >>> found = moments(formula().expr)
        >>> round(found.mean_square, 5), round(found.derivative_mean_square, 5)
        (1.0, 1.0)
    """
    check_count("degree", degree, 1, 8)
    offset, scale = _unit_gain(degree)
    cosines = parameters("a", [offset, *[scale] * degree])
    sines = parameters("b", [scale] * degree, first=1)
    expr = cosines[0] + sum(
        (a * sympy.cos(k * x) + b * sympy.sin(k * x)) / math.factorial(k)
        for k, (a, b) in enumerate(zip(cosines[1:], sines, strict=True), 1)
    )
    return Formula(expr, start_expr(expr))


def _unit_gain(degree: int) -> tuple[float, float]:
    """Return a_0 and c.

    With S the sum at c = 1: c^2 E S'^2 = 1, and (a_0 + c E S)^2 = 1 - c^2 Var S, of which the root nearer 0 is taken.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(_N_NODES)
    weights = weights / weights.sum()
    orders = np.arange(1, degree + 1)[:, None]
    factorials = np.array([math.factorial(k) for k in range(1, degree + 1)])[:, None]
    wave = ((np.cos(orders * nodes) + np.sin(orders * nodes)) / factorials).sum(axis=0)
    slope = (orders * (np.cos(orders * nodes) - np.sin(orders * nodes)) / factorials).sum(axis=0)
    mean = float(weights @ wave)
    scale = float(weights @ slope**2) ** -0.5
    variance = float(weights @ (wave - mean) ** 2)
    root = math.sqrt(1 - scale**2 * variance)
    return min(root - scale * mean, -root - scale * mean, key=abs), scale
