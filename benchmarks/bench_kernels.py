"""How fast kernels compiled from formulas are, as ratios within one run: ``make bench``.

Every ratio compares the smallest of several times, taken in turns, so that what else the machine does hits all alike.
Writes ``benchmarks/results/kernels-DATE.md`` and ``.json``, with the machine, the versions and the date.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from _results import FOLDER, machine, mean, write

from actsearch.compiler import c_op, compile
from actsearch.compiler.build import c_compiler
from actsearch.compiler.c_prefetch import BATCH, prefetch
from actsearch.expr import catalog
from actsearch.space import load_space

Function = Callable[[torch.Tensor], torch.Tensor]
SIZES = (12, 14, 16, 18, 20, 22)
ROOT_HALF = 0.5**0.5

#: Formula, torch's own, and the formula in torch operations under autograd.
FUNCTIONS: dict[str, tuple[str, Function, Function]] = {
    "relu": ("max(x, 0)", F.relu, lambda x: torch.clamp(x, min=0)),
    "silu": ("x * sigmoid(x)", F.silu, lambda x: x * torch.sigmoid(x)),
    "gelu": ("x * (1 + erf(x / 2**0.5)) / 2", F.gelu, lambda x: 0.5 * x * (1 + torch.erf(x * ROOT_HALF))),
    "mish": ("x * tanh(softplus(x))", F.mish, lambda x: x * torch.tanh(torch.log1p(torch.exp(x)))),
    "softplus": ("log(1 + exp(x))", F.softplus, lambda x: torch.log1p(torch.exp(x))),
    "elu": ("x if x > 0 else exp(x) - 1", F.elu, lambda x: torch.where(x > 0, x, torch.expm1(torch.clamp(x, max=0)))),
    "tanh": ("tanh(x)", torch.tanh, lambda x: 1 - 2 / (torch.exp(2 * x) + 1)),
    "sigmoid": ("1 / (1 + exp(-x))", torch.sigmoid, lambda x: 1 / (1 + torch.exp(-x))),
    "hardswish": ("x * min(max(x + 3, 0), 6) / 6", F.hardswish, lambda x: x * torch.clamp(x + 3, 0, 6) / 6),
}


def shortest(functions: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Return the smallest time of a call of each, the functions taking turns for about ``seconds``."""
    best = [float("inf")] * len(functions)
    for function in functions:
        function()
    end, rounds = time.perf_counter() + seconds, 0
    while rounds < 7 or (time.perf_counter() < end and rounds < 2000):
        rounds += 1
        for i, function in enumerate(functions):
            start = time.perf_counter()
            function()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def step(function: Callable[..., torch.Tensor], x: torch.Tensor, g: torch.Tensor, *rest: Any) -> Callable[[], object]:
    """Return a forward and a backward pass."""
    return lambda: function(x, *rest).backward(g)


