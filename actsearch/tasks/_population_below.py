"""Below vmap: a function of whole stacks, called where a module sees one member's tensors.

Under :func:`torch.func.vmap` a module sees one member's tensor, with the stack hidden in it. What is computed here is
computed of the stacks themselves, outside the transform, by ordinary eager autograd. The public way there, an autograd
function with a ``vmap`` rule, does the same and takes 0.1 ms a call, a tenth of a small net's step.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch._C._functorch import _add_batch_dim, get_unwrapped, is_batchedtensor, maybe_get_bdim, maybe_get_level
from torch._functorch.pyfunctorch import VmapInterpreter, retrieve_current_functorch_interpreter


def on_stacks(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Call a function with the stacks, each of shape (K, ...), of which vmap shows one slice; return its slice.

    What is the same for all members is expanded. Called within vmap.
    """
    interpreter = retrieve_current_functorch_interpreter()
    assert isinstance(interpreter, VmapInterpreter)
    level = interpreter.level()
    stacks = [_stack(tensor, level, interpreter.batch_size()) for tensor in tensors]
    with interpreter.lower():
        y = function(*stacks)
    return _add_batch_dim(y, 0, level)


def _stack(tensor: Tensor, level: int, size: int) -> Tensor:
    if not is_batchedtensor(tensor) or maybe_get_level(tensor) != level:
        return tensor.expand(size, *tensor.shape)
    return get_unwrapped(tensor).movedim(maybe_get_bdim(tensor), 0)
