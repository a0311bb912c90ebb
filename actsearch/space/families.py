"""Adaptive families in a space: a family's name, and for each of its settings the values to choose from."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import actsearch
from actsearch.errors import ExprError, SpaceError, suggest
from actsearch.expr.family import Family, Setting, read_setting
from actsearch.space.choosers import Chooser
from actsearch.space.document import Document
from actsearch.space.faults import Faults

PLACE = "family"
"""The name of the choice between formulas and each of the families."""
FORMULA = "formula"
"""The option of it that means a formula of the rules."""


@dataclass(frozen=True)
class FamilyRule:
    """A family in a space.

    Attributes:
        name: the family's.
        settings: setting -> values to choose from, as the file has them.
    """

    name: str
    settings: Mapping[str, tuple[str, ...]]

    def size(self) -> int:
        """Return the number of candidates: sets of settings."""
        return math.prod(len(options) for options in self.settings.values())

    def choose(self, chooser: Chooser) -> dict[str, str]:
        """Return the choices that a chooser decides: ``"rational.degrees"`` -> option, in the order of the file."""
        return {self._place(key): chooser(self._place(key), options) for key, options in self.settings.items()}

    def enumerate_choices(self) -> Iterator[dict[str, str]]:
        """Yield the choices of every candidate; the last one changes first."""
        places = [self._place(key) for key in self.settings]
        for options in itertools.product(*self.settings.values()):
            yield dict(zip(places, options, strict=True))

    def build(self, choices: Mapping[str, str]) -> Family:
        """Return the family with the settings of its choices."""
        return Family(self.name, {key: read_setting(choices[self._place(key)]) for key in self.settings})

    def encode(self, family: Family) -> dict[str, str] | None:
        """Return the choices that build a family of this name, None when there are none."""
        if set(family.settings) != set(self.settings):
            return None
        found: dict[str, str] = {}
        for key, options in self.settings.items():
            fits = [option for option in options if _same(read_setting(option), family.settings[key])]
            if not fits:
                return None
            found[self._place(key)] = fits[0]
        return found

    def _place(self, setting: str) -> str:
        return f"{self.name}.{setting}"


def encode_family(rules: Mapping[str, FamilyRule], family: Family, space: str) -> dict[str, str]:
    """Return the choices that decode to a family.

    Raises:
        SpaceError: the space does not hold it.
    """
    if family.name not in rules:
        known = ", ".join(rules) or "none"
        raise SpaceError(f"{family} is not in the space {space!r}: its families are {known}")
    choices = rules[family.name].encode(family)
    if choices is None:
        settings = "; ".join(f"{key}: {', '.join(options)}" for key, options in rules[family.name].settings.items())
        raise SpaceError(f"{family} is not in the space {space!r}, which has {family.name} with {settings or 'none'}")
    return {PLACE: family.name, **choices}


def make_families(document: Document, faults: Faults) -> dict[str, FamilyRule]:
    """Return the families of a document; what is wrong with them is noted."""
    known = family_names()
    found = {}
    for name, settings in document.families.items():
        line = document.family_lines[name]
        if name not in known:
            faults.add(line, f"families.{name}", f"no such family{suggest(name, known)} (known: {', '.join(known)})")
        for key, options in settings.items():
            where = f"families.{name}.{key}"
            if not key.isidentifier():
                faults.add(line, where, f"{key!r} is no name of a setting")
            values: list[Setting] = []
            for option in options:
                try:
                    value = read_setting(option.text)
                except ExprError as error:
                    faults.add(option.line, where, str(error))
                    continue
                if any(_same(value, other) for other in values):
                    faults.add(option.line, where, f"{option.text!r} is there twice")
                values.append(value)
        found[name] = FamilyRule(name, {key: tuple(o.text for o in options) for key, options in settings.items()})
    return found


def family_names() -> list[str]:
    """Return the names of the adaptive families; their files are listed, not imported, since they need torch.

    Example:
        >>> "rational" in family_names()
        True
    """
    folder = Path(actsearch.__file__).parent / "nn" / "adaptive"
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _same(first: Setting, second: Setting) -> bool:
    """Whether two values are one; True and 1 are not."""
    return repr(first) == repr(second)
