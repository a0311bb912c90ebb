"""What a monitor tells of one layer's activation, and what there is to say when it is unwell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["rectifier", "squashing", "open", "unknown"]

#: Slopes below this share of the steepest count as saturated, and below the smaller one as passing no gradient.
FLAT, NO_GRADIENT = 0.05, 1e-3
#: A unit whose slope varies by less than this share of the steepest works as a linear one.
LINEAR = 0.1
# The rule of thumb for rectifiers is 30 to 50 % of active units; far outside of it is worth a word.
_FEW, _MANY = 0.1, 0.9
_DEAD, _SATURATED, _ALL_LINEAR, _OUTSIDE = 0.1, 0.5, 0.9, 0.01
_GRADIENT_RATIO = 1e-4


@dataclass(frozen=True)
class LayerHealth:
    """One activation over the sampled steps of an epoch; shares are from 0 to 1, NaN where they do not apply.

    Attributes:
        name: the activation's name in the model.
        activation: its formula or class.
        kind: "rectifier" when it is flat to one side, "squashing" when to both, "open" when to none, and "unknown" for
            what is no elementwise function.
        n_steps: how many steps were sampled.
        active: share of outputs above zero.
        dead: share of units (channels) that passed no gradient in any sampled step.
        saturated: share of elements where |f'| is below 5 % of the steepest slope of f.
        linear: share of units whose slope hardly varied within a batch, so that they work as linear ones.
        gradient: root mean square of the loss's gradient with respect to the outputs.
        low: smallest input.
        high: largest input.
        outside: share of inputs outside the range that a fitted activation was fitted on.
    """

    name: str
    activation: str
    kind: Kind
    n_steps: int
    active: float
    dead: float
    saturated: float
    linear: float
    gradient: float
    low: float
    high: float
    outside: float


def complaints(rows: Sequence[LayerHealth]) -> dict[tuple[str, str], str]:
    """Return (layer, what is wrong) -> a sentence with a remedy.

    Example:
        >>> nan = float("nan")
        >>> row = LayerHealth("act1", "relu(x)", "rectifier", 9, 0.2, 0.3, 0.8, 0.0, 1e-3, -4.0, 1.0, nan)
        >>> list(complaints([row]))
        [('act1', 'dead')]
    """
    said = {}
    largest = max((row.gradient for row in rows if math.isfinite(row.gradient)), default=math.nan)
    for row in rows:
        for what, sentence in _of(row, largest).items():
            said[row.name, what] = f"{row.name} ({row.activation}): {sentence}"
    return said


def _of(row: LayerHealth, largest_gradient: float) -> dict[str, str]:
    said: dict[str, str] = {}
    if not (math.isfinite(row.low) and math.isfinite(row.high)):
        said["not finite"] = "its inputs are no longer finite; lower the learning rate or clip gradients"
        return said
    if row.dead > _DEAD:
        said["dead"] = (
            f"{row.dead:.0%} of its units passed no gradient in any sampled step of the epoch; lower the learning "
            "rate, or take an activation with a slope below zero, such as leaky_relu or gelu"
        )
    if row.kind == "rectifier" and row.active < _FEW and row.dead <= _DEAD:
        said["inactive"] = (
            f"only {row.active:.0%} of its outputs are above zero, where 30 to 50 % are usual; normalise its input or "
            "lower the learning rate"
        )
    if row.kind == "rectifier" and row.active > _MANY:
        said["always active"] = (
            f"{row.active:.0%} of its outputs are above zero, where 30 to 50 % are usual, so that it hardly bends "
            "anything; normalise its input"
        )
    if row.kind == "squashing" and row.saturated > _SATURATED:
        said["saturated"] = (
            f"{row.saturated:.0%} of its inputs are where it is flat; initialise the model for it "
            "(actsearch.initialise), or normalise its input"
        )
    if row.kind == "squashing" and row.linear > _ALL_LINEAR:
        said["linear"] = (
            f"{row.linear:.0%} of its units stay where it is a straight line, so that it adds no depth; initialise the "
            "model for it (actsearch.initialise), or lower the weight decay"
        )
    if row.gradient < _GRADIENT_RATIO * largest_gradient:
        said["vanishing gradient"] = (
            f"its gradient ({row.gradient:.1e}) is less than {_GRADIENT_RATIO:.0e} of another layer's "
            f"({largest_gradient:.1e}); initialise the model (actsearch.initialise) or add residual connections"
        )
    if math.isinf(row.gradient):
        said["gradient not finite"] = "its gradient is not finite; lower the learning rate or clip gradients"
    if row.outside > _OUTSIDE:
        said["out of range"] = (
            f"{row.outside:.1%} of its inputs (from {row.low:.3g} to {row.high:.3g}) are outside the range that it was "
            "fitted on; fit it on a wider range, or normalise its input"
        )
    return said


def table(rows: Sequence[LayerHealth]) -> str:
    """Return the rows as a table of at most 80 columns."""
    head = f"{'layer':18} {'activation':14} {'active':>6} {'dead':>5} {'flat':>5} {'linear':>6} {'gradient':>8}"
    lines = [f"{head} {'inputs':>11}"]
    for row in rows:
        inputs = f"{_number(row.low)}..{_number(row.high)}"
        lines.append(
            f"{_short(row.name, 18)} {_short(row.activation, 14)} {_share(row.active, 6)} {_share(row.dead, 5)} "
            f"{_share(row.saturated, 5)} {_share(row.linear, 6)} {row.gradient:8.1e} {inputs:>11}"
        )
    return "\n".join(lines)


def _share(value: float, width: int) -> str:
    return f"{'-' if math.isnan(value) else f'{value:.0%}':>{width}}"


def _number(value: float) -> str:
    """Return a number in at most five characters."""
    for shown in (f"{value:.3g}", f"{value:.2g}", f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")):
        if len(shown) <= 5:
            return shown
    return f"{value:.0e}"


def _short(text: str, width: int) -> str:
    return f"{text if len(text) <= width else text[: width - 3] + '...':{width}}"
