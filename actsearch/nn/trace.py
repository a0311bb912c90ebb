"""Which activation each weight layer's input came from: by the order of modules, or by running the model once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from actsearch.nn.activation import Activation
from actsearch.nn.known import row_of_class, row_of_function

# What a weight layer's input came from: a module, or a function of one tensor; None after data, weights or a norm.
Source = nn.Module | Callable[[Tensor], Tensor] | None

Weighted = (nn.Linear, nn.modules.conv._ConvNd)
NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
)
# What hands the values of its first argument on, at another place or shape or scaled to the same mean square.
CARRYING = frozenset(
    """
    view reshape flatten unflatten transpose permute contiguous squeeze unsqueeze movedim swapaxes expand chunk split
    dropout dropout1d dropout2d dropout3d clone to float half double detach __getitem__ __get__ cat stack concat pad
    max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_max_pool1d adaptive_max_pool2d mean narrow unbind roll flip
    """.split()  # noqa: SIM905 - a list of 50 quoted names reads worse
)


def in_order(model: nn.Module) -> dict[nn.Module, Source]:
    """Return the activation before each weight layer in order of registration; None after data, weights or a norm."""
    before: dict[nn.Module, Source] = {}
    last: nn.Module | None = None
    for module in outermost(model):
        if isinstance(module, Weighted):
            before[module], last = last, None
        elif isinstance(module, NORMS):
            last = None
        elif is_activation(module):
            last = module
    return before


def in_flow(model: nn.Module, example: Any) -> dict[nn.Module, Source]:
    """Return the activation that each weight layer's input came from, by running the model on an example."""
    tracker = _Tracker()
    mode, state = model.training, torch.get_rng_state()
    try:
        model.eval()
        with torch.no_grad(), tracker.watching(model), tracker:
            model(*example) if isinstance(example, tuple) else model(example)
    finally:
        model.train(mode)
        torch.set_rng_state(state)
    return tracker.before


def is_activation(module: nn.Module) -> bool:
    """Return whether a module is an activation that is known: one of torch's or one made here."""
    is_ours = isinstance(module, Activation) or getattr(module, "mixes_channels", False)
    return is_ours or row_of_class(type(module)) is not None


def outermost(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules in order of registration, without what is inside activations."""
    if isinstance(model, Weighted) or is_activation(model):
        yield model
        return
    if not list(model.children()):
        yield model
    for child in model.children():
        yield from outermost(child)


class _Tracker(TorchFunctionMode):
    """Notes for every tensor which activation it came from, through reshaping and pooling.

    Attributes:
        before: weight layer -> what its first input came from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[nn.Module, Source] = {}
        self._sources: Any = WeakTensorKeyDictionary()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function and note where its result came from."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        given = args[0] if args else kwargs.get("input")
        if row_of_function(func) is not None:
            self._note(result, applied(func, args, kwargs))
        elif getattr(func, "__name__", "") in CARRYING:
            first = given[0] if isinstance(given, list | tuple) and given else given
            self._note(result, self._source(first))
        return result

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Hook into the model's weight layers and activations."""
        handles = []
        for module in model.modules():
            if isinstance(module, Weighted):
                handles.append(module.register_forward_pre_hook(self._weights_met))
            elif is_activation(module):
                handles.append(module.register_forward_hook(self._activation_met))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _weights_met(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.before.setdefault(module, self._source(inputs[0] if inputs else None))

    def _activation_met(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._note(output, module)

    def _source(self, tensor: Any) -> Source:
        return self._sources.get(tensor) if isinstance(tensor, Tensor) else None

    def _note(self, result: Any, source: Source) -> None:
        for tensor in result if isinstance(result, list | tuple) else (result,):
            if isinstance(tensor, Tensor):
                self._sources[tensor] = source


def applied(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[Tensor], Tensor]:
    """Return a call of one of torch's activations as a function of the input alone."""
    settings = {key: value for key, value in kwargs.items() if key not in ("input", "inplace")}
    return functools.partial(_apply, func, args[1:], settings)


def describe(source: Any) -> str:
    """Return what to call an activation in a table: its formula, its class or its function's name."""
    if isinstance(source, Activation):
        return source.text
    if isinstance(source, functools.partial):
        return str(getattr(source.args[0], "__name__", source.args[0]))
    if isinstance(source, nn.Module):
        return type(source).__name__
    return "" if source is None else str(getattr(source, "__name__", source))


def _apply(function: Any, arguments: tuple[Any, ...], settings: dict[str, Any], x: Tensor) -> Tensor:
    return function(x, *arguments, **settings)
