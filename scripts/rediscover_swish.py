"""Where do the functions of the Swish paper stand among candidates drawn at random from its own search space?

For each seed a fresh random sample of ``core_unit`` is trained, with the published functions among it, on mnist1d with
the nets ``deep`` and ``residual`` together, every function normalised to mean 0 and variance 1. Printed and plotted,
with intervals over seeds: the percentile of each published function among all distinct functions trained, and how much
commoner Swish-like functions are in the best 2 % than among all (enrichment).

Reference: Ramachandran, Zoph, Le 2017, "Searching for Activation Functions", arXiv:1710.05941.

    python scripts/rediscover_swish.py --n-seeds 5 --n-candidates 100

Each seed is a study of its own in one journal file, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from matplotlib import rc_context
from matplotlib.figure import Figure
from scipy import optimize, stats

import actsearch
from actsearch.expr.program import evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.report.display import display
from actsearch.report.figures.style import BEST, GREY, RC, REFERENCE
from actsearch.study.panel import PANEL
from actsearch.study.stats import mean_interval

# Table 1 of the paper. Two of the eight need two units; they are trained beside the panel, outside the sample.
PUBLISHED = {
    "x*sigmoid(beta*x)": "x*sigmoid(beta[1.0, channel]*x)",
    "max(x, sigmoid(x))": "max(x, sigmoid(x))",
    "cos(x) - x": "cos(x) - x",
    "min(x, sin(x))": "min(x, sin(x))",
    "max(x, tanh(x))": "max(x, tanh(x))",
    "sinc(x) + x": "sinc(x) + x",
    "silu": "x*sigmoid(x)",
    "relu": "max(x, 0)",
}
TWO_UNITS = {"atan(x)**2 - x": "atan(x)**2 - x", "x*asinh(x)**2": "x*asinh(x)**2", "gelu": "gelu"}
TOP = 0.02
NOT_OF_TABLE_1 = ("silu", "relu", "gelu")
GRID = np.linspace(-4, 4, 401)


@dataclass(frozen=True)
class Seed:
    """What one seed showed: scores of the sample by expression, best first, and of what was trained beside it."""

    ranked: list[tuple[str, float]]
    beside: dict[str, float]

    def percentile(self, text: str) -> float:
        """Return the share of the sample that scored above a function, in percent."""
        score = self.beside.get(text)
        if score is None:
            canonical = actsearch.fingerprint(actsearch.parse(text))
            score = next(s for e, s in self.ranked if actsearch.fingerprint(actsearch.parse(e)) == canonical)
        return 100 * float(np.mean([s > score for _, s in self.ranked]))


def is_swish_like(text: str) -> bool:
    """Return whether ``a*x*sigmoid(b*x) + c`` with 0.5 <= b <= 3 is within 2 % of the function's range on [-4, 4].

    ReLU-like and linear functions are not: the same test with ``a*relu(x) + c`` and ``a*x + c`` excludes them. A
    function seen in a mirror, ``f(-x)``, counts, since signs of weights make both the same.
    """
    values = evaluate(lower(to_expr(text)), GRID)
    spread = np.ptp(values) if np.isfinite(values).all() else 0.0
    if spread == 0.0:
        return False

    def distance(shape: np.ndarray) -> float:
        basis = np.stack([shape, np.ones_like(shape)], axis=1)
        fitted = basis @ np.linalg.lstsq(basis, values, rcond=None)[0]
        return float(np.abs(fitted - values).max() / spread)

    if min(distance(shape) for shape in (GRID, np.maximum(GRID, 0), np.minimum(GRID, 0))) < 0.02:
        return False
    return any(
        optimize.minimize_scalar(
            lambda b, side=side: distance(side * GRID / (1 + np.exp(-b * side * GRID))),
            bounds=(0.5, 3.0),
            method="bounded",
        ).fun
        < 0.02
        for side in (1, -1)
    )


def run_seed(seed: int, args: argparse.Namespace) -> Seed:
    """Train one sample and return its scores."""
    result = actsearch.search(
        "core_unit",
        actsearch.load_task("mnist1d", nets=("deep", "residual"), n_steps=args.n_steps),
        n_trials=args.n_candidates,
        sampler="random",
        storage=args.out / "rediscover_swish.journal",
        name=f"seed-{seed}",
        seed=seed,
        rungs=(1,),
        pruner="none",
        finalists=0,
        n_null_control=0,
        panel=(*PANEL, *(text for text in TWO_UNITS.values() if text not in PANEL)),
        enqueue=list(PUBLISHED.values()),
        callbacks=[display()],
    )
    trials = [
        trial
        for trial in result.study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
        if trial.user_attrs["outcome"] in ("finished", "diverged")
    ]
    panel = result.panel_study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    first = {t.user_attrs["expr"]: float(t.value) for t in panel if t.user_attrs["replicate"] == 0}
    ranked = sorted(((t.user_attrs["expr"], float(t.value)) for t in trials), key=lambda pair: -pair[1])
    return Seed(ranked, {text: first[text] for text in TWO_UNITS.values()})


@dataclass(frozen=True)
class Enrichment:
    """How many Swish-like functions are in the best 2 % (``top_like`` of ``top``) and in all (of ``total``)."""

    top_like: int
    top: int
    like: int
    total: int

    def __str__(self) -> str:
        factor = (self.top_like / self.top) / (self.like / self.total) if self.like else math.nan
        interval = stats.binomtest(self.top_like, self.top).proportion_ci(method="wilson")
        chance = stats.hypergeom(self.total, self.like, self.top).sf(self.top_like - 1) if self.top_like else 1.0
        return (
            f"{self.like} of {self.total} in all and {self.top_like} of {self.top} in the best 2 %: {factor:.1f} times "
            f"chance; share in the best 2 % {self.top_like / self.top:.0%}, 95 % interval [{interval.low:.0%}, "
            f"{interval.high:.0%}], p = {chance:.2g}"
        )


def enrichment(seeds: Sequence[Seed], without: Sequence[str] = ()) -> Enrichment:
    """Return the enrichment summed over seeds, with some functions taken out of the sample first."""
    totals = np.zeros(4, dtype=int)
    left_out = {actsearch.fingerprint(actsearch.parse(text)) for text in without}
    for seed in seeds:
        texts = [text for text, _ in seed.ranked if actsearch.fingerprint(actsearch.parse(text)) not in left_out]
        like = [is_swish_like(text) for text in texts]
        top = math.ceil(TOP * len(like))
        totals += (sum(like[:top]), top, sum(like), len(like))
    return Enrichment(*(int(n) for n in totals))


def report(seeds: Sequence[Seed], args: argparse.Namespace) -> str:
    """Return the results as Markdown."""
    names = {**PUBLISHED, **TWO_UNITS}
    percentiles = {name: [seed.percentile(text) for seed in seeds] for name, text in names.items()}
    rows = []
    for name, values in sorted(percentiles.items(), key=lambda item: np.mean(item[1])):
        interval = mean_interval(values)
        two, five = (f"{sum(value <= best for value in values)} of {len(values)}" for best in (2, 5))
        low, high = max(interval.low, 0), min(interval.high, 100)
        rows.append(f"| `{name}` | {interval.mean:.1f} | [{low:.1f}, {high:.1f}] | {two} | {five} |")
    table_1 = [float(np.mean(values)) for name, values in percentiles.items() if name not in NOT_OF_TABLE_1]
    best = [f"{number}. `{seed.ranked[0][0]}`" for number, seed in enumerate(seeds)]
    sizes = sorted({len(seed.ranked) for seed in seeds})
    n_functions = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return "\n".join(
        [
            "# Rediscovering Swish-like functions",
            "",
            f"`python scripts/rediscover_swish.py --n-seeds {args.n_seeds} --n-candidates {args.n_candidates} "
            f"--n-steps {args.n_steps}`",
            "",
            f"For each of {len(seeds)} seeds: {n_functions} distinct functions of `core_unit` trained, drawn at random "
            "with the published ones among them; mnist1d, nets `deep` and `residual` together, "
            f"{args.n_steps} steps, normalised, one learning rate a net, one fit a cell; judged on validation.",
            "Percentile: the share of the sample that scored above the function (0 is best). Intervals: 95 %, "
            "Student's t over seeds.",
            "",
            "| function | percentile | interval | within the best 2 % | within the best 5 % |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Of the {len(table_1)} functions in the paper's Table 1, {sum(mean <= 5 for mean in table_1)} are within "
            "the best 5 % by their mean percentile.",
            "",
            "Swish-like functions (0.5 <= b <= 3 in a x sigmoid(b x) + c, within 2 % of the range on [-4, 4]; "
            f"ReLU-like and linear ones excluded) are {enrichment(seeds)} (hypergeometric, seeds pooled).",
            "",
            "That sample holds the published functions on purpose. Among the randomly drawn ones alone they are "
            f"{enrichment(seeds, list(PUBLISHED.values()))}.",
            "",
            "`atan(x)**2 - x`, `x*asinh(x)**2` and gelu are not in the one-unit space; they were trained beside the "
            "sample and ranked against it.",
            "",
            "Best of each seed:",
            "",
            *best,
            "",
            "![percentiles](rediscover_swish.png)",
            "",
        ]
    )


def picture(seeds: Sequence[Seed], path: Path) -> None:
    """Draw the percentile of each function, a tick a seed, with the mean and its interval."""
    names = {**PUBLISHED, **TWO_UNITS}
    values = {name: [seed.percentile(text) for seed in seeds] for name, text in names.items()}
    order = sorted(values, key=lambda name: -np.mean(values[name]))
    with rc_context(RC):
        figure = Figure(figsize=(7.5, 0.9 + 0.34 * len(order)), layout="constrained")
        axes = figure.subplots()
        axes.axvspan(0, 5, color=GREY, alpha=0.15, linewidth=0)
        for place, name in enumerate(order):
            colour = BEST if is_swish_like(names[name]) else REFERENCE
            interval = mean_interval(values[name])
            axes.plot(values[name], [place] * len(seeds), "|", color=colour, alpha=0.5)
            if len(seeds) > 1:
                axes.plot([max(interval.low, 0), min(interval.high, 100)], [place, place], color=colour)
            axes.plot(interval.mean, place, "o", color=colour)
        axes.set_yticks(range(len(order)), order)
        axes.set_xlim(-1, 101)
        axes.set_xlabel("percentile among all distinct functions trained (0 is best; grey: the best 5 %)")
        axes.set_title("Published functions in the space that they were found in; orange: Swish-like")
        figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-seeds", type=int, default=5)
    parser.add_argument("--n-candidates", type=int, default=100, help="distinct functions trained a seed")
    parser.add_argument("--n-steps", type=int, default=300, help="length of a fit")
    parser.add_argument("--out", type=Path, default=Path("results/rediscover_swish"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    seeds = []
    for seed in range(args.n_seeds):
        print(f"seed {seed} of {args.n_seeds}", flush=True)
        seeds.append(run_seed(seed, args))
        (args.out / "rediscover_swish.md").write_text(report(seeds, args))
        picture(seeds, args.out / "rediscover_swish.png")
    print(report(seeds, args))


if __name__ == "__main__":
    main()
