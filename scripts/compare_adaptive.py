"""Do learnable activations pay, beside wider nets and longer training of relu?

Each activation is fitted on mnist1d (nets ``mlp``, ``residual``, ``conv``) and digits (``conv``): its learning rate is
tuned on validation over the same grid as everyone's, then every function gets the same fresh seeds and fresh data, and
the test split is opened once. Learnable activations add weights and time, so each is compared with relu three times:
with relu in the same net, with the narrowest wider net of relu that has at least as many weights (mnist1d), and with
the shortest longer training of relu that takes at least as long. What a step takes is measured apart, in turns with
relu and as processor time: fits of a comparison run side by side, at times with other work on the machine.

    python scripts/compare_adaptive.py --n-replicates 8

Everything is kept in one journal file, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import actsearch
from actsearch.report.display import display
from actsearch.report.figures.style import BEST, GREY, RC, REFERENCE
from actsearch.study import stats
from actsearch.study.storage import open_storage
from actsearch.tasks.fit import FitJob
from actsearch.tasks.fit import fit as train
from actsearch.tasks.task import Task

FIXED = {"relu": "relu", "gelu": "gelu", "silu": "silu", "mish": "mish"}
LEARNED = {
    "PReLU, per channel": "prelu(granularity=channel)",
    "Swish, learned beta": "swish_beta(granularity=channel)",
    "ACON-C": "acon_c(granularity=channel)",
    "Meta-ACON": "meta_acon()",
    "PAU, start leaky_relu": "rational(start=leaky_relu)",
    "PAU, start identity": "rational(start=identity)",
    "Dynamic ReLU A": "dynamic_relu(variant=A)",
    "Dynamic ReLU B": "dynamic_relu(variant=B)",
    "Dynamic ReLU C": "dynamic_relu(variant=C)",
    "mixture, convex": "mixture(combination=convex)",
    "mixture, affine": "mixture(combination=affine)",
    "APL": "apl(granularity=channel)",
    "PWLU": "pwlu()",
    "B-spline": "b_spline()",
    "Snake": "snake(granularity=channel)",
    "Hermite": "hermite()",
    "Fourier": "fourier()",
}
# what activations learn has a tenth of the weights' learning rate
OWN_RATE = {
    "PAU, start leaky_relu, own rate": "rational(start=leaky_relu)",
    "PAU, start identity, own rate": "rational(start=identity)",
}
CELLS = (("mnist1d", "mlp"), ("mnist1d", "residual"), ("mnist1d", "conv"), ("digits", "conv"))
WIDTHS = (1.25, 1.6, 2.5)  # of hidden layers, times their own
LENGTHS = (1.5, 3.0, 6.0)  # of the training, times its own
ACTIVATION_RATE = 0.1
TIMED_STEPS = (20, 100)  # a step's time is the difference between such fits, without their start
TIMED_ROUNDS = 3
REFERENCE_NAME = "relu"


@dataclass(frozen=True)
class Fitted:
    """What became of one activation in one cell: test metric by replicate, weights of the net, tuned factor."""

    name: str
    tests: tuple[float, ...]
    n_parameters: int
    factor: float
    n_diverged: int


def fit(
    names: Mapping[str, str],
    task: str,
    net: str,
    args: argparse.Namespace,
    *,
    width: float = 1.0,
    length: float = 1.0,
    rate: float = 1.0,
) -> dict[str, Fitted]:
    """Tune and fit activations in one cell; relu is always among them."""
    cell = load(task, net, args, width=width, length=length, rate=rate)
    name = f"{task}-{net}-width{width:g}-length{length:g}-rate{rate:g}"
    storage = args.out / "compare_adaptive.journal"
    comparison = actsearch.compare(
        list(names.values()),
        cell,
        args.n_replicates,
        panel=(),
        reference=FIXED[REFERENCE_NAME],
        normalise=False,
        n_tuning_replicates=2,
        storage=storage,
        name=name,
        callbacks=[display()],
    )
    study = optuna.load_study(study_name=f"{name}/finals", storage=open_storage(storage, read_only=True))
    final = [t.user_attrs for t in study.get_trials() if t.user_attrs.get("stage") == "final"]
    fitted = {}
    for shown, spec in names.items():
        row, own = comparison.row(spec), [attributes for attributes in final if attributes["expr"] == spec]
        fitted[shown] = Fitted(
            name=shown,
            tests=row.per_replicate,
            n_parameters=max(attributes["n_parameters"] for attributes in own),
            factor=row.learning_rate_factor,
            n_diverged=row.n_diverged,
        )
    return fitted


def load(
    task: str, net: str, args: argparse.Namespace, *, width: float = 1.0, length: float = 1.0, rate: float = 1.0
) -> Task:
    """Return the task of one cell."""
    n_steps = {"mnist1d": args.n_steps, "digits": args.n_steps // 2}[task]
    settings = {key: value for key, value in (("width", width), ("activation_rate", rate)) if value != 1}
    return actsearch.load_task(task, nets=(net,), n_steps=round(n_steps * length), **settings)


def times_of_a_step(cases: Mapping[str, tuple[Task, str]], net: str) -> dict[str, float]:
    """Return the processor time of a training step of each (task, activation), over that of relu's."""
    best: dict[tuple[str, int], float] = {}
    for _ in range(TIMED_ROUNDS):
        for name, (task, spec) in cases.items():
            for n_steps in TIMED_STEPS:
                began = time.process_time()
                train(FitJob(task, net, spec, False, 0, 0, 1.0, (n_steps,), n_steps))
                best[name, n_steps] = min(time.process_time() - began, best.get((name, n_steps), math.inf))
    few, many = TIMED_STEPS
    seconds = {name: best[name, many] - best[name, few] for name in cases}
    return {name: taken / seconds[REFERENCE_NAME] for name, taken in seconds.items()}


