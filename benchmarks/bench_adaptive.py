"""What adaptive activations cost beside ``F.gelu``: forward and backward, parameters included, one thread.

Every family by one set of parameters for the layer, and by one set a channel in three layouts; where it has a choice,
at its default settings. Ratios of smallest times, taken in turns within one run. Writes
``benchmarks/results/adaptive-DATE.md`` and ``.json``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from _results import FOLDER, machine, write
from torch import nn

import actsearch
from actsearch.compiler import c_op
from actsearch.report.timing import shortest

CPU = torch.device("cpu")
FAMILIES = (
    "swish_beta", "prelu", "snake", "acon_c", "apl", "apl(n_hinges=5)", "mixture", "mixture(combination=affine)",
    "rational", "rational(version=B)", "rational(version=C)", "rational(version=D)", "rational(degrees=(7, 6))",
    "pwlu", "b_spline", "hermite", "fourier",
)  # fmt: skip
WITH_CONTEXT = ("dynamic_relu(variant=A)", "dynamic_relu", "dynamic_relu(variant=C)", "meta_acon")
CHANNELS = 64
LAYOUTS: dict[str, Callable[[int], torch.Tensor]] = {
    "(N, C, H, W)": lambda n: _image(n),
    "channels last": lambda n: _image(n).to(memory_format=torch.channels_last),
    "(N, C)": lambda n: torch.randn(n // CHANNELS, CHANNELS),
}


def _image(n: int) -> torch.Tensor:
    return torch.randn(n // (CHANNELS * 256), CHANNELS, 16, 16)


def step(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Callable[[], Any]:
    """Return a forward and a backward, to the input and to every parameter."""
    gradient = torch.randn_like(x)
    leaves = [x, *(function.parameters() if isinstance(function, nn.Module) else ())]
    return lambda: torch.autograd.grad(function(x), leaves, gradient)


def module(text: str, backend: str = "auto", **settings: str) -> nn.Module:
    """Return a family's module for 64 channels, with ``settings`` beside those in the text."""
    name, _, own = text.partition("(")
    inside = ", ".join([*([own[:-1]] if own else []), *(f"{key}={value}" for key, value in settings.items())])
    return actsearch.make(f"{name}({inside})" if inside else name, n_channels=CHANNELS, backend=backend)


def measure(elements: int, seconds: float) -> list[dict[str, Any]]:
    """Return a row for each family: times as multiples of ``F.gelu``'s on the same input."""
    rows = []
    for text in (*FAMILIES, *WITH_CONTEXT):
        row: dict[str, Any] = {"family": text}
        for layout, make_input in LAYOUTS.items():
            x = make_input(elements).requires_grad_()
            kinds: dict[str, nn.Module] = {}
            if text in WITH_CONTEXT:
                kinds[layout] = module(text)
            else:
                kinds[layout] = module(text, granularity="channel")
                if layout == "(N, C, H, W)":
                    kinds["layer"] = module(text, granularity="layer")
                    kinds["layer, torch operations"] = module(text, "reference", granularity="layer")
            functions = [F.gelu, *kinds.values()]
            gelu, *times = shortest([step(f, x) for f in functions], seconds * len(functions), CPU)
            row |= {kind: time / gelu for kind, time in zip(kinds, times, strict=True)}
        rows.append(row)
    return rows


def page(rows: list[dict[str, Any]]) -> list[str]:
    """Return the page's lines."""
    kinds = ("layer", *LAYOUTS, "layer, torch operations")
    heads = ["one set", *(f"a set a channel, {layout}" for layout in LAYOUTS), "one set, torch operations"]
    lines = [f"| family | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for row in rows:
        cells = (f"{row[kind]:.2f}" if kind in row else "-" for kind in kinds)
        lines.append(f"| `{row['family']}` | {' | '.join(cells)} |")
    return [
        *lines,
        "",
        "Dynamic ReLU and Meta-ACON compute their parameters for every example and channel from the whole input.",
    ]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each family, layout and granularity")
    parser.add_argument("--exponent", type=int, default=19, help="of the number of elements, a power of two; >= 14")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    c_op.load()
    results: dict[str, Any] = {
        "machine": machine("actsearch", "torch"),
        "settings": {"seconds": arguments.seconds, "elements": 2**arguments.exponent, "channels": CHANNELS},
    }
    results["rows"] = measure(2**arguments.exponent, arguments.seconds)
    how = (
        f"Made by `benchmarks/bench_adaptive.py`: forward and backward, float32, 2^{arguments.exponent} elements, "
        f"{CHANNELS} channels, one thread; time / `F.gelu`'s on the same input, smallest of many, taken in turns."
    )
    write("adaptive", "Adaptive activations beside gelu", how, results, page(results["rows"]), arguments.folder)


if __name__ == "__main__":
    main()
