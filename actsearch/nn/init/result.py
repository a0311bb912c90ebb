"""What an initialisation did, as data and as a table."""

from __future__ import annotations

from dataclasses import dataclass

_NAME_WIDTH, _AFTER_WIDTH = 30, 22


@dataclass(frozen=True)
class Initialised:
    """What was set for one weight layer.

    Attributes:
        name: the layer's name in the model.
        after: the activation that its input came from; "" for data, weights or a normalisation layer.
        fan_in: number of inputs of one output.
        gain: standard deviation of the new weights times sqrt(fan_in).
        deviation: standard deviation of the new weights.
    """

    name: str
    after: str
    fan_in: int
    gain: float
    deviation: float


@dataclass(frozen=True, repr=False)
class Initialisation:
    """What :func:`~actsearch.nn.init.initialise` did; prints, and shows in a notebook, as a table of 80 columns.

    Attributes:
        layers: the layers that were set.
        left: names of the layers that were left as they were.
        method: how.
    """

    layers: tuple[Initialised, ...]
    left: tuple[str, ...] = ()
    method: str = "he"

    def __str__(self) -> str:
        head = f"{'layer':{_NAME_WIDTH}} {'after':{_AFTER_WIDTH}} {'fan_in':>7} {'gain':>7} {'std':>8}"
        rows = [
            f"{_short(row.name, _NAME_WIDTH)} {_short(row.after or '-', _AFTER_WIDTH)} {row.fan_in:7d} {row.gain:7.4f} "
            f"{row.deviation:8.5f}"
            for row in self.layers
        ]
        return "\n".join([head, *rows, *(f"{_short(name, _NAME_WIDTH)} left as it was" for name in self.left)])

    __repr__ = __str__


def _short(text: str, width: int) -> str:
    return f"{text if len(text) <= width else text[: width - 3] + '...':{width}}"