@dataclass(frozen=True)
class Cell:
    """All fits of one task and net: of the activations, and of relu in wider nets and in longer trainings.

    ``times`` are those of a training of an activation, or of a wider net (by its width, as text), over relu's.
    """

    task: str
    net: str
    fitted: Mapping[str, Fitted]
    wider: Mapping[float, Fitted]
    longer: Mapping[float, Fitted]
    times: Mapping[str, float]

    @property
    def relu(self) -> Fitted:
        """The reference."""
        return self.fitted[REFERENCE_NAME]

    def of_equal_size(self, name: str) -> tuple[float, Fitted] | None:
        """Return relu in the narrowest net that has at least as many weights, with its width; None: none has."""
        return next(((w, f) for w, f in self.wider.items() if f.n_parameters >= self.fitted[name].n_parameters), None)

    def of_equal_time(self, name: str) -> tuple[float, Fitted] | None:
        """Return relu's shortest training that takes at least as long, up to a tenth, with its length; None: none."""
        return next(((n, f) for n, f in self.longer.items() if 1.1 * n >= self.times[name]), None)


def run_cell(task: str, net: str, args: argparse.Namespace) -> Cell:
    """Fit everything in one cell."""
    relu = {REFERENCE_NAME: FIXED[REFERENCE_NAME]}
    # compare needs two functions; gelu comes along for free
    controls = {**relu, "gelu": FIXED["gelu"]}
    fitted = fit({**FIXED, **LEARNED}, task, net, args)
    fitted |= {name: f for name, f in fit({**relu, **OWN_RATE}, task, net, args, rate=ACTIVATION_RATE).items()
               if name in OWN_RATE}  # fmt: skip
    widths = WIDTHS if task == "mnist1d" else ()
    wider = {width: fit(controls, task, net, args, width=width)[REFERENCE_NAME] for width in widths}
    longer = {length: fit(controls, task, net, args, length=length)[REFERENCE_NAME] for length in LENGTHS}
    base = fitted[REFERENCE_NAME]
    cases = {name: (load(task, net, args), spec) for name, spec in {**FIXED, **LEARNED, **OWN_RATE}.items()}
    cases |= {str(width): (load(task, net, args, width=width), FIXED[REFERENCE_NAME]) for width in widths}
    return Cell(task, net, fitted, {1.0: base, **wider}, {1.0: base, **longer}, times_of_a_step(cases, net))


