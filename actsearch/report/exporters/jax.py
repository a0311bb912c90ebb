"""A stand-alone Python module that needs JAX only: ``activation``, with its own derivative under every transform."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sympy

import actsearch
from actsearch.errors import MissingExtraError
from actsearch.expr.differentiate import gradient
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import lower
from actsearch.expr.text import format
from actsearch.report.exporters._evaluate import Array, Function
from actsearch.report.exporters._python_source import Dialect, described, functions, parameter_source

SUFFIX = "_jax.py"
EXTRA = "jax"

_HEAD = '''\
def head(u):
    """Return the upper half of the significant bits of u: products of such halves are exact."""
    whole, mask = (jnp.int64, -(2**27)) if u.dtype == jnp.float64 else (jnp.int32, -(2**12))
    return jax.lax.bitcast_convert_type(jax.lax.bitcast_convert_type(u, whole) & mask, u.dtype)'''

JAX = Dialect(
    module="jnp",
    helpers={"head": _HEAD},
    lacking=frozenset({"raw_erfcx"}),
    special={
        "erf": "jax.lax.erf({0})",
        "raw_erfc": "jax.lax.erfc({0})",
        "raw_i0e": "jax.scipy.special.i0e({0})",
        "raw_i1e": "jax.scipy.special.i1e({0})",
    },
    numbers="jnp.where({0}, {1}, {2}).astype(x.dtype)",
    number="{0}",
    spread="jnp.broadcast_to(jnp.asarray({0}, x.dtype), x.shape)",
    taken=frozenset({"jax", "jnp", "activation", "start"}),
)

_TEMPLATE = '''\
"""f(x) = {text}

An activation for JAX, which is all it needs: works under jit, grad, jvp and vmap. Written by actsearch {version}.
{described}
    from {stem} import activation{start_name}
    y = activation(x{example})
"""

import jax
import jax.numpy as jnp

# learnable parameters and where they start: a pytree to optimise
start = {start}


def activation(x{arguments}):
    """Return f(x), in the shape and type of x; half precision is computed in float32.

    A parameter is a number or an array that broadcasts along x, such as one number for each channel.
    """
    x = jnp.asarray(x)
    wide = jnp.float64 if x.dtype == jnp.float64 else jnp.float32
    given = x.dtype if jnp.issubdtype(x.dtype, jnp.floating) else wide
    parameters = [jnp.broadcast_to(jnp.asarray(p, wide), x.shape) for p in ({listed})]
    return _activation(x.astype(wide), *parameters).astype(given)


@jax.custom_jvp
def _activation(x, *parameters):
    return _value(x, *parameters)


@_activation.defjvp
def _jvp(primals, tangents):
    """The derivative by its own formula: the chain rule through the steps would overflow where f does not."""
    slopes = _gradient(*primals)
    slopes = slopes if isinstance(slopes, tuple) else (slopes,)
    return _activation(*primals), sum(slope * tangent for slope, tangent in zip(slopes, tangents))


{functions}
'''


def export(expr: sympy.Expr, path: Path) -> Path:
    """Write ``activation(x, parameter=start, ...)`` and ``start``, the dictionary of start values."""
    program, parameters = lower(expr), parameters_of(expr)
    names = [JAX.argument(p.name) for p in parameters]
    filled = _TEMPLATE.format(
        text=format(expr),
        version=actsearch.__version__,
        described="".join(f"\n    {described(p)}" for p in parameters) + ("\n" if parameters else ""),
        stem=path.stem,
        start_name=", start" if parameters else "",
        example=", **start" if parameters else "",
        start=parameter_source(parameters, JAX),
        arguments="".join(f", {name}={p.start!r}" for name, p in zip(names, parameters, strict=True)),
        listed=", ".join(names) + ("," if len(names) == 1 else ""),
        functions=functions(JAX, {"_value": program, "_gradient": gradient(program)}),
    )
    path.write_text(filled, encoding="utf-8")
    return path


def load(path: Path) -> Function:
    """Run the file and return its function in float64; a stranger's file is a program: read it first.

    Raises:
        MissingExtraError: JAX is not installed.
    """
    return _function(path, lambda jax, activation: activation)


def load_derivative(path: Path) -> Function:
    """Return the derivative in x, as JAX's reverse mode gives it."""
    return _function(path, lambda jax, activation: jax.grad(lambda x, *values: activation(x, *values).sum()))


def _function(path: Path, made: Callable[[Any, Any], Any]) -> Function:
    try:
        import jax
    except ImportError:
        raise MissingExtraError("jax", EXTRA) from None
    computed = jax.jit(made(jax, runpy.run_path(str(path))["activation"]))

    def function(points: Array, *values: float) -> Array:
        with jax.enable_x64(True):
            return np.asarray(computed(jax.numpy.asarray(points), *values))

    return function
