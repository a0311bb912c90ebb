"""Plugins by file name: a file's name is the thing's name.

A sampler, task, exporter or adaptive module is a file in its folder. Nothing is registered: the folder is listed, and
the one that is asked for is imported. From outside the package a thing is named ``"module:object"``.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from actsearch.errors import ActsearchError, suggest


def names(package: str) -> list[str]:
    """Return the sorted names of the plugin files in a package folder; files that start with ``_`` are private.

    Args:
        package: dotted name, such as ``"actsearch.report.exporters"``.

    Example:
        >>> "relu" in names("actsearch.report.exporters")
        False
    """
    paths = importlib.import_module(package).__path__
    return sorted(info.name for info in pkgutil.iter_modules(paths) if not info.name.startswith("_"))


def load(package: str, name: str, error: type[ActsearchError] = ActsearchError) -> ModuleType:
    """Import and return the plugin file ``name`` of ``package``.

    Args:
        package: dotted name of the folder.
        name: the file's name without ``.py``.
        error: class to raise when there is no such file.

    Raises:
        ActsearchError: no such file. A file that exists and fails to import raises its own error, loudly.
    """
    known = names(package)
    if name not in known:
        kind = package.rsplit(".", 1)[-1].removesuffix("s")
        raise error(f"unknown {kind} {name!r}{suggest(name, known)} (known: {', '.join(known)})")
    return importlib.import_module(f"{package}.{name}")


def load_object(reference: str, error: type[ActsearchError] = ActsearchError) -> Any:
    """Return the object that ``"module:object"`` or ``"path/to/file.py:object"`` names.

    The current folder is searched first, as ``python -m`` does.

    Raises:
        ActsearchError: the reference has no colon, or the module or the object does not exist.
    """
    module_name, colon, attribute = reference.rpartition(":")
    if not colon or not module_name or not attribute:
        raise error(f"{reference!r} is not of the form 'module:object'")
    if module_name.endswith(".py"):
        module = _load_file(Path(module_name), error)
    else:
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as missing:
            if missing.name is None or not f"{module_name}.".startswith(f"{missing.name}."):
                raise
            raise error(f"there is no module {module_name!r} (asked for by {reference!r})") from None
    try:
        return getattr(module, attribute)
    except AttributeError:
        public = [name for name in vars(module) if not name.startswith("_")]
        raise error(f"{module_name!r} has no {attribute!r}{suggest(attribute, public)}") from None


def _load_file(path: Path, error: type[ActsearchError]) -> ModuleType:
    if not path.is_file():
        raise error(f"there is no file {str(path)!r}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