def difference(fitted: Fitted, other: Fitted | None) -> stats.Difference | None:
    """Return the paired difference of the test metric."""
    return None if other is None else stats.paired_difference(fitted.tests, other.tests)


def table(cell: Cell) -> list[str]:
    """Return a cell's rows as Markdown, the best mean first."""
    rows = [
        f"### {cell.task}, {cell.net}",
        "",
        summary(cell),
        "",
        "| activation | test accuracy | - relu, same net | p (Holm) | - relu, as many weights "
        "| - relu, as long | weights | time / relu | lr factor |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    order = sorted(cell.fitted.values(), key=lambda fitted: -statistics.fmean(fitted.tests))
    to_relu = {f.name: difference(f, cell.relu) for f in order if f is not cell.relu}
    adjusted = dict(zip(to_relu, stats.holm([d.p_value for d in to_relu.values() if d]), strict=True))
    for fitted in order:
        own, adjusted_p = to_relu.get(fitted.name), adjusted.get(fitted.name)
        size, longer = cell.of_equal_size(fitted.name), cell.of_equal_time(fitted.name)
        diverged = f" ({fitted.n_diverged} diverged)" if fitted.n_diverged else ""
        rows.append(
            f"| {fitted.name}{diverged} | {statistics.fmean(fitted.tests):.4f} | {_told(own)} | "
            f"{'' if adjusted_p is None else f'{adjusted_p:.2g}'} | {_control(fitted, size)} | "
            f"{_control(fitted, longer)} | {_cost(fitted, cell.times[fitted.name])} |"
        )
    for kind, fits in (("width", cell.wider), ("length", cell.longer)):
        for factor, fitted in fits.items():
            if factor != 1:
                taken = cell.times[str(factor)] if kind == "width" else factor
                rows.append(
                    f"| *relu, {kind} x {factor:g}* | {statistics.fmean(fitted.tests):.4f} | "
                    f"{_told(difference(fitted, cell.relu))} | | | | {_cost(fitted, taken)} |"
                )
    return [*rows, ""]


def summary(cell: Cell) -> str:
    """Return in a sentence how many activations are better than relu, by interval, and than its controls."""
    others = [fitted for fitted in cell.fitted.values() if fitted is not cell.relu]

    def better(controls: Mapping[str, tuple[float, Fitted] | None]) -> str:
        dear = [fitted for fitted in others if (found := controls[fitted.name]) is None or found[0] != 1]
        won = [fitted for fitted in dear if (found := controls[fitted.name]) and _is_better(fitted, found[1])]
        return f"{len(won)} of the {len(dear)}"

    size = better({fitted.name: cell.of_equal_size(fitted.name) for fitted in others})
    longer = better({fitted.name: cell.of_equal_time(fitted.name) for fitted in others})
    fixed = max((f for name, f in cell.fitted.items() if name in FIXED), key=lambda f: statistics.fmean(f.tests))
    learned = [fitted for fitted in others if fitted.name not in FIXED]
    return (
        f"Better than relu in the same net, the interval above 0: {sum(_is_better(f, cell.relu) for f in others)} of "
        f"{len(others)}; than relu with as many weights: {size} that add some; than relu trained as long: {longer} "
        f"that take longer. Learnable ones better than {fixed.name}, the best of the fixed: "
        f"{sum(_is_better(f, fixed) for f in learned)} of {len(learned)}."
    )


def _is_better(fitted: Fitted, other: Fitted) -> bool:
    found = difference(fitted, other)
    return found is not None and found.low > 0


def _told(d: stats.Difference | None) -> str:
    return "" if d is None else f"{d.mean:+.4f} [{d.low:+.4f}, {d.high:+.4f}]"


def _cost(fitted: Fitted, taken: float) -> str:
    return f"{fitted.n_parameters} | {taken:.2f} | {fitted.factor:g}"


def _control(fitted: Fitted, control: tuple[float, Fitted] | None) -> str:
    """Return the difference to a control, empty where that is the same relu as in the column before."""
    if control is None:
        return "none tried"
    factor, other = control
    return "" if factor == 1 else f"{_told(difference(fitted, other))} (x {factor:g})"


def report(cells: Sequence[Cell], args: argparse.Namespace) -> str:
    """Return the results as Markdown."""
    n_learned = len(LEARNED) + len(OWN_RATE)
    n = len(FIXED) + n_learned
    return "\n".join(
        [
            "# Learnable activations beside wider nets and longer training",
            "",
            f"`python scripts/compare_adaptive.py --n-replicates {args.n_replicates} --n-steps {args.n_steps}`",
            "",
            f"{n} activations ({n_learned} learnable) in {len(cells)} cells; {args.n_steps} steps on mnist1d, "
            f"{args.n_steps // 2} on digits; Adam, learning rate tuned for each over {{0.3, 1, 3}} times the net's "
            f"on validation (2 fits each); then {args.n_replicates} fits with fresh seeds and fresh data, the same for "
            "all, and the test split once. Weights start by He's rule with each activation's own gain. One learning "
            f'rate for weights and activations, but {ACTIVATION_RATE:g} times it for what says "own rate".',
            "",
            "Differences are paired over replicates, with 95 % intervals (Student's t); p of the difference to relu in "
            f"the same net, Holm over the {n - 1} activations of a cell. The controls, in italics, are relu in wider "
            "nets and in longer trainings; a column compares with the smallest one that has at least as many weights, "
            "or takes at least as long (up to a tenth). An empty field: that is relu in the same net. Times are "
            "processor times of a training step, measured in turns with relu's, the least of "
            f"{TIMED_ROUNDS}; a longer training of relu takes as many times longer as it has steps.",
            "",
            *(line for cell in cells for line in table(cell)),
            "![differences](compare_adaptive.png)",
            "",
        ]
    )


def picture(cells: Sequence[Cell], path: Path) -> None:
    """Draw each activation's difference to relu in each cell, with its interval."""
    with rc_context(RC):
        n_rows = len(cells[0].fitted) - 1
        figure = Figure(figsize=(3.2 + 2.1 * len(cells), 1.2 + 0.27 * n_rows), layout="constrained")
        every = figure.subplots(1, len(cells), sharey=True, squeeze=False)[0]
        names = [name for name in cells[0].fitted if name != REFERENCE_NAME]
        means = {
            name: statistics.fmean(
                statistics.fmean(c.fitted[name].tests) - statistics.fmean(c.relu.tests) for c in cells
            )
            for name in names
        }
        names.sort(key=means.__getitem__)
        for cell, axes in zip(cells, every, strict=True):
            _panel(cell, names, axes)
        figure.suptitle("Test accuracy minus relu's, same net, same steps; orange: learnable", x=0.01, ha="left")
        figure.savefig(path, dpi=130)


def _panel(cell: Cell, names: Sequence[str], axes: Axes) -> None:
    axes.axvline(0, color=GREY)
    worst = min(statistics.fmean(cell.fitted[name].tests) for name in names) - statistics.fmean(cell.relu.tests)
    left = max(worst - 0.03, -0.2)
    for place, name in enumerate(names):
        d = difference(cell.fitted[name], cell.relu)
        assert d is not None
        colour = REFERENCE if name in FIXED else BEST
        if d.mean < left:
            axes.plot(left, place, "<", color=colour, clip_on=False)
            axes.text(left, place, f"   {d.mean:+.2f}", va="center", color=colour, fontsize="small")
            continue
        axes.plot([d.low, d.high], [place, place], color=colour)
        axes.plot(d.mean, place, "o", color=colour, markersize=4)
    axes.set_xlim(left, None)
    axes.set_yticks(range(len(names)), names)
    axes.set_title(f"{cell.task}, {cell.net}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-replicates", type=int, default=8)
    parser.add_argument("--n-steps", type=int, default=400, help="length of a fit on mnist1d; half of it on digits")
    parser.add_argument("--out", type=Path, default=Path("results/compare_adaptive"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    cells = []
    for task, net in CELLS:
        cells.append(run_cell(task, net, args))
        (args.out / "compare_adaptive.md").write_text(report(cells, args))
        picture(cells, args.out / "compare_adaptive.png")
    print(report(cells, args))


if __name__ == "__main__":
    main()
