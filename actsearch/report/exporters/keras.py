"""A stand-alone Python module for Keras 3, on any of its backends: a registered layer, and a function where it can be.

Weights are named as those of ``actsearch.nn.Activation``: a constrained parameter is kept as ``raw_NAME``.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sympy
import torch

import actsearch
from actsearch.errors import ExportError, MissingExtraError
from actsearch.expr.differentiate import gradient
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.program import lower
from actsearch.expr.text import format
from actsearch.nn.constraints import CONSTRAINTS, raw_start
from actsearch.report.exporters._evaluate import Array, Function
from actsearch.report.exporters._python_source import Dialect, described, functions

SUFFIX = "_keras.py"
EXTRA = "keras"

_HEAD = '''\
def head(u):
    """Return the upper half of the significant bits of u: products of such halves are exact.

    Reference: Dekker 1971, Numerische Mathematik 18.
    """
    shifted = u * (134217729.0 if keras.backend.standardize_dtype(u.dtype) == "float64" else 4097.0)
    return shifted - (shifted - u)'''

# the torch backend's own would round float64 to float32 (Keras 3.15)
_MAXIMUM = """\
def maximum(a, b):
    return ops.where((a > b) | (a != a), a, b)"""
_MINIMUM = """\
def minimum(a, b):
    return ops.where((a < b) | (a != a), a, b)"""

KERAS = Dialect(
    module="ops",
    helpers={"head": _HEAD, "maximum": _MAXIMUM, "minimum": _MINIMUM},
    lacking=frozenset({"raw_erfcx", "raw_erfc", "raw_i0e", "raw_i1e"}),
    special={"raw_power": "{0} ** {1}", "maximum": "maximum({0}, {1})", "minimum": "minimum({0}, {1})"},
    numbers="ops.where({0}, {1}, {2})",
    number="ops.full_like(x, {0})",  # a plain number would be rounded to float32
    spread="ops.broadcast_to(ops.cast({0}, x.dtype), ops.shape(x))",
    taken=frozenset({"keras", "ops", "activation"}),
)

_TEMPLATE = '''\
"""f(x) = {text}

An activation for Keras 3, on any of its backends. Written by actsearch {version}.
{described}
    from {stem} import Activation
    net = keras.Sequential([keras.layers.Dense(16), Activation(), keras.layers.Dense(1)])
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="actsearch", name="{stem}")
class Activation(keras.layers.Layer):
    """f(x) = {text}

    Args:
        axis: dimension of x that counts channels, for parameters of which each channel has its own.
        **kwargs: as for every layer: name, dtype, trainable.
    """

    def __init__(self, axis=-1, **kwargs):
        super().__init__(**kwargs)
        self.axis = axis
        self.supports_masking = True
{build}
    def call(self, x):
        return _called(x{values})

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {{**super().get_config(), "axis": self.axis}}

{function}
def _called(x, *parameters):
    """Half precision is computed in float32."""
    given = keras.backend.standardize_dtype(x.dtype)
    wide = "float64" if given == "float64" else "float32"
    x = ops.cast(x, wide)
    spread = [ops.broadcast_to(ops.cast(p, wide), ops.shape(x)) for p in parameters]
    # Keras's NumPy backend has no gradients
    function = _value if keras.backend.backend() == "numpy" else ops.custom_gradient(_with_gradient)
    return ops.cast(function(x, *spread), given)


