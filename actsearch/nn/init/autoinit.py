"""AutoInit: follow mean and variance through the whole network, and set weights so that every layer gives 0 and 1."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from actsearch.errors import ActivationError
from actsearch.nn.init.layers import Distribution, draw, fan_in, layers_of, report, row, settable, sources
from actsearch.nn.init.propagation import Signal, measured, of_function, of_module, through
from actsearch.nn.init.result import Initialisation
from actsearch.nn.known import row_of_function
from actsearch.nn.trace import CARRYING, NORMS, Weighted, applied, is_activation, outermost


def autoinit(
    model: nn.Module,
    example: Any = None,
    mean: float = 0.0,
    variance: float = 1.0,
    distribution: Distribution = "normal",
) -> Initialisation:
    """Set every weight layer to variance 1 / (fan_in * (variance + mean^2)), with those of its own input.

    See :mod:`actsearch.nn.init.propagation` for what is followed. At anything else the signal is taken to pass
    unchanged, with a warning that names it.

    Args:
        model: any module.
        example: an input, or a tuple of inputs; its values do not matter. With one, the model is run on it to see what
            it computes. Without, the modules are taken for a chain in order of registration.
        mean: mean of the data.
        variance: variance of the data.
        distribution: "normal" or "uniform".

    Raises:
        ActivationError: no weight layers, or a layer whose input is zero or not finite.

    Reference: Bingham and Miikkulainen 2023, arXiv:2109.08958.
    """
    layers = layers_of(model)
    free = dict(settable(layers))
    tracer = _Tracer(model, Signal(mean, variance), frozenset(free.values()))
    if example is None:
        tracer.follow_chain()
    else:
        tracer.follow_run(example)
    before = sources(model, example)
    done = []
    for name, layer in free.items():
        factor = tracer.factors.get(layer)
        if factor is not None:
            draw(layer, factor / fan_in(layer) ** 0.5, distribution)
            done.append(row(name, layer, before.get(layer), factor))
    for name in tracer.unknown:
        warnings.warn(
            f"autoinit does not know how {name} changes mean and variance and takes them to pass unchanged; check the "
            "layers behind it, or use method='lsuv', which measures",
            stacklevel=3,
        )
    return report(done, layers, "autoinit")


class _Tracer(TorchFunctionMode):
    """Follows signals: tensor by tensor through a run, or module by module along a chain.

    Attributes:
        factors: weight layer -> standard deviation of its new weights times sqrt(fan_in).
        unknown: what was met without a rule, in order.
    """

    def __init__(self, model: nn.Module, data: Signal, free: frozenset[nn.Module]) -> None:
        super().__init__()
        self.model = model
        self.data = data
        self.free = free
        self.names = {module: name for name, module in model.named_modules()}
        self.factors: dict[nn.Module, float] = {}
        self.unknown: dict[str, None] = {}
        self._signals: Any = WeakTensorKeyDictionary()
        self._inside = 0

    def follow_chain(self) -> None:
        """Follow the modules in order of registration."""
        signal = self.data
        for module in outermost(self.model):
            signal = self._behind(module, signal, 0, 0)

    def follow_run(self, example: Any) -> None:
        """Follow a run of the model in evaluation mode."""
        mode, state = self.model.training, torch.get_rng_state()
        with ExitStack() as stack:
            for module in _followed(self.model):
                stack.callback(module.register_forward_pre_hook(self._enter).remove)
                stack.callback(module.register_forward_hook(self._leave).remove)
            try:
                self.model.eval()
                with torch.no_grad(), self:
                    self.model(*example) if isinstance(example, tuple) else self.model(example)
            finally:
                self.model.train(mode)
                torch.set_rng_state(state)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function and note the signal of its result, unless a module's rule covers it."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        outputs = [result] if isinstance(result, Tensor) else result if isinstance(result, list | tuple) else []
        outputs = [tensor for tensor in outputs if isinstance(tensor, Tensor) and _is_signal(tensor)]
        if self._inside or not outputs:
            return result
        tensors = [tensor for tensor in _tensors((*args, *kwargs.values())) if _is_signal(tensor)]
        if tensors:
            signal = self._of_call(func, tensors, args, kwargs, outputs[0].numel())
            for tensor in outputs:
                self._signals[tensor] = signal
        return result

    def _of_call(self, func: Any, tensors: list[Tensor], args: Any, kwargs: Any, n_out: int) -> Signal:
        signals = [self._signal(tensor) for tensor in tensors]
        name = getattr(func, "__name__", "")
        if row_of_function(func) is None:
            known = of_function(name, signals, args or tuple(tensors), kwargs, n_out)
            if known is not None or name in CARRYING:
                return known or signals[0]
        if len(tensors) == 1 and tensors[0].numel() == n_out:
            with contextlib.suppress(ActivationError):  # not elementwise
                return through(applied(func, args, kwargs), signals[0])
        self.unknown[f"the function {name!r}"] = None
        return signals[0]

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._inside += 1

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if self._inside == 1:
            given = [tensor for tensor in _tensors(inputs) if _is_signal(tensor)]
            signal = self._signal(given[0]) if given else self.data
            n_in = given[0].numel() if given else 0
            for tensor in _tensors((output,)):
                self._signals[tensor] = self._behind(module, signal, n_in, tensor.numel())
        self._inside -= 1  # only now: what the rules compute is no part of the network

    def _behind(self, module: nn.Module, signal: Signal, n_in: int, n_out: int) -> Signal:
        if isinstance(module, Weighted):
            return self._weighted(module, signal)
        known = of_module(module, signal, n_in, n_out)
        if known is None:
            self.unknown[f"{self.names.get(module) or 'the model'!s} ({type(module).__name__})"] = None
        return known or signal

    def _weighted(self, layer: Any, signal: Signal) -> Signal:
        if not (0 < signal.mean_square < float("inf")):
            raise ActivationError(
                f"autoinit cannot scale {self.names[layer]!r}: the mean square of its input is {signal.mean_square:g}"
            )
        if layer in self.free:
            factor = self.factors.setdefault(layer, signal.mean_square**-0.5)
            return Signal(0.0, factor**2 * signal.mean_square)
        if nn.parameter.is_lazy(layer.weight):
            return Signal(0.0, 1.0)
        # a weight that stays: its own mean square counts, its mean is taken for 0
        mean_square = measured(layer.weight).mean_square
        bias = Signal(0.0, 0.0) if layer.bias is None else measured(layer.bias)
        return Signal(bias.mean, fan_in(layer) * mean_square * signal.mean_square + bias.variance)

    def _signal(self, tensor: Tensor) -> Signal:
        signal = self._signals.get(tensor)
        if signal is None:
            signal = measured(tensor) if isinstance(tensor, nn.Parameter) else self.data
        return signal


def _followed(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that have a rule of their own; what others compute is followed function by function."""
    for module in model.modules():
        has_rule = isinstance(module, (*Weighted, *NORMS, nn.modules.dropout._DropoutNd, nn.Embedding))
        if has_rule or is_activation(module):
            yield module


def _is_signal(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
