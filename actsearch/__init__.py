"""actsearch: search, compile, compare and export activation functions.

Start with ``actsearch.make("silu")`` for a module, ``actsearch.compile("x * sigmoid(x)")`` for a function,
``actsearch.search("core_unit", "mnist1d")`` for a search. Names load when first used, so importing the package loads
neither torch, lightning, optuna nor wandb.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actsearch.compiler.compiled import CompiledActivation as CompiledActivation
    from actsearch.compiler.compiled import compile as compile
    from actsearch.errors import ActsearchError as ActsearchError
    from actsearch.expr import catalog as catalog
    from actsearch.expr.fingerprint import fingerprint as fingerprint
    from actsearch.expr.parameters import Parameter as Parameter
    from actsearch.expr.text import format as format
    from actsearch.expr.text import parse as parse
    from actsearch.nn.activation import Activation as Activation
    from actsearch.nn.init import gain as gain
    from actsearch.nn.init import initialise as initialise
    from actsearch.nn.make import make as make
    from actsearch.nn.swap import swap as swap
    from actsearch.report.distillation import distill as distill
    from actsearch.report.export import export as export
    from actsearch.space.load import load_space as load_space
    from actsearch.study.finals import compare as compare
    from actsearch.study.search import search as search
    from actsearch.tasks.lightning_task import lightning_task as lightning_task
    from actsearch.tasks.load import load_task as load_task

_HOME = {
    "Activation": "actsearch.nn.activation",
    "ActsearchError": "actsearch.errors",
    "CompiledActivation": "actsearch.compiler.compiled",
    "Parameter": "actsearch.expr.parameters",
    "catalog": "actsearch.expr",
    "compare": "actsearch.study.finals",
    "compile": "actsearch.compiler.compiled",
    "distill": "actsearch.report.distillation",
    "export": "actsearch.report.export",
    "fingerprint": "actsearch.expr.fingerprint",
    "format": "actsearch.expr.text",
    "gain": "actsearch.nn.init",
    "initialise": "actsearch.nn.init",
    "lightning_task": "actsearch.tasks.lightning_task",
    "load_space": "actsearch.space.load",
    "load_task": "actsearch.tasks.load",
    "make": "actsearch.nn.make",
    "parse": "actsearch.expr.text",
    "search": "actsearch.study.search",
    "swap": "actsearch.nn.swap",
}

__all__ = sorted(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'actsearch' has no attribute {name!r}")
    home = importlib.import_module(_HOME[name])
    value = importlib.import_module(f"{home.__name__}.{name}") if name == "catalog" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
