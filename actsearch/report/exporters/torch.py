"""A stand-alone Python module that needs torch only: a class ``Activation`` with its parameters and its own backward.

State-dict names are those of ``actsearch.nn.Activation``, so trained weights can be loaded into it.
"""

from __future__ import annotations

import inspect
import json
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sympy
import torch

import actsearch
from actsearch.compiler.torch_source import argument_name, module_source
from actsearch.expr.differentiate import gradient
from actsearch.expr.program import lower
from actsearch.expr.text import format
from actsearch.nn.activation import Activation, Slot
from actsearch.nn.constraints import CONSTRAINTS, raw_start
from actsearch.report.exporters._evaluate import Array, Function

SUFFIX = "_torch.py"

_HEADER = '''\
"""f(x) = {text}

An activation as a torch module, shape in = shape out; needs torch only. Written by actsearch {version}.
{parameters}
    from {stem} import Activation
    net = torch.nn.Sequential(torch.nn.Linear(8, 16), {call}, torch.nn.Linear(16, 1))
"""

'''

_FUNCTION = '''

# state-dict name: what values the parameter may have
PARAMETERS = {constraints}


class _Function(torch.autograd.Function):
    """value() with gradient() as its backward: autograd's own chain rule would overflow where f does not."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*args):
        return value(*_widened(args)).to(args[0].dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad):
        args = ctx.saved_tensors
        slopes = gradient(*_widened(args))
        slopes = slopes if isinstance(slopes, tuple) else (slopes,)
        return tuple((grad * slope).sum_to_size(arg.shape).to(arg.dtype) for slope, arg in zip(slopes, args))


def _widened(args):
    """Return the arguments in the type of x, or in float32 where x is float16 or bfloat16."""
    dtype = args[0].dtype if args[0].dtype in (torch.float32, torch.float64) else torch.float32
    return [arg.to(dtype) for arg in args]


'''

_PLAIN = '''\
class Activation(torch.nn.Module):
    """f(x) = {text}"""

    def forward(self, x):
        return _Function.apply(x)
'''

_LEARNING = '''\
class Activation(torch.nn.Module):
    """f(x) = {text}, its parameters learned by training."""

    def __init__(self):
        super().__init__()
{made}

    def forward(self, x):
{values}
        return _Function.apply(x, {names})
'''

_PER_CHANNEL = '''\
class Activation(torch.nn.Module):
    """f(x) = {text}, its parameters learned by training.

    Args:
        n_channels: number of channels; each has its own parameters where the list at the top says so.
        channel_dim: dimension of x that counts them; -1 for (batch, time, channel).
    """

    def __init__(self, n_channels, channel_dim=1):
        super().__init__()
        self.channel_dim = channel_dim
{made}

    def forward(self, x):
{values}
        return _Function.apply(x, {names})

    def _spread(self, value, x):
        shape = [1] * x.dim()
        shape[self.channel_dim] = value.numel()
        return value.reshape(shape)
'''

_TRANSFORM = {"real": "{}", "positive": "torch.nn.functional.softplus({})", "unit": "torch.sigmoid({})"}


def export(expr: sympy.Expr, path: Path) -> Path:
    """Write the module: ``value``, ``gradient``, and the class ``Activation``."""
    program = lower(expr)
    slots = Activation(expr, n_channels=1).slots
    per_channel = any(slot.per_channel for slot in slots)
    text = format(expr)
    header = _HEADER.format(
        text=text,
        version=actsearch.__version__,
        parameters="".join(["\n", *(f"{_described(slot)}\n" for slot in slots)]) if slots else "",
        stem=path.stem,
        call="Activation(n_channels=16)" if per_channel else "Activation()",
    )
    constraints = json.dumps({slot.raw: slot.parameter.constraint for slot in slots})
    template = _PER_CHANNEL if per_channel else _LEARNING if slots else _PLAIN
    parts = [
        header,
        module_source([("value", program), ("gradient", gradient(program))]),
        _FUNCTION.replace("{constraints}", constraints),
        template.format(
            text=text,
            made="\n".join(f"        self.{slot.raw} = torch.nn.Parameter({_start(slot)})" for slot in slots),
            values="\n".join(f"        {_name(slot)} = {_value(slot)}" for slot in slots),
            names=", ".join(map(_name, slots)),
        ),
    ]
    path.write_text("".join(parts), encoding="utf-8")
    return path


def load(path: Path) -> Function:
    """Run the file and return its module as a function in float64; a stranger's file is a program: read it first."""
    return _function(path, lambda x, y: y)


def load_derivative(path: Path) -> Function:
    """Return the module's derivative in x, as its backward gives it."""
    return _function(path, lambda x, y: torch.autograd.grad(y.sum(), x)[0])


def _described(slot: Slot) -> str:
    parameter = slot.parameter
    allowed = {"real": "any real number", "positive": "above 0", "unit": "between 0 and 1"}[parameter.constraint]
    return f"    {parameter.name}: starts at {parameter.start!r}, {allowed}, one for each {parameter.granularity}"


def _start(slot: Slot) -> str:
    start = repr(raw_start(slot.parameter))
    return f"torch.full((n_channels,), {start})" if slot.per_channel else f"torch.tensor({start})"


def _name(slot: Slot) -> str:
    return argument_name(slot.parameter.name)


def _value(slot: Slot) -> str:
    value = _TRANSFORM[slot.parameter.constraint].format(f"self.{slot.raw}")
    return f"self._spread({value}, x)" if slot.per_channel else value


def _function(path: Path, result: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Function:
    content = runpy.run_path(str(path))
    takes_channels = "n_channels" in inspect.signature(content["Activation"]).parameters
    module = (content["Activation"](n_channels=1) if takes_channels else content["Activation"]()).double()

    def function(points: Array, *values: float) -> Array:
        with torch.no_grad():
            for (name, constraint), value in zip(content["PARAMETERS"].items(), values, strict=True):
                module.get_parameter(name).fill_(CONSTRAINTS[constraint].inverse(float(value)))
        x = torch.tensor(points, dtype=torch.float64).unsqueeze(1).requires_grad_()  # a batch with one channel
        return np.asarray(result(x, module(x)).detach().squeeze(1).numpy())

    return function
