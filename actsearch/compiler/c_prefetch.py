"""Kernels of many expressions from one call of the compiler, in the background.

A batch is one library, which the cache then holds under each
program's own key as well (a hard link), so that whoever asks for a single kernel, in this process or in another, finds
it. Who asks for one that is on its way waits for it: a fit runs kernels from its first step or not at all, and so gives
the same bits whatever was fetched before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import sympy
import torch

from actsearch.compiler.build import DELIVERY, Compiler, also_as, c_compiler, coming, is_cached
from actsearch.compiler.c_backend import NAMES, build_parts, library_of, printable, source_of
from actsearch.expr.program import lower
from actsearch.expr.resolve import to_expr

#: Kernels in one call of the compiler: more would save little and keep the first one waiting.
BATCH = 16


def prefetch(
    specs: Iterable[sympy.Expr | str], dtype: torch.dtype = torch.float32, wait: bool = False
) -> threading.Thread | None:
    """Have the kernels of expressions built, some at a time, and put into the cache.

    Args:
        specs: What :func:`actsearch.compiler.compile` takes.
        dtype: The type of the tensors to come: float32, float64 or bfloat16.
        wait: Return when all are there.

    Returns:
        The thread that builds, None where there is nothing to be built or no compiler.

    Raises:
        ExprError: A spec is not an expression.
    """
    compiler = c_compiler()
    if compiler is None or dtype not in NAMES:
        return None
    missing: dict[str, str] = {}
    for program in dict.fromkeys(lower(to_expr(spec)) for spec in specs):
        if printable(program):
            channels = any(parameter.granularity == "channel" for parameter in program.parameters)
            _, text = source_of(program, NAMES[dtype], channels)
            key, _ = library_of(compiler, NAMES[dtype], [text])
            if key not in coming and not is_cached(key):
                missing[key] = text
    if not missing:
        return None
    coming.update((key, threading.Event()) for key in missing)
    thread = threading.Thread(target=_build, args=(compiler, NAMES[dtype], missing), name=DELIVERY, daemon=True)
    thread.start()
    if wait:
        thread.join()
    return thread


def _build(compiler: Compiler, dtype: str, missing: dict[str, str]) -> None:
    keys = list(missing)
    try:
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            made = build_parts(compiler, dtype, [missing[key] for key in batch])
            for key in batch:
                if made is not None and made.stem != key:
                    also_as(made, key)
                coming.pop(key).set()
            if made is not None and len(batch) > 1:
                made.unlink()  # its other names stay
    finally:
        for key in keys:  # whoever waits builds for itself
            if (event := coming.pop(key, None)) is not None:
                event.set()
