"""The table of torch's own activations: one row each, with every way a model can call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True, slots=True)
class Known:
    """One activation of torch.

    Attributes:
        name: its name, spelled as in the catalog.
        module: its module class.
        functions: every function that computes it, in-place forms included.
        methods: the tensor methods that compute it.
        hidden: whether it is an activation of hidden layers. Those that gate, squash or clip (sigmoid, tanh) or shape
            an output (softplus, log_sigmoid) are not: replacing them changes what a model means.
        expression: torch module -> its formula as text, settings included.
    """

    name: str
    module: type[nn.Module]
    functions: tuple[Callable[..., Any], ...]
    expression: Callable[[Any], str]
    methods: tuple[str, ...] = ()
    hidden: bool = True


def _leaky(slope: float) -> str:
    return f"max(x, 0) + {slope!r} * min(x, 0)"


def _elu(alpha: float) -> str:
    return f"elu(x) if x > 0 else {alpha!r} * elu(x)"


def _prelu(module: nn.PReLU) -> str:
    return _leaky(float(module.weight.detach().double().mean()))


def _hard_tanh(module: nn.Hardtanh) -> str:
    return f"max(min(x, {float(module.max_val)!r}), {float(module.min_val)!r})"


def _celu(module: nn.CELU) -> str:
    alpha = float(module.alpha)
    return f"x if x > 0 else {alpha!r} * expm1(x / {alpha!r})"


def _softplus(module: nn.Softplus) -> str:
    return f"softplus({float(module.beta)!r} * x) / {float(module.beta)!r}"


ROWS: tuple[Known, ...] = (
    Known(
        "relu",
        nn.ReLU,
        (F.relu, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_),
        lambda m: "relu(x)",
        methods=("relu", "relu_"),
    ),
    Known("relu6", nn.ReLU6, (F.relu6,), lambda m: "min(max(x, 0), 6)"),
    Known("leaky_relu", nn.LeakyReLU, (F.leaky_relu, F.leaky_relu_), lambda m: _leaky(float(m.negative_slope))),
    Known("prelu", nn.PReLU, (F.prelu, torch.prelu), _prelu),
    Known(
        "rrelu",
        nn.RReLU,
        (F.rrelu, torch.rrelu, torch.rrelu_),
        lambda m: _leaky((float(m.lower) + float(m.upper)) / 2),
    ),
    Known("elu", nn.ELU, (F.elu, F.elu_), lambda m: _elu(float(m.alpha))),
    Known("celu", nn.CELU, (F.celu, torch.celu, torch.celu_), _celu),
    Known("selu", nn.SELU, (F.selu, torch.selu, torch.selu_), lambda m: "selu(x)"),
    Known("gelu", nn.GELU, (F.gelu,), lambda m: "gelu(x)" if m.approximate == "none" else "gelu_tanh(x)"),
    Known("silu", nn.SiLU, (F.silu,), lambda m: "silu(x)"),
    Known("mish", nn.Mish, (F.mish,), lambda m: "mish(x)"),
    Known("hard_swish", nn.Hardswish, (F.hardswish,), lambda m: "x * hard_sigmoid(x)"),
    Known(
        "sigmoid",
        nn.Sigmoid,
        (F.sigmoid, torch.sigmoid, torch.sigmoid_, torch.special.expit, torch.Tensor.sigmoid, torch.Tensor.sigmoid_),
        lambda m: "sigmoid(x)",
        methods=("sigmoid", "sigmoid_"),
        hidden=False,
    ),
    Known(
        "tanh",
        nn.Tanh,
        (F.tanh, torch.tanh, torch.tanh_, torch.Tensor.tanh, torch.Tensor.tanh_),
        lambda m: "tanh(x)",
        methods=("tanh", "tanh_"),
        hidden=False,
    ),
    Known("hard_sigmoid", nn.Hardsigmoid, (F.hardsigmoid,), lambda m: "hard_sigmoid(x)", hidden=False),
    Known("hard_tanh", nn.Hardtanh, (F.hardtanh, F.hardtanh_), _hard_tanh, hidden=False),
    Known("softplus", nn.Softplus, (F.softplus,), _softplus, hidden=False),
    Known("softsign", nn.Softsign, (F.softsign,), lambda m: "softsign(x)", hidden=False),
    Known("log_sigmoid", nn.LogSigmoid, (F.logsigmoid,), lambda m: "log_sigmoid(x)", hidden=False),
    Known("tanhshrink", nn.Tanhshrink, (F.tanhshrink,), lambda m: "x - tanh(x)", hidden=False),
)

BY_NAME: Mapping[str, Known] = MappingProxyType({row.name: row for row in ROWS})
BY_METHOD: Mapping[str, Known] = MappingProxyType({method: row for row in ROWS for method in row.methods})
_BY_CLASS = {row.module: row for row in ROWS}
# by identity: a model may hold objects that cannot be hashed
_BY_FUNCTION = {id(function): row for row in ROWS for function in row.functions}


def row_of_class(kind: type) -> Known | None:
    """Return the row of a module class or of the nearest class it derives from (ReLU6 derives from Hardtanh)."""
    return next((_BY_CLASS[base] for base in kind.__mro__ if base in _BY_CLASS), None)


def row_of_function(function: object) -> Known | None:
    """Return the row that a function belongs to."""
    return _BY_FUNCTION.get(id(function))


def spelled_as_in_catalog(name: str) -> str:
    """Return the row name for torch's spelling of it: ``"hardswish"``, ``"LeakyReLU"`` or ``"swish"``.

    Example:
        >>> spelled_as_in_catalog("LeakyReLU"), spelled_as_in_catalog("swish"), spelled_as_in_catalog("snake")
        ('leaky_relu', 'silu', 'snake')
    """
    plain = {row.name.replace("_", ""): row.name for row in ROWS} | {"swish": "silu"}
    return plain.get(name.lower().replace("_", ""), name)
