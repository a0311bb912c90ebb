"""How soon does ``actsearch.search`` reach what a plain Optuna loop with Lightning Trainers reaches in half an hour?

1. The loop of ``_optuna_loop.py`` runs for ``--minutes``, alone on the machine.
2. ``actsearch.search`` with its defaults runs for ``--search-minutes``, ``--repeats`` times with different seeds.
3. The loop's best function, each function that a search held for its best at any moment, relu and silu are trained
   again, ``--replicates`` times each, with seeds and data that no run saw, in the form in which their side trains.

Runs are kept in ``--runs`` and scores beside them, so that a part can be done by itself (``--only``), and none is done
twice. Writes ``docs/results/wall_time.md`` and ``.png``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from _wall_time_page import BASELINES, Found, page, picture
from _wall_time_runs import LOOP, SEARCH, Settings, run
from _wall_time_scores import fresh_scores

from actsearch.errors import ActsearchError, StudyError

ROOT = Path(__file__).parents[1]


def collect(args: argparse.Namespace) -> Found | None:
    """Do what is missing, and return all; None where only a part was asked for."""
    loops, searches = [], []
    if args.only != SEARCH:
        loops = [run(args.runs, Settings(LOOP, args.minutes, args.steps, seed)) for seed in range(args.loops)]
    if args.only != LOOP:
        searches = [
            run(args.runs, Settings(SEARCH, args.search_minutes, args.steps, seed)) for seed in range(args.repeats)
        ]
    for one in [*loops, *searches]:
        print(f"{one.settings}: {one.n_trained} trained, {len(one.incumbents)} incumbents", flush=True)
    if empty := [one for one in loops if not one.incumbents]:
        raise StudyError(f"no trial of the loop ended within {empty[0].settings.minutes:g} minutes; give it more")
    if args.only:
        return None
    wanted = [key for pair in BASELINES.values() for key in pair]
    wanted += [(loop.incumbents[-1].side, loop.incumbents[-1].function) for loop in loops]
    wanted += [(one.side, one.function) for search in searches for one in search.incumbents]
    return Found(loops, searches, fresh_scores(wanted, args.replicates, args.steps, args.runs / "scores.json"))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="of a loop")
    parser.add_argument("--loops", type=int, default=1)
    parser.add_argument("--search-minutes", type=float, default=6.0, help="of a search")
    parser.add_argument("--repeats", type=int, default=3, help="searches")
    parser.add_argument("--steps", type=int, default=400, help="of a fit")
    parser.add_argument("--replicates", type=int, default=16, help="of what is trained again; at least 2")
    parser.add_argument("--only", choices=(LOOP, SEARCH), help="run these and stop")
    parser.add_argument("--runs", type=Path, default=ROOT / "results" / "wall_time", help="where runs are kept")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    found = collect(args)
    if found is None:
        return
    numbers = {name: value for name, value in vars(args).items() if isinstance(value, int | float)}
    changed = [(name.replace("_", "-"), n) for name, n in numbers.items() if n != parser.get_default(name)]
    options = [f" --{name} {n:g}" for name, n in changed]
    text = page(found, f"python benchmarks/bench_wall_time.py{''.join(options)}")
    (args.out / "wall_time.md").write_text(text, encoding="utf-8")
    picture(found, args.out / "wall_time.png")
    print(text)


if __name__ == "__main__":
    try:
        main()
    except ActsearchError as error:
        raise SystemExit(f"error: {error}") from error
