"""Do numbers that are known before training predict what training gives? Proxies against the table of recorded fits.

Every proxy of actsearch.study.proxies is measured for every recorded function, and its rank correlation with the
validation accuracy at the end is taken, with a bootstrap interval over functions. Random searches are then replayed
with and without skipping the worst functions by a proxy. Which share is skipped, and on which side, is chosen in one
net and judged in the other, both ways.

    python scripts/compare_proxies.py --workers 2

Proxies are appended to results/proxies/ as they are measured, so that a run that was stopped goes on. Writes
docs/results/proxies.md and proxies.png.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _proxy_gains import BUDGETS, SHARES, Gain, Rule, gains, sampler_changes
from _proxy_values import Arena, arenas_of
from matplotlib import rc_context
from matplotlib.figure import Figure

from actsearch.errors import ActsearchError
from actsearch.report.figures.style import BEST, GREY, RC, REFERENCE
from actsearch.space import load_space
from actsearch.study.proxies import load_proxy, measure, proxy_names
from actsearch.study.proxy_screen import N_SAMPLE
from actsearch.study.ranks import RankCorrelation
from actsearch.study.stats import Difference
from actsearch.tasks.tables import Table, load_table

N_TIMED = 15
SAMPLERS = ("evolution", "tpe")
OFF = (
    "`screen_by` of a search is off unless asked for. What is shown here is shown for random search, one task and one "
    "space; samplers that learn find out by themselves what to avoid, and a proxy of nets costs its time for each "
    "proposal."
)


def milliseconds(texts: Sequence[str], task: str, net: str) -> dict[str, float]:
    """Return the median time of each proxy alone, from the formula on."""
    found = [measure(text, task, net) for text in texts]
    return {name: statistics.median(one[name].milliseconds for one in found) for name in proxy_names()}


def page(
    arenas: Sequence[Arena], gained: dict[str, list[Gain]], costs: dict[str, float], table: Table, n_repeats: int
) -> str:
    """Return the page's text."""
    lines = [
        "# Zero-cost proxies against the table",
        "",
        f"Numbers that are known before any training, and the table of recorded fits of the space "
        f"`{table.meta['space']}` on {table.meta['task']} ({table.meta['n_steps']} steps) that "
        "`scripts/build_table.py` makes. What each proxy is, its unit and its source stand in its file, "
        "`actsearch/study/proxies/NAME.py`; `actsearch.study.proxies.measure` gives them for any activation, task and "
        "net.",
        "",
        "Made by `python scripts/compare_proxies.py`.",
        "",
        "![rank correlations](proxies.png)",
        "",
        "## How well they predict",
        "",
        "Spearman's rank correlation with the validation accuracy at the end, mean over the recorded seeds, with 95 % "
        "bootstrap intervals over functions. Each proxy's order begins with the values that its file calls better, so "
        "that a proxy that is right is positive; a value that does not exist (NaN, where gradients overflow) is the "
        "worst. *Best half*: among the functions whose accuracy is at least the median. Processor time: median of one "
        f"proxy alone, from the formula on, over {N_TIMED} functions in the net `{arenas[0].net}`.",
    ]
    for arena in arenas:
        kind = "normalised" if arena.normalise else "un-normalised"
        n_seeds = arena.recorded.n_seeds
        lines += [
            "",
            f"### {arena.net}, {kind}",
            "",
            f"{len(arena.recorded.functions)} functions, {n_seeds} seed{'s' if n_seeds > 1 else ''}.",
            "",
            "| proxy | better | all | best half | without a value | ms |",
            "|---|---|---|---|---|---|",
        ]
        for name in proxy_names():
            missing = int((arena.badness[name] == np.inf).sum())
            lines.append(
                f"| {name} | {load_proxy(name).better} | {_shown(arena.correlation(name))} "
                f"| {_shown(arena.correlation(name, True))} | {missing} | {costs[name]:.0f} |"
            )
        for rung in (0, -1):
            steps = table.rungs[rung]
            every, best = arena.between_seeds(rung), arena.between_seeds(rung, True)
            if every is not None and best is not None:
                text = f"accuracy after {steps} steps ({steps / table.rungs[-1]:.0%} of a fit)"
                lines.append(
                    f"| *{text}, one seed, against the other seeds* | high | {_shown(every)} | {_shown(best)} | | |"
                )
    sizes = [len(arena.recorded.functions) for arena in arenas]
    if min(sizes) < max(sizes):
        lines += [
            "",
            "Where functions are fewer, the others had not been recorded or measured; these are a random part.",
        ]
    if turning := _turning(arenas):
        lines += ["", f"What one net likes another one does not: {', '.join(turning)} (normalised, intervals off 0)."]
    lines += _gain_lines(gained, n_repeats, table)
    return "\n".join(lines) + "\n"


