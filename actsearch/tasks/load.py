"""Find tasks: by the name of a file in this folder, or by ``"module:object"``."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from actsearch.errors import TaskError, suggest
from actsearch.plugins import load_object
from actsearch.tasks.task import Task

_PACKAGE = "actsearch.tasks"


def task_names() -> list[str]:
    """Return the sorted names of the shipped tasks: the files of this folder that define ``make_task``.

    The files are read, not imported, so listing them costs no import of Lightning or scikit-learn.

    Example:
        >>> "toy" in task_names(), "fit" in task_names()
        (True, False)
    """
    folder = Path(__file__).parent
    files = (info.name for info in pkgutil.iter_modules([str(folder)]) if not info.ispkg)
    return sorted(name for name in files if not name.startswith("_") and _is_task(folder / f"{name}.py"))


def load_task(name_or_reference: str | Task, nets: Iterable[str] | str | None = None, **settings: Any) -> Task:
    """Return a shipped task, or one's own by reference.

    Args:
        name_or_reference: a shipped task's name, or ``"module:object"`` (``"file.py:object"``) that names a
            :class:`Task`, a function that returns one, or a LightningModule class, which needs ``data=`` beside it.
            A :class:`Task` is returned as it is, with the nets asked for.
        nets: names of the nets to keep, in this order; all by default.
        settings: arguments of the task's ``make_task`` (or of :func:`~actsearch.tasks.lightning_task.lightning_task`
            for a module); ``data`` may be a reference too.

    Raises:
        TaskError: there is no such task, net or setting.

    Example:
        >>> load_task("mnist1d", nets=("deep",)).cells[0].name
        'mnist1d/deep'
    """
    task = _find(name_or_reference, settings)
    return task if nets is None else task.with_nets(nets if isinstance(nets, str) else tuple(nets))


def _find(reference: str | Task, settings: dict[str, Any]) -> Task:
    if isinstance(reference, Task):
        if settings:
            raise TaskError(f"task {reference.name!r} is made already; it takes no settings ({', '.join(settings)})")
        return reference
    if ":" in reference:
        return _from_object(_load_picklable(reference), reference, settings)
    known = task_names()
    if reference not in known:
        raise TaskError(f"unknown task {reference!r}{suggest(reference, known)} (known: {', '.join(known)})")
    module = importlib.import_module(f"{_PACKAGE}.{reference}")
    return _call(module.make_task, reference, settings)


def _from_object(found: Any, reference: str, settings: dict[str, Any]) -> Task:
    if isinstance(found, Task):
        return _find(found, settings)
    if "data" in settings or inspect.isclass(found):
        from actsearch.tasks.lightning_task import lightning_task

        data = settings.get("data")
        if data is None:
            raise TaskError(f"{reference!r} is a class; name its data too: data='module:object'")
        loaded = _load_picklable(data) if isinstance(data, str) else data
        return _call(lightning_task, reference, {"module": found, **settings, "data": loaded})
    if not callable(found):
        raise TaskError(f"{reference!r} is a {type(found).__name__}, not a task, nor a function that returns one")
    task = _call(found, reference, settings)
    if not isinstance(task, Task):
        raise TaskError(f"{reference!r} returned a {type(task).__name__}, not a task")
    return task


def _call(make_task: Callable[..., Task], name: str, settings: dict[str, Any]) -> Task:
    parameters = inspect.signature(make_task).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for setting in settings:
            if setting not in parameters:
                known = ", ".join(parameters)
                near = suggest(setting, parameters)
                raise TaskError(f"task {name!r} has no setting {setting!r}{near} (known: {known})")
    return make_task(**settings)


def _load_picklable(reference: str) -> Any:
    """Load an object, and see that workers get the file it is from, which they could not import by name."""
    found = load_object(reference, TaskError)
    path = reference.rpartition(":")[0]
    if path.endswith(".py"):
        import cloudpickle  # type: ignore[import-untyped] # comes with loky

        cloudpickle.register_pickle_by_value(sys.modules[Path(path).stem])
    return found


@cache
def _is_task(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == "make_task" for node in tree.body)
