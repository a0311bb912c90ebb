"""The module around a compiled expression: learnable parameters, their constraints, and the way back to a formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy
import torch
from torch import Tensor, nn

from actsearch.compiler.compiled import compile
from actsearch.errors import ActivationError
from actsearch.expr.parameters import Parameter
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import format
from actsearch.nn.constraints import CONSTRAINTS, raw_start


@dataclass(frozen=True)
class Slot:
    """Where one parameter of the expression lives in the module.

    Attributes:
        parameter: the parameter.
        name: attribute that gives the value.
        raw: attribute and state-dict name of what is trained; the same as ``name`` for a real parameter.
    """

    parameter: Parameter
    name: str
    raw: str

    @property
    def per_channel(self) -> bool:
        """Whether there is one value for each channel."""
        return self.parameter.granularity == "channel"


class Activation(nn.Module):
    """An elementwise activation, shape in = shape out, made from an expression.

    A parameter ``beta[1.0]`` is an ``nn.Parameter`` named ``beta``; a constrained one, ``beta[1.0, positive]``, is
    trained as ``raw_beta`` (its state-dict name) and ``module.beta`` is the value within the constraint.

    Args:
        spec: SymPy expression, catalog name or text.
        n_channels: number of channels, for parameters per channel. None: taken from the first input; until then the
            module is a :class:`~actsearch.nn.lazy.LazyActivation` with torch's uninitialised parameters.
        channel_dim: dimension of the input that counts channels; -1 for (batch, time, channel).
        backend: as for :func:`actsearch.compile`.

    Attributes:
        expr: the expression, a normalising affine map included.
        text: the expression as text.
        compiled: the compiled function.

    Raises:
        ExprError: ``spec`` is outside the grammar.
        ActivationError: ``n_channels`` is below one; at a call: the input's channels do not match.

    Example:
        >>> swish = Activation("x * sigmoid(beta[1.0] * x)")
        >>> swish(torch.zeros(2, 3)).shape, dict(swish.named_parameters())["beta"].item()
        (torch.Size([2, 3]), 1.0)
    """

    def __init__(
        self,
        spec: sympy.Expr | str,
        *,
        n_channels: int | None = None,
        channel_dim: int = 1,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if n_channels is not None and n_channels < 1:
            raise ActivationError(f"n_channels is {n_channels}; an activation has at least one channel")
        self.expr: sympy.Expr = to_expr(spec)
        self.text = format(self.expr)
        self.compiled = compile(self.expr, backend)
        self.channel_dim = channel_dim
        self.slots = tuple(_slot(parameter) for parameter in self.compiled.parameters)
        for slot in self.slots:
            self.register_parameter(slot.raw, self._start(slot, n_channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return f(x), of the shape and dtype of ``x``."""
        return self.compiled(x, *self.arguments_for(x)) if self.slots else self.compiled(x)

    @property
    def parameter_noise(self) -> float:
        """The largest relative noise of parameters in training; 0 without."""
        return 0.0

    def arguments_for(self, x: Tensor) -> list[Tensor]:
        """Return the parameters' values, each shaped so that it broadcasts along the channels of ``x``."""
        return [self._value_for(slot, x) for slot in self.slots]

    @property
    def n_channels(self) -> int | None:
        """Number of channels; None without parameters per channel, or before the first input."""
        for slot in self.slots:
            raw = self._raw(slot)
            if slot.per_channel and not nn.parameter.is_lazy(raw):
                return raw.numel()
        return None

    def value(self, name: str) -> Tensor:
        """Return a parameter's value within its constraint: 0-d, or of shape (n_channels,)."""
        for slot in self.slots:
            if slot.parameter.name == name:
                return self._value(slot)
        known = ", ".join(slot.parameter.name for slot in self.slots) or "none"
        raise ActivationError(f"{self.text!r} has no parameter {name!r} (its parameters: {known})")

    def to_expr(self) -> sympy.Expr | list[sympy.Expr]:
        """Return the expression with the learned values in place of parameters; a list per channel if they differ.

        Values are written with as few digits as their dtype needs.

        Raises:
            ActivationError: there are parameters per channel, and no input has told the number of channels.
        """
        values = {slot.parameter: _numbers(self._known_value(slot)) for slot in self.slots}
        if not any(slot.per_channel for slot in self.slots):
            return self._with({parameter: numbers[0] for parameter, numbers in values.items()})
        return [
            self._with({parameter: numbers[channel % len(numbers)] for parameter, numbers in values.items()})
            for channel in range(self.n_channels or 0)
        ]

    @property
    def learned(self) -> str:
        """The formula with learned values, as text; of parameters per channel their mean over channels."""
        means = {slot.parameter: _numbers(self._known_value(slot).mean())[0] for slot in self.slots}
        return format(self._with(means))

    def extra_repr(self) -> str:
        """Return the formula, and the channels where they matter."""
        if not any(slot.per_channel for slot in self.slots):
            return self.text
        return f"{self.text}, n_channels={self.n_channels}, channel_dim={self.channel_dim}"

    def __getattr__(self, name: str) -> Any:
        for slot in self.__dict__.get("slots", ()):
            if slot.name == name != slot.raw:
                return self._value(slot)
        return super().__getattr__(name)

    def _start(self, slot: Slot, n_channels: int | None) -> nn.Parameter:
        shape = (n_channels or 1,) if slot.per_channel else ()
        return nn.Parameter(torch.full(shape, raw_start(slot.parameter), dtype=torch.get_default_dtype()))

    def _value(self, slot: Slot) -> Tensor:
        return CONSTRAINTS[slot.parameter.constraint].transform(self._raw(slot))

    def _raw(self, slot: Slot) -> Tensor:
        raw = self._parameters[slot.raw]
        assert raw is not None
        return raw

    def _known_value(self, slot: Slot) -> Tensor:
        if nn.parameter.is_lazy(self._raw(slot)):
            raise ActivationError(
                f"{self.text!r} has parameters per channel and has seen no input yet: pass n_channels=... when making "
                "it, or call it once"
            )
        return self._value(slot)

    def _value_for(self, slot: Slot, x: Tensor) -> Tensor:
        value = self._value(slot)
        if not slot.per_channel:
            return value
        check_channel_dim(x, self.channel_dim)
        n_channels = value.shape[0]
        if x.shape[self.channel_dim] != n_channels:
            raise ActivationError(_mismatch(x, self.channel_dim, n_channels))
        if self.channel_dim in (-1, x.ndim - 1):
            return value
        shape = [1] * x.ndim
        shape[self.channel_dim] = n_channels
        return value.reshape(shape)

    def _with(self, values: dict[Parameter, float]) -> sympy.Expr:
        return self.expr.xreplace({parameter: sympy.Float(value) for parameter, value in values.items()})


