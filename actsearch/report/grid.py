"""A small table of values and its three forms: plain text of a given width, Markdown, CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Grid:
    """Rows under a header. ``formats`` (one a column) shape numbers for reading; CSV keeps every digit.

    Example:
        >>> grid = Grid(("score", "function"), ((1.2345, "x*sigmoid(x)"), (None, "|x|")), ("+.2f", ""))
        >>> print(grid.text())
        score  function
        +1.23  x*sigmoid(x)
               |x|
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    formats: tuple[str, ...]

    def text(self, width: int = 80) -> str:
        """Return plain lines; the last column is cut with an ellipsis where a line would pass ``width``."""
        cells = self._cells()
        right = [self._is_number(column) for column in range(len(self.header))]
        sizes = [max(len(row[column]) for row in cells) for column in range(len(self.header))]
        lines = []
        for row in cells:
            parts = [
                text.rjust(size) if to_right else text.ljust(size)
                for text, size, to_right in zip(row, sizes, right, strict=True)
            ]
            line = "  ".join(parts).rstrip()
            lines.append(line if len(line) <= width else line[: width - 1] + "…")
        return "\n".join(lines)

    def markdown(self) -> str:
        """Return a Markdown table; the column named ``function`` is code."""
        code = [name == "function" for name in self.header]
        rule = ["---:" if self._is_number(column) else "---" for column in range(len(self.header))]
        header, *rows = self._cells()
        lines = [header, rule]
        lines += [[_code(text) if is_code else text for text, is_code in zip(row, code, strict=True)] for row in rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    def csv(self) -> str:
        """Return comma-separated lines with a header, numbers in full."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(["" if value is None else value for value in row] for row in self.rows)
        return out.getvalue()

    def only(self, *names: str) -> Grid:
        """Return the table with these columns alone, in this order."""
        places = [self.header.index(name) for name in names]
        rows = tuple(tuple(row[place] for place in places) for row in self.rows)
        return Grid(names, rows, tuple(self.formats[place] for place in places))

    def _cells(self) -> list[tuple[str, ...]]:
        body = [tuple(_shown(value, spec) for value, spec in zip(row, self.formats, strict=True)) for row in self.rows]
        return [self.header, *body]

    def _is_number(self, column: int) -> bool:
        values = [row[column] for row in self.rows if row[column] not in (None, "")]
        return bool(values) and all(isinstance(value, (int, float)) for value in values)


def _shown(value: Any, spec: str) -> str:
    if value is None:
        return ""
    return format(value, spec) if spec and isinstance(value, (int, float)) else str(value)


def _code(text: str) -> str:
    """Return text as Markdown code; a bar inside would end the table's cell."""
    return f"`{text}`".replace("|", "\\|") if text else ""
