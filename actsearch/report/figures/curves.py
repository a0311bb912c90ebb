"""The best function and the panel with their first two derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actsearch.expr.program import derivative, evaluate, lower
from actsearch.nn.make import expression_at_start
from actsearch.report.figures.style import BEST, GREY, REFERENCE, label_ends, limits, shorten

X = np.linspace(-5.0, 5.0, 1001)
TITLES = ("function f(x)", "first derivative f'(x)", "second derivative f''(x)")
Function = Callable[[np.ndarray], np.ndarray]


def curves(best: str, panel: Sequence[str] = (), reference: str | None = None, label: str = "best") -> Figure:
    """Return a figure of three axes: f, f' and f'' of the best (thick), the reference and the panel (grey).

    Args:
        best: the best function's text.
        panel: texts or names of the baselines.
        reference: the member of the panel that gets a colour of its own.
        label: what the best's lines are called.
    """
    figure = Figure(figsize=(11.5, 4.0), layout="constrained")
    figure.suptitle(f"{shorten(best, 100)}", x=0.01, ha="left", color=BEST, fontweight="bold", fontsize=11)
    others = [name for name in panel if name != best]
    for order, (axes, heading) in enumerate(zip(figure.subplots(1, 3), TITLES, strict=True)):
        _one(axes, order, best, others, reference, label)
        axes.set_title(heading)
        axes.set_xlabel("x")
    return figure


def _one(axes: Axes, order: int, best: str, others: Sequence[str], reference: str | None, label: str) -> None:
    lines = {name: values(name, order) for name in [*others, best]}
    axes.set_xlim(X[0], X[-1])
    shown = [*limits([lines[name] for name in others], -2.0, 5.0), *limits([lines[best]], -8.0, 8.0)]
    axes.set_ylim(min(shown), max(shown))
    ends = []
    for name, y in lines.items():
        colour, width, layer = _look(name, best, reference)
        axes.plot(X, y, color=colour, linewidth=width, zorder=layer)
        finite = y[np.isfinite(y)]
        if order and colour == GREY:
            continue  # derivatives end together: labels of all would only cover each other
        ends.append((float(finite[-1]) if finite.size else 0.0, label if name == best else shorten(name, 14), colour))
    label_ends(axes, ends)


def _look(name: str, best: str, reference: str | None) -> tuple[str, float, int]:
    if name == best:
        return BEST, 2.4, 4
    return (REFERENCE, 1.6, 3) if name == reference else (GREY, 0.8, 2)


def values(spec: str, order: int = 0) -> np.ndarray:
    """Return f, f' or f'' of a function on ``X``, its parameters at their start values; jumps are not joined."""
    program = lower(expression_at_start(spec))
    starts = tuple(parameter.start for parameter in program.parameters)
    if order:
        program = derivative(program, (order, *[0] * len(program.parameters)))
    result = np.array(evaluate(program, X, starts), dtype=np.float64)
    step = np.abs(np.diff(result, prepend=result[0]))
    result[step > 0.25 * max(1.0, float(np.nanmax(np.abs(np.where(np.isfinite(result), result, 0.0)))))] = np.nan
    return result
