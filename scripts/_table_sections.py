"""The sections of docs/results/table.md, from what ``_table_facts.py`` and its neighbours compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import _table_figures as figures
import numpy as np
from _table_best import N_BEST, Best
from _table_facts import (
    Estimate,
    Pairs,
    Side,
    seed_correlations,
    seed_deviation,
    share_diverged,
    spearman,
)
from _table_symmetry import Mirrors, Saved

from actsearch.tasks.tables import Table

SHOWN = ("relu", "silu", "gelu", "mish")
KIND = {True: "normalised", False: "un-normalised"}
Sides = Mapping[bool, Sequence[Side]]


def summary(
    ours: Sequence[Side],
    leaders: Best | None,
    between: Estimate | None,
    pairs: Mapping[str, Pairs],
    stand: Mapping[str, Mapping[str, Estimate]],
    checked: Mapping[str, Mirrors],
) -> list[str]:
    """Say the most important things in a line each."""
    lines = [
        f"In {one.net}, {share_diverged(one).text()} % of the functions diverge and the median accuracy is "
        f"{np.median(one.end[:, 0]):.1f} %; one seed differs from another by {seed_deviation(one):.2f} points."
        for one in ours
    ]
    if between is not None:
        words = {1: "alike", 0: "without relation", -1: "against each other"}[between.sign]
        lines.append(f"The nets rank functions {words}: Spearman {between.text('.2f')}.")
    if leaders is not None:
        first, names = leaders.rows[0], [row.name for row in leaders.rows if row.name]
        there = f"known ones among the best {N_BEST}: {', '.join(names) or 'none'}"
        lines.append(
            f"Over the nets `{first.text}` ranks first, {first.unseen.text()} % with a seed that it was not chosen by; "
            f"{there}."
        )
    for net, found in stand.items():
        places = ", ".join(f"{name} {found[name].value:.0f} %" for name in SHOWN if name in found)
        lines.append(f"In {net} so many functions are better: than {places}.")
    lines += [
        f"In {net} normalising moves the mean accuracy by {one.difference.text('+.1f')} points." for net, one in
        pairs.items()
    ]  # fmt: skip
    lines += [
        f"In {net} a mirror image differs from its class by {one.difference.text('+.2f')} points." for net, one in
        checked.items()
    ]  # fmt: skip
    return ["\n".join(f"- {line}" for line in lines)]


def made_by(table: Table, path: Path, seconds: float, sides: Sides, counts: Mapping[bool, Saved]) -> list[str]:
    """Tell what made the table, and what is in it."""
    meta, rows = table.meta, table.rows
    versions = ", ".join(f"{name} {number}" for name, number in meta["versions"].items())
    return [
        "## What made it",
        f"`{meta['command']}`: the space `{meta['space']}` on `{meta['task']}`, {meta['n_steps']} steps of batches of "
        f"{meta['settings']['batch_size']}, measured at the steps {', '.join(map(str, meta['rungs']))}, one learning "
        f"rate a net. {len(rows['seed']):,} fits in populations, {rows['seconds'].sum() / 3600:.1f} hours of one core "
        f"in all. {meta['hardware']}; {versions}. The file has {path.stat().st_size / 1e6:.2f} MB and was read in "
        f"{1000 * seconds:.0f} ms.",
        *_table(
            ("net", "activations", "classes", "seeds", "classes with all of them"),
            [
                (
                    one.net,
                    KIND[normalise],
                    f"{counts[normalise].n_classes:,}",
                    str(len(one.seeds)),
                    f"{len(one.rows):,}",
                )
                for normalise, found in sides.items()
                for one in found
            ],
        ),
    ]


def distribution(sides: Sides) -> list[str]:
    """Tell how accurate functions are."""
    rows = []
    for normalise, found in sides.items():
        for one in found:
            quantiles = np.percentile(one.end[:, 0], [5, 25, 50, 75, 95, 100])
            rows.append((one.net, KIND[normalise], *(f"{q:.1f}" for q in quantiles), share_diverged(one).text()))
    return [
        "## Distributions",
        "Validation accuracy in %, first seed, over classes; a fit that diverged counts as a guess.",
        *_table(("net", "activations", "5 %", "25 %", "median", "75 %", "95 %", "best", "diverged (%)"), rows),
        "![distributions](table_distributions.png)",
    ]


def leaders(found: Best | None, nets: Sequence[str]) -> list[str]:
    """Tell which functions are best, and how much of that is luck."""
    if found is None:
        return []
    header = ("", "function", *nets, "mean", "unseen seed", "test, unseen seed")
    rows = [
        (str(rank), f"`{row.text}`" + (f" ({row.name})" if row.name and row.name != row.text else ""),
         *(f"{value:.1f}" for value in row.by_net), f"{row.seen:.1f}", row.unseen.text(), f"{row.test:.1f}")
        for rank, row in enumerate(found.rows, 1)
    ]  # fmt: skip
    return [
        f"## The best {len(found.rows)}",
        f"Of {found.n_functions:,} functions, ranked by validation accuracy, the mean over the nets and {found.n_seen} "
        f"seed{'s' * (found.n_seen > 1)}; one more seed had no part in the ranking, and the test split in nothing. "
        f"Intervals: 1.96 times the deviation between seeds, {found.deviation:.2f} points, pooled over the best tenth.",
        f"The winner's curse: from seen to unseen the best {len(found.rows)} lose {found.optimism.text('.2f')} points "
        f"more than those ranked {N_BEST + 1} to {10 * N_BEST} (Welch). {found.n_kept} of them are among the best "
        f"{len(found.rows)} by the unseen seed too, and {found.n_tied} functions are within two standard errors of the "
        "first.",
        *_table(header, rows),
    ]


def agreement(table: Table, sides: Sequence[Side], between: Estimate | None) -> list[str]:
    """Tell how far ranks repeat: between seeds, rungs and nets."""
    parts = ["## How far ranks repeat", "Spearman correlations of accuracy; intervals by bootstrap over functions."]
    rows = []
    for one in (one for one in sides if len(one.seeds) > 1):
        everything, top = seed_correlations(one)
        early = [spearman(one.curve[:, 0, r], one.end[:, 1]).text(".2f") for r in range(len(table.rungs) - 1)]
        test = spearman(one.mean, one.test.mean(axis=1)).text(".2f")
        rows.append((one.net, everything.text(".2f"), top.text(".2f") if top else "", *early, test))
    steps = [f"step {rung} and the end of another seed" for rung in table.rungs[:-1]]
    header = ("net", "two seeds", "two seeds, best tenth by a third", *steps, "validation and test")
    parts += _table(header, rows) if rows else []
    if between is not None:
        parts.append(f"Between {sides[0].net} and {sides[1].net}, means over the seeds: {between.text('.2f')}.")
    return [*parts, "![agreement](table_agreement.png)"]


def primitives(effects: Mapping[str, figures.Effects]) -> list[str]:
    """Tell which primitives help."""
    nets = list(effects)
    parts = [
        "## Which primitives help",
        "Mean accuracy of all accepted candidates that hold a primitive, less the mean of all accepted candidates, in "
        "points; normalised, means over the seeds; intervals by bootstrap over classes.",
    ]
    for rule, found in effects[nets[0]].items():
        sides = (f"{net} above the mean {_on_one_side(effects[net][rule], 1)}, below it "
                 f"{_on_one_side(effects[net][rule], -1)}" for net in nets)  # fmt: skip
        parts.append(f"{rule.capitalize()}: in {'; in '.join(sides)}.")
        order = sorted(found, key=lambda text: -float(np.mean([effects[net][rule][text][1].value for net in nets])))
        rows = [
            (f"`{text}`", str(found[text][0]), *(effects[net][rule][text][1].text() for net in nets)) for text in order
        ]
        parts += _table((rule, "candidates", *nets), rows)
    return [*parts, "![primitives](table_primitives.png)"]


def _on_one_side(found: Mapping[str, tuple[int, Estimate]], sign: int) -> str:
    return ", ".join(f"`{text}`" for text, (_, effect) in found.items() if effect.sign == sign) or "none"


def normalised(pairs: Mapping[str, Pairs]) -> list[str]:
    """Tell what normalising changes."""
    if not pairs:
        return []
    rows = [
        (net, f"{len(one.plain):,}", one.difference.text(), one.helped.text(), one.hurt.text(),
         spearman(one.plain, one.normalised).text(".2f"))
        for net, one in pairs.items()
    ]  # fmt: skip
    words = {1: "raises", 0: "does not measurably change", -1: "lowers"}
    said = " and ".join(f"{words[one.difference.sign]} the mean accuracy in {net}" for net, one in pairs.items())
    return [
        "## What normalising changes",
        f"The same function with and without mean 0 and variance 1, paired by seed. Normalising {said}. Better and "
        "worse: by more than twice the deviation between seeds. Un-normalised, the weights behind an activation are "
        "scaled by its gain.",
        *_table(("net", "functions", "difference (points)", "better (%)", "worse (%)", "Spearman"), rows),
        "![normalising](table_normalising.png)",
    ]


def known(found: Mapping[str, Mapping[str, Estimate]]) -> list[str]:
    """Tell where named functions stand."""
    nets = list(found)
    names = sorted(found[nets[0]], key=lambda name: float(np.mean([found[net][name].value for net in nets])))
    return [
        "## Where known functions stand",
        "How many classes are better, in %: 0 is the best. Normalised; intervals: 1.96 standard errors of the "
        "function's mean, from the deviation between seeds of the hundred functions nearest in accuracy. A function "
        "stands for its class: softplus for log_sigmoid too.",
        *_table(("function", *nets), [(name, *(found[net][name].text() for net in nets)) for name in names]),
        "![known functions](table_named.png)",
    ]


def symmetry(counts: Mapping[bool, Saved], found: Mapping[str, Mirrors], sides: Sides) -> list[str]:
    """Tell what symmetry saves, and whether it holds."""
    parts = ["## Symmetry"]
    for normalise, one in counts.items():
        fits = (one.n_fitted - one.n_classes) * sum(len(side.seeds) for side in sides[normalise])
        parts.append(
            f"{KIND[normalise].capitalize()}, the {one.n_functions:,} functions that the screen accepts are "
            f"{one.n_fitted:,} different ones as they are fitted, in {one.n_classes:,} classes: one member a class is "
            f"{1 - one.n_classes / one.n_fitted:.0%} fewer trainings, {fits:,} fits of this table."
        )
    if found:
        parts.append(
            "Checked by training other members too, with the same seeds: accuracy of a member less that of the one "
            "that stands for its class (t interval over the means of classes). A spread of 1 means that a mirror image "
            "differs from its class as one seed does from another. All classes share the seeds' weights, so these "
            "intervals are rather too short than too long."
        )
        parts += _table(
            ("net", "classes", "members", "difference (points)", "spread"),
            [(net, str(m.n_classes), str(m.n_members), m.difference.text(".2f"), m.spread.text(".2f"))
             for net, m in found.items()],
        )  # fmt: skip
    return parts


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table as one part."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return ["\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *escaped])]