def _with_gradient(x, *parameters):
    """The derivative by its own formula: the chain rule through the steps would overflow where f does not."""

    def grad(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        slopes = _gradient(x, *parameters)
        return tuple(upstream * slope for slope in slopes) if isinstance(slopes, tuple) else upstream * slopes

    return _value(x, *parameters), grad


{functions}
'''

_BUILD = '''
    def build(self, input_shape):
{made}

    def _spread(self, value, x):
        """Return one number for each channel so that it broadcasts along x."""
        shape = [1] * len(x.shape)
        shape[self.axis] = -1
        return ops.reshape(value, shape)
'''

_FUNCTION = '''
@keras.saving.register_keras_serializable(package="actsearch", name="{stem}_function")
def activation(x):
    """Return f(x), in the shape of x: ``keras.layers.Dense(16, activation=activation)``."""
    return _called(ops.convert_to_tensor(x))

'''

_TRANSFORM = {"real": "{}", "positive": "ops.softplus({})", "unit": "ops.sigmoid({})"}


def export(expr: sympy.Expr, path: Path) -> Path:
    """Write the layer ``Activation``, parameters as weights; without parameters also the function ``activation``."""
    program, parameters = lower(expr), parameters_of(expr)
    made = "\n".join(f"        {_weight(p)}" for p in parameters)
    filled = _TEMPLATE.format(
        text=format(expr),
        version=actsearch.__version__,
        described="".join(f"\n    {described(p)}" for p in parameters) + ("\n" if parameters else ""),
        stem=path.stem,
        build=_BUILD.format(made=made) if parameters else "",
        values="".join(f", {_value(p)}" for p in parameters),
        function="" if parameters else _FUNCTION.format(stem=path.stem),
        functions=functions(KERAS, {"_value": program, "_gradient": gradient(program)}),
    )
    path.write_text(filled, encoding="utf-8")
    return path


def load(path: Path) -> Function:
    """Run the file and return its layer as a function in float64; a stranger's file is a program: read it first.

    Raises:
        MissingExtraError: Keras is not installed.
        ExportError: Keras was told to run on another backend than torch, the only one where it keeps float64.
    """
    return _function(path, lambda x, y: y)


def load_derivative(path: Path) -> Function:
    """Return the derivative in x, as the layer's backward pass gives it."""
    return _function(path, lambda x, y: torch.autograd.grad(y.sum(), x)[0])


def _function(path: Path, result: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Function:
    made = _layer(path)

    def function(points: Array, *values: float) -> Array:
        x = torch.tensor(points, dtype=torch.float64, device="cpu", requires_grad=True)
        return np.asarray(result(x, made(values)(x)).detach().numpy())

    return function


def raw_name(parameter: Parameter) -> str:
    """Return the name of a parameter's weight."""
    return parameter.name if parameter.constraint == "real" else f"raw_{parameter.name}"


def _attribute(parameter: Parameter) -> str:
    """Return the attribute that holds the weight: a layer has attributes of its own, such as ``name``."""
    return f"weight_{raw_name(parameter)}"


def _weight(parameter: Parameter) -> str:
    shape = "(input_shape[self.axis],)" if parameter.granularity == "channel" else "()"
    start = f"keras.initializers.Constant({raw_start(parameter)!r})"
    arguments = f'name="{raw_name(parameter)}", shape={shape}, initializer={start}'
    return f"self.{_attribute(parameter)} = self.add_weight({arguments})"


def _value(parameter: Parameter) -> str:
    value = _TRANSFORM[parameter.constraint].format(f"self.{_attribute(parameter)}")
    return f"self._spread({value}, x)" if parameter.granularity == "channel" else value


def _layer(path: Path) -> Callable[[tuple[float, ...]], Any]:
    """Return what makes the file's layer in float64 with given values of the parameters."""
    keras = _keras()
    text = path.read_text(encoding="utf-8")
    kind = runpy.run_path(str(path))["Activation"]

    def made(values: tuple[float, ...]) -> Any:
        with keras.device("cpu"):
            layer = kind(axis=0, dtype="float64")
            layer.build((1,))
            for weight, value in zip(layer.weights, values, strict=True):
                inverse = CONSTRAINTS[_constraint(weight.name, text)].inverse
                weight.assign(np.full(weight.shape, inverse(float(value))))
        return layer

    return made


def _constraint(weight: str, text: str) -> str:
    """Return the constraint whose transform the file applies to a weight."""
    forms = {name: form.format(f"self.weight_{weight}") for name, form in _TRANSFORM.items() if name != "real"}
    return next((name for name, form in forms.items() if form in text), "real")


def _keras() -> Any:
    if "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        keras = importlib.import_module("keras")
    except ImportError:
        raise MissingExtraError("keras", EXTRA) from None
    if keras.backend.backend() != "torch":
        raise ExportError(
            f"Keras runs on {keras.backend.backend()} here, which has no float64 to compare in; set KERAS_BACKEND=torch"
        )
    return keras
