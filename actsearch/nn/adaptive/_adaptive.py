"""The module of an elementwise family: an activation whose parameters are per layer, channel, group, or shared."""

from __future__ import annotations

from typing import Any

import sympy
import torch
from torch import Tensor

from actsearch.errors import ActivationError
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.nn.activation import Activation, Slot, check_channel_dim
from actsearch.nn.adaptive._formula import Formula, check_count, check_word
from actsearch.nn.lazy import LazyActivation
from actsearch.nn.normalise import normalised

_EXACT = 1e-9  # a start that is met up to rounding
GRANULARITIES = ("layer", "channel", "group", "shared")


class Adaptive(Activation):
    """An elementwise adaptive activation, shape in = shape out.

    Args:
        formula: the expression with parameters and its start.
        family: the family's name and settings as text: what is shown.
        granularity: one set of parameters for each "layer", for each "channel", for each "group" of neighbouring
            channels, or "shared" by all places that one call of :func:`actsearch.make` serves; None: as the
            family has it.
        n_groups: number of groups, for "group".
        n_channels: number of channels, for "channel"; None: told by the first input.
        channel_dim: dimension of the input that counts channels; -1 for (batch, time, channel).
        backend: as for :func:`actsearch.compile`.
        normalise: mean 0 and variance 1 at the start, for a unit-normal input.

    Attributes:
        formula: what was handed in.
        max_error: the largest difference from the start function on [low, high], at the start.

    Raises:
        ActivationError: a setting is wrong; at a call: the input's channels do not match.
    """

    def __init__(
        self,
        formula: Formula,
        family: str = "",
        *,
        granularity: str | None = None,
        n_groups: int | None = None,
        n_channels: int | None = None,
        channel_dim: int = 1,
        backend: str = "auto",
        normalise: bool = False,
    ) -> None:
        check_granularity(granularity, n_groups)
        expr = _with_granularity(formula.expr, granularity)
        counted = n_groups if granularity == "group" else n_channels
        super().__init__(
            normalised(expr) if normalise else expr, n_channels=counted, channel_dim=channel_dim, backend=backend
        )
        self.formula = formula
        self.family = family
        self.granularity = granularity or granularity_of(expr)
        self.n_groups = n_groups

    @property
    def max_error(self) -> float:
        """The largest difference from the start function on the range of the fit, before training."""
        return self.formula.max_error

    @property
    def fitted_range(self) -> tuple[float, float] | None:
        """Where the start was fitted, for :class:`~actsearch.nn.monitor.Monitor`; None where it is met exactly."""
        return (self.formula.low, self.formula.high) if self.max_error > _EXACT else None

    @property
    def parameter_noise(self) -> float:
        """The largest relative noise of parameters in training; 0 without."""
        return self.formula.noise

    @property
    def is_shared(self) -> bool:
        """Whether every place of a model holds this one module, so that all share its parameters."""
        return self.granularity == "shared"

    def extra_repr(self) -> str:
        """Return the family, its start and how well that is met, and what there is a set of parameters for."""
        sets = {"group": f", {self.n_groups} groups", "channel": f", {self.n_channels} channels"}
        return f"{self.family or self.text}, {self.formula}{sets.get(self.granularity, '')}"

    def _value_for(self, slot: Slot, x: Tensor) -> Tensor:
        value = self._grouped(slot, x) if self.granularity == "group" else super()._value_for(slot, x)
        noise = self.parameter_noise
        if noise and self.training:
            value = value * torch.empty_like(x, dtype=value.dtype).uniform_(1 - noise, 1 + noise)
        return value

    def _grouped(self, slot: Slot, x: Tensor) -> Tensor:
        """Return a value for each channel, repeated within each group."""
        check_channel_dim(x, self.channel_dim)
        value, n_channels = self._value(slot), x.shape[self.channel_dim]
        if n_channels % value.shape[0]:
            raise ActivationError(
                f"the input has {n_channels} channels (shape {tuple(x.shape)}, channel_dim={self.channel_dim}), which "
                f"{value.shape[0]} groups cannot share equally; choose n_groups among the divisors of {n_channels}"
            )
        shape = [1] * x.ndim
        shape[self.channel_dim] = n_channels
        return value.repeat_interleave(n_channels // value.shape[0]).reshape(shape)


class LazyAdaptive(LazyActivation, Adaptive):
    """An :class:`Adaptive` with parameters per channel before the first input; it becomes one at its first call."""

    cls_to_become: type[Activation] = Adaptive


def check_granularity(granularity: Any, n_groups: Any) -> None:
    """Raise ActivationError unless granularity and number of groups, of any type, go together."""
    if granularity is not None:
        check_word("granularity", granularity, GRANULARITIES)
    if (granularity == "group") is (n_groups is None):
        wrong = "needs n_groups" if n_groups is None else f"has no n_groups (given: {n_groups})"
        raise ActivationError(f"granularity={granularity!r} {wrong}; parameters per group are asked for by both")
    if n_groups is not None:
        check_count("n_groups", n_groups, 1, 1_000_000)


def granularity_of(expr: sympy.Expr) -> str:
    """Return "channel" when some parameter is per channel, else "layer"."""
    return "channel" if any(p.granularity == "channel" for p in parameters_of(expr)) else "layer"


def _with_granularity(expr: sympy.Expr, granularity: str | None) -> sympy.Expr:
    if granularity is None:
        return expr
    of_each = "channel" if granularity in ("channel", "group") else "layer"
    return expr.xreplace({p: Parameter(p.name, p.start, p.constraint, of_each) for p in parameters_of(expr)})
