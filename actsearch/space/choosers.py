"""Choosers: what decides. A chooser is called with a choice's name and its options, and returns one of the options."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from actsearch.errors import SpaceError, suggest

Chooser = Callable[[str, tuple[str, ...]], str]
"""``chooser(name, options) -> option``. The name is place and rule, such as ``"0.1:unary"``."""


class RandomChooser:
    """Takes every option of a choice with the same probability.

    Args:
        seed: of the chooser's own random generator.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __call__(self, name: str, options: tuple[str, ...]) -> str:
        """Return a random option."""
        return options[self._random.randrange(len(options))]


class ReplayChooser:
    """Repeats recorded choices.

    Args:
        choices: name -> option.
        otherwise: asked for a choice that is not recorded or whose recorded option is not on offer; without it both are
            errors.
    """

    def __init__(self, choices: Mapping[str, str], otherwise: Chooser | None = None) -> None:
        self.choices = dict(choices)
        self.otherwise = otherwise

    def __call__(self, name: str, options: tuple[str, ...]) -> str:
        """Return the recorded option.

        Raises:
            SpaceError: there is none, or it is not among the options.
        """
        option = self.choices.get(name)
        if option in options:
            assert option is not None
            return option
        if self.otherwise is not None:
            return self.otherwise(name, options)
        if option is None:
            raise SpaceError(f"no choice is given for {name!r}{suggest(name, self.choices)}")
        raise SpaceError(f"{option!r} is not an option of {name!r}{suggest(option, options)}")


class RecordingChooser:
    """Asks another chooser and keeps its answers.

    Attributes:
        choices: name -> option, in the order they were made.
    """

    def __init__(self, inner: Chooser) -> None:
        self.inner = inner
        self.choices: dict[str, str] = {}

    def __call__(self, name: str, options: tuple[str, ...]) -> str:
        """Return the inner chooser's option."""
        option = self.choices[name] = self.inner(name, options)
        return option
