"""One call that gives every weight layer of a network the scale that its activations need."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from torch import nn

from actsearch.errors import ActivationError, suggest
from actsearch.nn.init.autoinit import autoinit
from actsearch.nn.init.gains import gain
from actsearch.nn.init.layers import Distribution, draw, fan_in, fan_out, layers_of, report, row, settable, sources
from actsearch.nn.init.lsuv import lsuv
from actsearch.nn.init.mean_field import MeanField, edge_of_chaos
from actsearch.nn.init.result import Initialisation


def initialise(model: nn.Module, example: Any = None, *, method: str = "he", **settings: Any) -> Initialisation:
    """Give every linear and convolutional layer weights and zero biases that suit its activations, in place.

    - ``"he"``: variance gain^2 / fan_in, where the gain is 1 / sqrt(E f(z)^2) of the activation that the layer's input
      comes from, so that every layer's output has mean square 1 as long as its activation's input is unit-normal. The
      gain is 1 for a layer that reads data, other weights or a normalisation layer. The last layer is treated like the
      others: its outputs start with mean square 1.
    - ``"glorot"``: gain^2 * 2 / (fan_in + fan_out), between what the signal and what the gradient needs.
    - ``"lecun"``: 1 / fan_in whatever the activation: for those of gain 1, SELU and normalised ones.
    - ``"lsuv"``: orthonormal weights, scaled layer by layer until the outputs for the example have variance 1.
    - ``"autoinit"``: variance 1 / (fan_in * (variance + mean^2)) with mean and variance of the layer's input followed
      through the whole network, residual sums, pooling and dropout included, see
      :mod:`actsearch.nn.init.propagation`.
    - ``"edge_of_chaos"``: sigma_w^2 / fan_in with chi = 1, and biases of variance sigma_b^2.

    Weights are drawn as standard normals and then scaled: under one ``torch.manual_seed`` two copies of a model with
    different activations get the same draws. Layers are drawn in order of registration. A weight that is shared,
    parametrized or not yet shaped is left as it is when it cannot be set, and named in the result.

    Args:
        model: any module.
        example: an input, or a tuple of inputs. With one, the model is run on it, in evaluation mode, to see which
            activation each layer's input comes from, functional calls included. Without, the order in which modules
            are registered is taken for the order in which they are used. ``"lsuv"`` needs a batch of real data.
        method: one of those above.
        **settings: of the method. ``distribution``: "normal" or "uniform" (all but lsuv); ``tolerance`` and
            ``max_rounds`` (lsuv); ``mean`` and ``variance`` of the data (autoinit); ``sigma_b`` (edge_of_chaos).

    Raises:
        ActivationError: the model has no such layers, an activation has no gain, or a method or setting is unknown.

    References:
        He et al. 2015, arXiv:1502.01852. Glorot and Bengio 2010, AISTATS. LeCun et al. 1998, "Efficient BackProp".
        Mishkin and Matas 2016, arXiv:1511.06422 (LSUV). Bingham and Miikkulainen 2023, arXiv:2109.08958 (AutoInit).
        Poole et al. 2016, arXiv:1606.05340, and Schoenholz et al. 2017, arXiv:1611.01232 (edge of chaos).

    Example:
        >>> model = nn.Sequential(nn.Linear(100, 50), nn.ReLU(), nn.Linear(50, 10))
        >>> print(initialise(model))
        layer                          after                   fan_in    gain      std
        0                              -                          100  1.0000  0.10000
        2                              ReLU                        50  1.4142  0.20000
    """
    set_up = METHODS.get(method)
    if set_up is None:
        raise ActivationError(f"there is no method {method!r}{suggest(method, METHODS)} ({', '.join(METHODS)})")
    accepted = [*inspect.signature(set_up).parameters][2:]
    for setting in settings:
        if setting not in accepted:
            raise ActivationError(
                f"the method {method!r} has no setting {setting!r}{suggest(setting, accepted)} "
                f"(settings: {', '.join(accepted) or 'none'})"
            )
    if settings.get("distribution", "normal") not in ("normal", "uniform"):
        raise ActivationError(f"distribution is {settings['distribution']!r}; weights are drawn 'normal' or 'uniform'")
    return set_up(model, example, **settings)


def _he(model: nn.Module, example: Any, distribution: Distribution = "normal") -> Initialisation:
    return _scaled(model, example, "he", distribution, lambda factor, layer: factor)


def _glorot(model: nn.Module, example: Any, distribution: Distribution = "normal") -> Initialisation:
    def between(factor: float, layer: nn.Module) -> float:
        return factor * math.sqrt(2 * fan_in(layer) / (fan_in(layer) + fan_out(layer)))

    return _scaled(model, example, "glorot", distribution, between)


def _lecun(model: nn.Module, example: Any, distribution: Distribution = "normal") -> Initialisation:
    return _scaled(model, example, "lecun", distribution, lambda factor, layer: 1.0)


def _scaled(
    model: nn.Module,
    example: Any,
    method: str,
    distribution: Distribution,
    scale: Callable[[float, Any], float],
) -> Initialisation:
    """Draw weights of deviation scale(gain, layer) / sqrt(fan_in)."""
    layers = layers_of(model)
    before = sources(model, example)
    gains = {source: gain(source) for source in set(before.values()) if source is not None and method != "lecun"}
    done = []
    for name, layer in settable(layers):
        source = before.get(layer)
        factor = scale(1.0 if source is None else gains.get(source, 1.0), layer)
        draw(layer, factor / math.sqrt(fan_in(layer)), distribution)
        done.append(row(name, layer, source, factor))
    return report(done, layers, method)


def _edge_of_chaos(
    model: nn.Module, example: Any, sigma_b: float = 0.0, distribution: Distribution = "normal"
) -> Initialisation:
    layers = layers_of(model)
    before = sources(model, example)
    edges = {source: edge_of_chaos(source, sigma_b) for source in before.values() if source is not None}
    first = next(iter(edges.values()), MeanField(1.0, sigma_b, 1.0, 1.0, True))
    # what reads data of variance 1 starts at the variance that the layers behind it keep
    entry = math.sqrt(first.q - sigma_b**2) if first.q > sigma_b**2 else 1.0
    done = []
    for name, layer in settable(layers):
        source = before.get(layer)
        factor = entry if source is None else edges[source].sigma_w
        draw(layer, factor / math.sqrt(fan_in(layer)), distribution, sigma_b)
        done.append(row(name, layer, source, factor))
    return report(done, layers, "edge_of_chaos")


METHODS: dict[str, Callable[..., Initialisation]] = {
    "he": _he,
    "glorot": _glorot,
    "lecun": _lecun,
    "lsuv": lsuv,
    "autoinit": autoinit,
    "edge_of_chaos": _edge_of_chaos,
}