def data(exponent: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return an input and a gradient of ``2**exponent`` numbers; the input's own gradient is there to be added to."""
    x = torch.randn(2**exponent, requires_grad=True)
    x.grad = torch.zeros_like(x)
    return x, torch.randn(2**exponent)


def speed(seconds: float) -> list[dict[str, Any]]:
    """Return a row for each function, number of threads and size: ratios to torch's own and to eager autograd."""
    rows = []
    for name, (text, native, eager) in FUNCTIONS.items():
        ours = compile(text, "c")
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for exponent in SIZES:
                x, g = data(exponent)
                times = shortest([step(f, x, g) for f in (ours, native, eager)], seconds)
                rows.append(
                    {"function": name, "threads": threads, "exponent": exponent, "microseconds": times[0] * 1e6,
                     "to_native": times[0] / times[1], "to_eager": times[0] / times[2]}
                )  # fmt: skip
    return rows


def rational(seconds: float) -> list[dict[str, Any]]:
    """Return a row for each size: PAU (5, 4) with one set of ten parameters, to F.gelu."""
    ours, rows = compile(catalog.get("pau").expr, "c"), []
    parameters = [torch.tensor(float(p.start), requires_grad=True) for p in ours.parameters]
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for exponent in SIZES:
            x, g = data(exponent)
            times = shortest([step(ours, x, g, *parameters), step(F.gelu, x, g)], seconds)
            rows.append({"threads": threads, "exponent": exponent, "to_gelu": times[0] / times[1]})
    return rows


def first_kernel(n: int) -> dict[str, float]:
    """Return the median seconds from a new expression to its first forward and backward, singly and in batches."""
    space = load_space("core_unit")
    specs = list(dict.fromkeys(space.sample(seed) for seed in range(6 * n)))
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        before, os.environ["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME"), folder
        single = []
        run(specs[-1])  # what is made once in a process
        for spec in specs[:n]:
            start = time.perf_counter()
            run(spec)
            single.append(time.perf_counter() - start)
        batched = []
        for at in range(n, 2 * n - BATCH + 1, BATCH):
            start = time.perf_counter()
            prefetch(specs[at : at + BATCH], wait=True)
            for spec in specs[at : at + BATCH]:
                run(spec)
            batched.append((time.perf_counter() - start) / BATCH)
        os.environ.pop("XDG_CACHE_HOME")
        if before is not None:
            os.environ["XDG_CACHE_HOME"] = before
    return {"single": statistics.median(single), "batched": statistics.median(batched), "n": n}


def run(spec: Any) -> None:
    """Compile, and go forward and backward once, parameters included."""
    f = compile(spec, "c")
    x = torch.randn(50, 20, requires_grad=True)
    shapes = [(20,) if p.granularity == "channel" else () for p in f.parameters]
    parameters = [
        torch.full(shape, float(p.start), requires_grad=True) for p, shape in zip(f.parameters, shapes, strict=True)
    ]
    f(x, *parameters).sum().backward()


def saved() -> int:
    """Return how many tensors of the input's size silu saves besides the input."""
    found: list[torch.Tensor] = []
    x = torch.randn(100, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (found.append(t), t)[1], lambda t: t):
        compile("x * sigmoid(x)", "c")(x)
    return sum(t.data_ptr() != x.data_ptr() for t in found)


def page(results: dict[str, Any]) -> list[str]:
    """Return the page's lines."""
    rows = results["speed"]
    large = [row for row in rows if row["exponent"] >= 14]
    means = {name: mean([r["to_native"] for r in large if r["function"] == name]) for name in FUNCTIONS}
    over = [f"{name} {value:.2f}" for name, value in means.items() if value > 1.3]
    pau = mean([row["to_gelu"] for row in results["rational"] if row["exponent"] >= 14])
    first = results["first_kernel"]
    eager = mean([row["to_eager"] for row in large])
    small = mean([row["to_native"] for row in rows if row["exponent"] == 12])
    figures = [
        ("fwd+bwd / torch's own, 2^14..2^22, 1 and 2 threads", f"{mean(list(means.values())):.2f}", "<= 1.0",
         mean(list(means.values())) <= 1.0),
        ("the same, worst function", f"{max(means.values()):.2f}", "<= 1.3", not over),
        ("the same, 2^12 elements", f"{small:.2f}", "reported", None),
        ("fwd+bwd / eager with autograd", f"{eager:.2f}", "<= 0.4", eager <= 0.4),
        (f"new expression to first kernel, median of {first['n']}", f"{first['single']:.3f} s", "<= 0.2 s",
         first["single"] <= 0.2),
        (f"the same, a candidate in batches of {BATCH}", f"{first['batched']:.3f} s", "<= 0.05 s",
         first["batched"] <= 0.05),
        ("tensors of the input's size saved besides it", str(results["saved"]), "0", results["saved"] == 0),
        ("PAU (5,4), fwd+bwd / F.gelu", f"{pau:.2f}", "<= 1.5", pau <= 1.5),
    ]  # fmt: skip
    word = {True: "yes", False: "**no**", None: "-"}
    lines = [
        "| what | measured | target | reached |",
        "|---|---|---|---|",
        *(f"| {what} | {value} | {target} | {word[reached]} |" for what, value, target, reached in figures),
        "",
        f"Above 1.3 times torch's own: {', '.join(over) or 'none'}.",
        "",
        "## Each function / torch's own, fwd+bwd",
        "",
        f"| function | threads | {' | '.join(f'2^{e}' for e in SIZES)} | mean from 2^14 | / eager |",
        f"|---|---|{'---|' * (len(SIZES) + 2)}",
    ]
    for name in FUNCTIONS:
        for threads in (1, 2):
            row = [r for r in rows if r["function"] == name and r["threads"] == threads]
            cells = " | ".join(f"{r['to_native']:.2f}" for r in row)
            tail = [r for r in row if r["exponent"] >= 14]
            both = [mean([r[key] for r in tail]) for key in ("to_native", "to_eager")]
            lines.append(f"| {name} | {threads} | {cells} | {both[0]:.2f} | {both[1]:.2f} |")
    for threads in (1, 2):
        row = [r for r in results["rational"] if r["threads"] == threads]
        cells = " | ".join(f"{r['to_gelu']:.2f}" for r in row)
        lines.append(
            f"| PAU / gelu | {threads} | {cells} | {mean([r['to_gelu'] for r in row if r['exponent'] >= 14]):.2f} | |"
        )
    return lines


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.4, help="for each cell of the table")
    parser.add_argument("--candidates", type=int, default=200, help="new expressions to be compiled")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if c_op.load() is None:
        raise SystemExit("the op could not be built (it needs a C++ compiler)")
    compiler = c_compiler()
    assert compiler is not None, "needs a C compiler"
    results: dict[str, Any] = {
        "machine": machine("torch") | {"compiler": compiler.identity.splitlines()[0]},
        "speed": speed(arguments.seconds),
        "rational": rational(arguments.seconds),
        "first_kernel": first_kernel(arguments.candidates),
        "saved": saved(),
    }
    how = "Made by `make bench`. Ratios within one run, each of the smallest times, taken in turns; float32."
    write("kernels", "Kernels", how, results, page(results), arguments.folder)


if __name__ == "__main__":
    main()
