"""Below vmap: a function of whole stacks, called where a module sees one member's tensors.

Under :func:`torch.func.vmap` a module sees one member's tensor, with the stack hidden in it. What is computed here is
computed of the stacks themselves, outside the transform, by ordinary eager autograd. The public way there, an autograd
function with a ``vmap`` rule, does the same and takes 0.1 ms a call, a tenth of a small net's step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch._C._functorch import (
    CVmapInterpreterPtr,
    TransformType,
    _add_batch_dim,
    get_unwrapped,
    is_batchedtensor,
    maybe_get_bdim,
    maybe_get_level,
    peek_interpreter_stack,
    pop_dynamic_layer_stack,
    push_dynamic_layer_stack,
)


def on_stacks(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Call a function with the stacks, each of shape (K, ...), of which vmap shows one slice; return its slice.

    What is the same for all members is expanded. Called within vmap.
    """
    transform: Any = peek_interpreter_stack()
    assert transform is not None
    assert transform.key() == TransformType.Vmap
    level = transform.level()
    stacks = [_stack(tensor, level, transform) for tensor in tensors]
    outside = pop_dynamic_layer_stack()
    try:
        y = function(*stacks)
    finally:
        push_dynamic_layer_stack(outside)
    return _add_batch_dim(y, 0, level)


def _stack(tensor: Tensor, level: int, transform: Any) -> Tensor:
    if not is_batchedtensor(tensor) or maybe_get_level(tensor) != level:
        return tensor.expand(CVmapInterpreterPtr(transform).batchSize(), *tensor.shape)
    stack, dim = get_unwrapped(tensor), maybe_get_bdim(tensor)
    return stack if dim == 0 else stack.movedim(dim, 0)
