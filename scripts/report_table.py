"""Say what the table of recorded fits shows: docs/results/table.md with its pictures.

    python scripts/report_table.py

Every number of the page is computed here from the table, and so is which way a sentence goes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import _table_figures as figures
import _table_sections as sections
import numpy as np
from _table_best import best
from _table_facts import (
    Estimate,
    Side,
    in_both,
    normalising,
    percentiles,
    primitive_effects,
    side,
    spearman,
)
from _table_symmetry import mirrors, saved

from actsearch.errors import ActsearchError
from actsearch.space import load_space
from actsearch.tasks.tables import Table, load_table, table_path

OUT = Path(__file__).parents[1] / "docs" / "results"


def sides_of(table: Table) -> dict[bool, list[Side]]:
    """Return every side of which there is something."""
    rows, found = table.rows, {True: [], False: []}
    for normalise, sides in found.items():
        for number, net in enumerate(table.nets):
            if np.any((rows["net"] == number) & (rows["normalise"] == normalise)):
                sides.append(side(table, net, normalise))
    return found


def page(table: Table, path: Path, seconds: float, out: Path) -> None:
    """Write the page and its pictures."""
    sides = sides_of(table)
    ours = sides[True]
    space = load_space(table.meta["space"])
    counts = {normalise: saved(table, normalise) for normalise in (True, False)}
    effects = {one.net: primitive_effects(space, one) for one in ours}
    pairs = {
        plain.net: normalising(table, plain, one) for plain in sides[False] for one in ours if one.net == plain.net
    }
    stand = {one.net: percentiles(table, one, True) for one in ours}
    checked = {one.net: found for one in ours if (found := mirrors(table, one.net)) is not None}
    leaders, between = best(table, ours), _between(ours)
    parts = [
        f"# How every function of {table.meta['space']} trains",
        "Made by `python scripts/report_table.py`. Accuracy is on validation unless test is said; intervals are at "
        "95 %.",
        *sections.summary(ours, leaders, between, pairs, stand, checked),
        *sections.made_by(table, path, seconds, sides, counts),
        *sections.distribution(sides),
        *sections.leaders(leaders, [one.net for one in ours]),
        *sections.agreement(table, ours, between),
        *sections.primitives(effects),
        *sections.normalised(pairs),
        *sections.known(stand),
        *sections.symmetry(counts, checked, sides),
        "How to load the table, and to replay searches on it: [the table](../table.md).",
    ]
    (out / "table.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    figures.distributions(sides, out / "table_distributions.png")
    figures.agreement(ours, out / "table_agreement.png")
    figures.primitives(effects, out / "table_primitives.png")
    figures.named(stand, out / "table_named.png")
    if pairs:
        figures.normalising(pairs, out / "table_normalising.png")


def _between(sides: Sequence[Side]) -> Estimate | None:
    """Return the rank correlation of the first two nets, means over the seeds."""
    if len(sides) < 2:
        return None
    first, second = in_both(*sides[:2])
    return spearman(sides[0].mean[first], sides[1].mean[second])


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="aquasurf_mnist1d", help="a table's name or file")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    table = load_table(args.table)
    page(table, table_path(args.table), time.perf_counter() - began, args.out)


if __name__ == "__main__":
    try:
        main()
    except ActsearchError as error:
        raise SystemExit(f"error: {error}") from error
