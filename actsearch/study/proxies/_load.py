"""Find a proxy by name, or by "module:object"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from actsearch import plugins
from actsearch.errors import StudyError, suggest
from actsearch.study.proxies._start import Start

_PACKAGE = "actsearch.study.proxies"


@dataclass(frozen=True)
class Proxy:
    """A number that is known before any training.

    Attributes:
        name: its name.
        measure: what gives the number; NaN where it does not exist.
        better: whether low or high values promise more.
        needs_net: whether it looks at the net of a task; else at the function alone.
    """

    name: str
    measure: Callable[[Start], float]
    better: Literal["low", "high"]
    needs_net: bool

    def badness(self, start: Start) -> float:
        """Return the number so that larger is worse; infinite where it does not exist."""
        value = self.measure(start)
        return float("inf") if value != value else value if self.better == "low" else -value


def proxy_names() -> list[str]:
    """Return the names of the proxies that come with the package.

    Example:
        >>> "edge_of_chaos" in proxy_names()
        True
    """
    return plugins.names(_PACKAGE)


def load_proxy(name: str) -> Proxy:
    """Return a proxy.

    Args:
        name: a name of :func:`proxy_names`, or ``"module:object"`` for a :class:`Proxy` of one's own.

    Raises:
        StudyError: there is no such proxy.
    """
    if ":" in name:
        made = plugins.load_object(name, StudyError)
        if not isinstance(made, Proxy):
            raise StudyError(f"{name!r} is a {type(made).__name__}, not an actsearch.study.proxies.Proxy")
        return made
    known = proxy_names()
    if name not in known:
        raise StudyError(f"unknown proxy {name!r}{suggest(name, known)} (known: {', '.join(known)})")
    file = plugins.load(_PACKAGE, name, StudyError)
    return Proxy(name, file.measure, file.BETTER, file.NEEDS_NET)
