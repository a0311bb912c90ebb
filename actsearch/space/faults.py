"""Collecting every fault of a file before saying anything, so that a file is corrected in one go."""

from __future__ import annotations

from dataclasses import dataclass, field

from actsearch.errors import SpaceError


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One fault: where (line from 1, key) and what."""

    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}, {self.key}" if self.key else f"line {self.line}"
        return f"{where}: {self.message}".replace("\n", "\n      ")


@dataclass
class Faults:
    """The faults of one file.

    Args:
        file: the file's name, as shown.
    """

    file: str
    found: list[Fault] = field(default_factory=list)

    def add(self, line: int, key: str, message: str) -> None:
        """Note a fault."""
        self.found.append(Fault(line, key, message))

    def raise_any(self) -> None:
        """Raise one error that lists all faults in the order of lines; do nothing when there are none.

        Raises:
            SpaceError: there are faults.
        """
        if self.found:
            count = "a fault" if len(self.found) == 1 else f"{len(self.found)} faults"
            lines = "\n  ".join(str(fault) for fault in sorted(self.found))
            raise SpaceError(f"{self.file} has {count}:\n  {lines}")