def check_channel_dim(x: Tensor, channel_dim: int) -> None:
    """Raise ActivationError when the input has no such dimension."""
    if not -x.ndim <= channel_dim < x.ndim:
        raise ActivationError(
            f"the input has shape {tuple(x.shape)} and so no dimension {channel_dim} to count channels in; pass "
            "channel_dim=... when making the activation"
        )


def _mismatch(x: Tensor, channel_dim: int, n_channels: int) -> str:
    fits = [dim for dim, size in enumerate(x.shape) if size == n_channels]
    fix = f" or channel_dim={fits[-1]}" if fits else ""
    return (
        f"the input has {x.shape[channel_dim]} channels (shape {tuple(x.shape)}, channel_dim={channel_dim}), but the "
        f"activation has parameters for {n_channels}; make it with n_channels={x.shape[channel_dim]}{fix}, one "
        "activation for each place where the number differs"
    )


def _slot(parameter: Parameter) -> Slot:
    # a parameter may be called like something that every module has, such as "train" or "type"
    taken = hasattr(Activation, parameter.name) or parameter.name in ("expr", "text", "compiled", "slots", "training")
    name = f"{parameter.name}_" if taken else parameter.name
    return Slot(parameter, name, name if parameter.constraint == "real" else f"raw_{name}")


def _numbers(value: Tensor) -> list[float]:
    """Return the shortest decimal numbers that round to the values in their own dtype."""
    value = value.detach().cpu().reshape(-1)
    if value.dtype == torch.bfloat16:
        value = value.float()
    return [float(str(number)) for number in value.numpy()]
