"""Constraints of learnable parameters: a raw number that the optimiser moves, and a transform into the allowed range.

Reference: the pattern is GPyTorch's (Gardner et al. 2018, arXiv:1809.11165): raw parameter, transform, property.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from actsearch.expr.parameters import Parameter


@dataclass(frozen=True)
class Constraint:
    """One kind of constraint.

    Attributes:
        transform: raw value -> value in the allowed range; any shape and float dtype.
        inverse: value in the open range -> raw value.
    """

    transform: Callable[[Tensor], Tensor]
    inverse: Callable[[float], float]


def _identity(raw: Tensor) -> Tensor:
    return raw


def _inverse_softplus(value: float) -> float:
    """Return log(exp(value) - 1) without overflow for large values."""
    return value + math.log(-math.expm1(-value))


def _logit(value: float) -> float:
    return math.log(value) - math.log1p(-value)


CONSTRAINTS: Mapping[str, Constraint] = {
    "real": Constraint(_identity, float),
    "positive": Constraint(torch.nn.functional.softplus, _inverse_softplus),
    "unit": Constraint(torch.sigmoid, _logit),
}


def raw_start(parameter: Parameter) -> float:
    """Return the raw value whose transform is ``parameter.start``.

    Example:
        >>> raw_start(Parameter("a", 0.5, "unit"))
        0.0
    """
    return CONSTRAINTS[parameter.constraint].inverse(parameter.start)
