"""A curve drawn with characters: Braille dots where the terminal can show them, asterisks elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
# Unicode's Braille block: bit of each dot in a cell of two columns and four rows
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def plot(
    function: Callable[[Array], Array],
    low: float = -5.0,
    high: float = 5.0,
    width: int = 60,
    height: int = 14,
    *,
    unicode: bool = True,
) -> str:
    """Return a curve as lines of text, with axes and the limits of both.

    Args:
        function: of an array of shape (n,).
        low, high: range of x.
        width, height: size of the curve in characters; labels take up to 10 columns more on the left.
        unicode: Braille dots (2 x 4 a character) instead of one asterisk a character.

    Example:
        >>> print(plot(lambda x: x, -1, 1, width=9, height=3, unicode=False))
              1 |    | ***
              0 |---****--
             -1 |****|
                 -1      1
    """
    columns, rows = (2 * width, 4 * height) if unicode else (width, height)
    x = np.linspace(low, high, columns)
    y = np.asarray(function(x), dtype=np.float64)
    finite = y[np.isfinite(y)]
    if not finite.size:
        return "(not finite anywhere in this range)"
    bottom, top = _limits(finite)
    dots = np.zeros((rows, columns), dtype=bool)
    places = (top - y) / (top - bottom) * (rows - 1)
    previous: float | None = None
    for column, place in enumerate(places):
        if not np.isfinite(place) or not -rows < place < 2 * rows:
            previous = None
            continue
        start = place if previous is None else previous
        first, last = sorted((round(start), round(place)))
        for row in range(max(first, 0), min(last, rows - 1) + 1):
            dots[row, column] = True
        previous = place
    lines = _braille(dots) if unicode else ["".join("*" if dot else " " for dot in row) for row in dots]
    zero_row = round(top / (top - bottom) * (height - 1)) if bottom < 0 < top else None
    zero_column = round(-low / (high - low) * (width - 1)) if low < 0 < high else None
    lines = [_with_axes(line, row == zero_row, zero_column, unicode) for row, line in enumerate(lines)]
    return "\n".join([*_labelled(lines, bottom, top, zero_row, unicode), _x_labels(low, high, width)])


def _limits(finite: Array) -> tuple[float, float]:
    bottom, top = float(finite.min()), float(finite.max())
    if top - bottom < 1e-9:
        return bottom - 1.0, top + 1.0
    return bottom, top


def _braille(dots: npt.NDArray[np.bool_]) -> list[str]:
    lines = []
    for row in range(0, dots.shape[0], 4):
        cells = []
        for column in range(0, dots.shape[1], 2):
            block = dots[row : row + 4, column : column + 2]
            bits = sum(_BITS[i][j] for i in range(4) for j in range(2) if block[i, j])
            cells.append(chr(0x2800 + bits) if bits else " ")
        lines.append("".join(cells))
    return lines


def _with_axes(line: str, is_zero: bool, zero_column: int | None, unicode: bool) -> str:
    across, down = ("─", "│") if unicode else ("-", "|")
    cells = [across if is_zero and cell == " " else cell for cell in line]
    if zero_column is not None and cells[zero_column] in (" ", across):
        cells[zero_column] = ("┼" if unicode else "+") if is_zero else down
    return "".join(cells)


def _labelled(lines: list[str], bottom: float, top: float, zero_row: int | None, unicode: bool) -> list[str]:
    labels = [""] * len(lines)
    labels[0], labels[-1] = f"{top:.3g}", f"{bottom:.3g}"
    if zero_row is not None and not labels[zero_row]:
        labels[zero_row] = "0"
    edge = "│" if unicode else "|"
    return [f"{label:>7} {edge}{line}".rstrip() for label, line in zip(labels, lines, strict=True)]


def _x_labels(low: float, high: float, width: int) -> str:
    left, right = f"{low:g}", f"{high:g}"
    return " " * 9 + left + right.rjust(width - len(left))
