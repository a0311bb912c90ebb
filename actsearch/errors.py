"""Every error that a user's mistake can raise: one base class, a subclass for each kind of mistake.

Low layers raise short messages; the public function that was called adds the context once. A message says what was
wrong, the offending value, what is allowed, and the nearest valid name (see :func:`suggest`).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ActsearchError(Exception):
    """Base of all errors that tell a user what to change."""


class ExprError(ActsearchError, ValueError):
    """A text or SymPy expression is outside the grammar."""


class SpaceError(ActsearchError, ValueError):
    """A search-space file or a request to a space is wrong."""


class CompileError(ActsearchError, ValueError):
    """An expression cannot be compiled, or a compiled activation was called with unsuitable tensors."""


class ActivationError(ActsearchError, ValueError):
    """An activation module was asked for or used in a way that it does not allow."""


class SwapError(ActsearchError, ValueError):
    """A model's activations could not be replaced."""


class TaskError(ActsearchError, ValueError):
    """A task is unknown or incomplete, or its model or data do not fit."""


class StudyError(ActsearchError, ValueError):
    """A study was asked for something it cannot do."""


class StorageError(ActsearchError, OSError):
    """A study's storage cannot be read, locked or written."""


class ReportError(ActsearchError, OSError):
    """A result cannot be written."""


class BenchError(ActsearchError, ValueError):
    """A benchmark was asked for something that cannot be timed."""


class ExportError(ActsearchError, ValueError):
    """An export failed, or its numbers differ from the original's."""


class DistillError(ActsearchError, ValueError):
    """A curve, space or layer is not what a formula can be sought for."""


class MissingExtraError(ActsearchError, ImportError):
    """An optional dependency is needed and not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs {package!r}, which is not installed; pip install 'actsearch[{extra}]'")
        self.package = package
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.package, self.extra)


def suggest(name: str, names: Iterable[str]) -> str:
    """Return ``"; did you mean 'silu'?"`` for the nearest of ``names``, or an empty string when none is near.

    Example:
        >>> suggest("sillu", ["gelu", "silu", "relu"])
        "; did you mean 'silu'?"
        >>> suggest("qqq", ["gelu"])
        ''
    """
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