def _gain_lines(gained: dict[str, list[Gain]], n_repeats: int, table: Table) -> list[str]:
    lines = ["", "## What spending proposals by them saves", ""]
    if not gained:
        return [*lines, "Not measured: it needs the normalised fits of both nets with at least two seeds."]
    lines += [
        f"{n_repeats} random searches, each replayed with and without skipping (the same random order, the same "
        f"seed): `screen_by` of a search skips what is in the worst share of a random sample of {N_SAMPLE} candidates. "
        f"The share (of {', '.join(f'{share:.0%}' for share in SHARES)}) and the side were chosen in the other net. A "
        "search sees one seed and is judged by the mean over the others. Change of simple regret in points of accuracy "
        "(below 0 is a gain) with 95 % intervals (paired t over searches; they hold for this table's functions), and "
        "the median number of trainings to the best 1 % (ties within one standard error are equal), with the ratio's "
        "95 % bootstrap interval. Functions without a value are skipped first, whatever the side.",
    ]
    for net, rows in gained.items():
        lines += [
            "",
            f"### {net}",
            "",
            "| proxy | skipped, as chosen in the other net | "
            + " | ".join(f"after {budget}" for budget in BUDGETS)
            + " | trainings to the best 1 % | ratio |",
            "|---|---|" + "---|" * (len(BUDGETS) + 2),
        ]
        for one in rows:
            cells = [f"{change.mean:+.2f} [{change.low:+.2f}, {change.high:+.2f}]" for change in one.changes]
            ratio = f"{one.ratio[0]:.2f} [{one.ratio[1]:.2f}, {one.ratio[2]:.2f}]" if np.isfinite(one.ratio[2]) else ""
            medians = " → ".join(f"{median:.0f}" if np.isfinite(median) else "never" for median in one.to_best)
            lines.append(f"| {one.rule.name} | {one.rule} | {' | '.join(cells)} | {medians} | {ratio} |")
    both = gaining(gained)
    verdict = (
        f"A gain at every budget in every net, with intervals: {', '.join(both)}."
        if both
        else "No proxy gains at every budget in every net: what helps in one net does not in the other."
    )
    return [*lines, "", verdict, "", OFF]


def rule_of(gained: Sequence[Gain], name: str) -> Rule:
    """Return the rule that was chosen for a proxy."""
    return next(one.rule for one in gained if one.rule.name == name)


def gaining(gained: dict[str, list[Gain]]) -> list[str]:
    """Return the proxies that gain at every budget in every net."""
    return sorted(set.intersection(*({one.rule.name for one in rows if one.is_gain} for rows in gained.values())))


Changed = dict[tuple[str, str, str], tuple[Difference, ...]]  # net, proxy, sampler -> change of the regret by budget


def sampler_lines(changed: Changed, n_repeats: int) -> list[str]:
    """Return what skipping changes for samplers that learn."""
    if not changed:
        return []
    budgets = BUDGETS[: len(next(iter(changed.values())))]
    lines = [
        "",
        "### Samplers that learn",
        "",
        f"The same for the proxies that gain, with samplers that are told chance level for what is skipped, over "
        f"{n_repeats} searches each, paired. What a sampler has learned to avoid need not be skipped.",
        "",
        "| net | proxy | sampler | " + " | ".join(f"after {budget}" for budget in budgets) + " |",
        "|---|---|---|" + "---|" * len(budgets),
    ]
    for cell, changes in changed.items():
        shown = [f"{change.mean:+.2f} [{change.low:+.2f}, {change.high:+.2f}]" for change in changes]
        lines.append(f"| {' | '.join([*cell, *shown])} |")
    return lines


def _turning(arenas: Sequence[Arena]) -> list[str]:
    """Return the proxies whose correlation over all functions is positive in one net and negative in another."""
    shown = [arena for arena in arenas if arena.normalise]
    return [
        name
        for name in proxy_names()
        if max(arena.correlation(name).low for arena in shown)
        > 0
        > min(arena.correlation(name).high for arena in shown)
    ]


