"""How many features an activation gives for how many it takes: not the same for GLU, maxout and CReLU."""

from __future__ import annotations

from torch import nn

from actsearch.errors import ActivationError


def n_features_out(module: nn.Module, n_features: int) -> int:
    """Return the number of channels that come out where ``n_features`` go in.

    Args:
        module: any activation.
        n_features: channels of its input, at least 1.

    Raises:
        ActivationError: the module cannot take as many.

    Example:
        >>> from actsearch.nn.make import make
        >>> [n_features_out(make(name), 64) for name in ("silu", "swiglu", "maxout", "crelu")]
        [64, 32, 32, 128]
    """
    if n_features < 1:
        raise ActivationError(f"n_features is {n_features}; there is at least one")
    count = getattr(module, "n_features_out", None)
    return n_features if count is None else int(count(n_features))
