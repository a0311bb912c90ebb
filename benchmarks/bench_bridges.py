"""Formulas compiled by actsearch beside the two other ways from a SymPy expression to torch: sympytorch, torch.compile.

Forward and backward of nine functions, in turns within one run, on one thread; ``torch.compile`` is given each as plain
torch operations; and the time from a new expression to
its first forward and backward. Writes ``benchmarks/results/bridges-DATE.md`` and ``.json``.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import sympy
import sympytorch
import torch
from _results import FOLDER, machine, mean, reached, write
from bench_kernels import FUNCTIONS as PLAIN

from actsearch.expr.functions import x
from actsearch.report.contenders import built, torch_compiled
from actsearch.report.timing import Function, inputs, shortest

CPU = torch.device("cpu")
SIZES = (12, 14, 16, 18, 20, 22)
FUNCTIONS: dict[str, sympy.Expr] = {
    "relu": sympy.Max(x, 0),
    "silu": x / (1 + sympy.exp(-x)),
    "gelu": x * (1 + sympy.erf(x / sympy.sqrt(2))) / 2,
    "mish": x * sympy.tanh(sympy.log(1 + sympy.exp(x))),
    "softplus": sympy.log(1 + sympy.exp(x)),
    "elu": sympy.Max(x, 0) + sympy.exp(sympy.Min(x, 0)) - 1,
    "tanh": sympy.tanh(x),
    "sigmoid": 1 / (1 + sympy.exp(-x)),
    "hardswish": x * sympy.Min(sympy.Max(x + 3, 0), 6) / 6,
}


def by_sympytorch(expr: sympy.Expr) -> Function:
    """Return the expression as sympytorch has it, which puts its results behind one another in a last dimension."""
    module = sympytorch.SymPyModule(expressions=[expr])
    return lambda tensor: module(**{x.name: tensor}).squeeze(-1)


def measure(seconds: float) -> list[dict[str, Any]]:
    """Return a row for each function and size, with the times to build beside."""
    rows = []
    for name, expr in FUNCTIONS.items():
        data = inputs(expr, 1000, torch.float32, CPU)
        ours, build = built(expr, "c", data)
        compiled, compile_seconds = torch_compiled(PLAIN[name][2], data)  # a build for each size follows
        bridge = by_sympytorch(expr)
        torch.testing.assert_close(bridge(data.x), ours(data.x), rtol=1e-4, atol=1e-5)
        for exponent in SIZES:
            data = inputs(expr, 2**exponent, torch.float32, CPU)
            times = shortest([data.both(f) for f in (ours, bridge, compiled)], seconds, CPU)
            rows.append(
                {"function": name, "exponent": exponent, "microseconds": times[0] * 1e6,
                 "to_sympytorch": times[0] / times[1], "to_torch_compile": times[0] / times[2],
                 "build": build, "torch_compile_build": compile_seconds}
            )  # fmt: skip
    return rows


def page(rows: list[dict[str, Any]]) -> list[str]:
    """Return the page's lines."""
    large = [row for row in rows if row["exponent"] >= 14]
    bridge, compiled = (mean([row[key] for row in large]) for key in ("to_sympytorch", "to_torch_compile"))
    builds = {row["function"]: (row["build"], row["torch_compile_build"]) for row in rows}
    n = len(builds)
    ours, theirs = (statistics.median(pair[i] for pair in builds.values()) for i in (0, 1))
    lines = [
        "| what | measured | target | reached |",
        "|---|---|---|---|",
        f"| fwd+bwd / sympytorch, 2^14..2^22 | {bridge:.3f} | <= 0.15 | {reached(bridge, 0.15)} |",
        f"| fwd+bwd / torch.compile, 2^14..2^22 | {compiled:.2f} | reported | - |",
        f"| new expression to first fwd+bwd, median of {n} | {ours:.3f} s | <= 0.2 s | {reached(ours, 0.2)} |",
        f"| the same by torch.compile | {theirs:.2f} s | reported | - |",
        "",
    ]
    for key, other in (("to_sympytorch", "sympytorch"), ("to_torch_compile", "torch.compile")):
        sizes = " | ".join(f"2^{exponent}" for exponent in SIZES)
        lines += [f"## Each function / {other}, fwd+bwd", "", f"| function | {sizes} |", f"|---|{'---|' * len(SIZES)}"]
        for name in FUNCTIONS:
            cells = " | ".join(f"{row[key]:.3f}" for row in rows if row["function"] == name)
            lines.append(f"| {name} | {cells} |")
        lines.append("")
    return lines[:-1]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.5, help="for each function and size")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    results: dict[str, Any] = {"machine": machine("actsearch", "torch", "sympy", "sympytorch")}
    results["rows"] = measure(arguments.seconds)
    how = "Made by `benchmarks/bench_bridges.py`: the smallest of many times, taken in turns; float32, one thread."
    write("bridges", "From SymPy to torch", how, results, page(results["rows"]), arguments.folder)


if __name__ == "__main__":
    main()