def _shown(found: RankCorrelation) -> str:
    return f"{found.rho:.2f} [{found.low:.2f}, {found.high:.2f}]"


def plot(arenas: Sequence[Arena], path: Path) -> None:
    """Draw the correlations of the normalised fits, a panel a net, and below accuracy against the best proxy."""
    shown = [arena for arena in arenas if arena.normalise]
    names = sorted(proxy_names(), key=lambda name: sum(arena.correlation(name).rho for arena in shown))
    with rc_context(RC):
        figure = Figure(figsize=(4.6 * len(shown), 6.4), layout="constrained")
        panels = figure.subplots(2, len(shown), squeeze=False, height_ratios=(1.2, 1))
        for column, arena in enumerate(shown):
            above, below = panels[:, column]
            for row, name in enumerate(names):
                for is_half, colour in ((False, REFERENCE), (True, BEST)):
                    found, y = arena.correlation(name, is_half), row - 0.15 + 0.3 * (not is_half)
                    above.plot([found.low, found.high], [y, y], color=colour, linewidth=1.5)
                    label = ("best half" if is_half else "all functions") if row == 0 else None
                    above.plot(found.rho, y, "o", color=colour, markersize=4, label=label)
            above.axvline(0, color=GREY, linewidth=0.8)
            above.set_xlim(-1, 1)
            above.set_xticks([-1, -0.5, 0, 0.5, 1])
            above.set_yticks(range(len(names)), [name.replace("_", " ") for name in names] if column == 0 else [])
            above.set_title(f"{arena.net}: rank correlation with accuracy")
            best = max(names, key=lambda name: arena.correlation(name).rho)
            value = arena.badness[best] * (1 if load_proxy(best).better == "low" else -1)
            finite = np.isfinite(value)
            below.plot(value[finite], 100 * arena.recorded.end.mean(axis=1)[finite], ".", color=GREY, markersize=3)
            if best == "gradient_variance":
                below.set_xscale("log")
                below.set_xlim(left=1e-3)
                below.set_xticks([0.001, 0.01, 0.1, 1, 10], ["0.001", "0.01", "0.1", "1", "10"])
                below.minorticks_off()
            below.set_xlabel(best.replace("_", " "))
            below.set_title("accuracy (%) against the proxy that says most")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper right", ncols=2, frameon=False)
        figure.savefig(path, dpi=150)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="aquasurf_mnist1d", help="a table's name or file")
    parser.add_argument("--n-repeats", type=int, default=1000)
    parser.add_argument("--n-sampler-repeats", type=int, default=20, help="searches with samplers that learn; 0: none")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-measuring", action="store_true", help="leave out functions that are not measured yet")
    parser.add_argument("--parts", type=Path, default=Path("results") / "proxies", help="folder of what was measured")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "results")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    table = load_table(args.table)
    arenas = arenas_of(table, args.parts, None if args.no_measuring else args.workers)
    normalised = [arena for arena in arenas if arena.normalise]
    judged = {}
    if len(normalised) == 2 and all(arena.recorded.n_seeds > 1 for arena in normalised):
        first, second = normalised
        judged = {judge.net: gains(judge, other, args.n_repeats) for judge, other in ((first, second), (second, first))}
    space = load_space(table.meta["space"])
    changed: Changed = {
        (judge.net, name, sampler): sampler_changes(
            judge, rule_of(judged[judge.net], name), sampler, space, table.meta["chance"], args.n_sampler_repeats
        )
        for name in (gaining(judged) if judged else ())
        for judge in normalised
        for sampler in (SAMPLERS if args.n_sampler_repeats else ())
    }
    texts = arenas[0].recorded.functions
    costs = milliseconds(texts[:: max(1, len(texts) // N_TIMED)][:N_TIMED], table.meta["task"], arenas[0].net)
    text = page(arenas, judged, costs, table, args.n_repeats)
    text += "\n".join([*sampler_lines(changed, args.n_sampler_repeats), ""])
    (args.out / "proxies.md").write_text(text, encoding="utf-8")
    plot(arenas, args.out / "proxies.png")


if __name__ == "__main__":
    try:
        main()
    except ActsearchError as error:
        raise SystemExit(f"error: {error}") from error
