"""Build the table of how every function of aquasurf.yaml trains on mnist1d.

Each distinct function that the screen accepts is trained, one member of a symmetry class, in populations: normalised
with three seeds and un-normalised with one, in the nets ``deep`` and ``residual``; then all members of some classes, to
check the symmetry. The fits that a table needs first come first, so that it can be packed at any moment.

    python scripts/build_table.py --workers 2 --hours 2
    python scripts/build_table.py --pack-only

Every population is appended to a file of lines as soon as it is trained. The same command again goes on where a kill
left it, and a line that was torn is trained again. At the end the table is packed into one file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from actsearch.errors import ActsearchError, TaskError
from actsearch.expr.fingerprint import fingerprint
from actsearch.expr.symmetry import symmetry_class
from actsearch.expr.text import format
from actsearch.space import ReplayChooser, load_space
from actsearch.space.whole import judge_whole, parameter_orders
from actsearch.study.panel import PANEL
from actsearch.study.screen import screen
from actsearch.tasks.fit import FitJob
from actsearch.tasks.load import load_task
from actsearch.tasks.population import fit_population
from actsearch.tasks.tables import Table, save_table

SPACE, TASK, NETS = "aquasurf", "mnist1d", ("deep", "residual")
N_STEPS, RUNGS = 300, (30, 75, 150, 300)
N_SEEDS = {True: 3, False: 1}  # normalised, un-normalised
STUDY_SEED = 0  # seeds of fits follow from it, from task, net and the number of the seed
TARGET = Path(__file__).parents[1] / "actsearch" / "tasks" / "tables" / f"{SPACE}_{TASK}.npz"
PARTS = Path("results") / "table"


@dataclass(frozen=True)
class Functions:
    """The distinct finite functions of the space, and the panel's that it lacks; see :class:`Table`."""

    texts: tuple[str, ...]
    reasons: tuple[str, ...]
    classes: dict[bool, list[str]]
    candidates: np.ndarray[Any, np.dtype[np.int64]]
    extras: tuple[str, ...]

    def representatives(self, normalise: bool) -> list[int]:
        """Return the functions to train: of each class the accepted member with the lowest number."""
        first: dict[str, int] = {}
        for number, (name, reason) in enumerate(zip(self.classes[normalise], self.reasons, strict=True)):
            if not reason:
                first.setdefault(name, number)
        return sorted(first.values())

    def members(self, normalise: bool) -> list[list[int]]:
        """Return the accepted members of each class that has several."""
        found: dict[str, list[int]] = {}
        for number, (name, reason) in enumerate(zip(self.classes[normalise], self.reasons, strict=True)):
            if not reason:
                found.setdefault(name, []).append(number)
        return [members for members in found.values() if len(members) > 1]


def functions_of(space_name: str, panel: Sequence[str]) -> Functions:
    """Survey the space: the shorter texts first, so that a class is stood for by its simplest member."""
    space = load_space(space_name)
    orders = parameter_orders(space)
    assert orders is not None
    judged = judge_whole(space, orders, lambda done, total: None)
    finite = judged.codes != 0  # the reason "not finite" is the first
    labels, first = np.unique(judged.labels[finite], return_index=True)
    indices = np.flatnonzero(finite)[first]
    exprs = [space.decode(ReplayChooser(space.choices_at(int(index)))) for index in indices]
    order = sorted(range(len(exprs)), key=lambda i: (len(format(exprs[i])), int(indices[i])))
    number_of = np.full(int(judged.labels.max()) + 1, -1, dtype=np.int64)
    number_of[labels[order]] = np.arange(len(order))
    texts = [format(exprs[i]) for i in order]
    known = {fingerprint(text) for text in texts}
    extras = tuple(name for name in panel if fingerprint(name) not in known)
    texts += extras
    return Functions(
        texts=tuple(texts),
        reasons=tuple(screen(_expr(text)) or "" for text in texts),
        classes={affine: [symmetry_class(text, affine=affine) for text in texts] for affine in (True, False)},
        candidates=np.where(finite, number_of[judged.labels], -1),
        extras=extras,
    )


def _expr(text: str) -> Any:
    from actsearch.expr.resolve import to_expr

    return to_expr(text)


Key = tuple[str, bool, int, str]  # net, normalise, seed, function
Population = tuple[str, bool, int, tuple[str, ...]]


def wanted(functions: Functions, n_checked: int, nets: Sequence[str], n_seeds: dict[bool, int]) -> Iterator[Key]:
    """Yield all fits in the order of their worth: seeds of the normalised ones, un-normalised ones, symmetry."""
    rng = random.Random(0)
    for normalise in (True, False):
        representatives = functions.representatives(normalise)
        rng.shuffle(representatives)  # a part of the list is a random sample of it
        panel = {symmetry_class(name, affine=normalise) for name in PANEL}
        ordered = sorted(representatives, key=lambda number: functions.classes[normalise][number] not in panel)
        for seed in range(n_seeds[normalise]):
            for number in ordered:
                for net in nets:
                    yield net, normalise, seed, functions.texts[number]
    classes = functions.members(True)
    chosen = rng.sample(classes, min(n_checked, len(classes)))
    for seed in range(n_seeds[True]):
        for members in chosen:
            for number in members:
                for net in nets:
                    yield net, True, seed, functions.texts[number]


def populations(keys: Sequence[Key], width: int) -> list[Population]:
    """Return fits that go together, in the order of their first member."""
    groups: dict[tuple[str, bool, int, int], list[str]] = {}
    counts: Counter[tuple[str, bool, int]] = Counter()
    for net, normalise, seed, text in keys:
        cell = net, normalise, seed
        groups.setdefault((*cell, counts[cell] // width), []).append(text)
        counts[cell] += 1
    return [(net, normalise, seed, tuple(texts)) for (net, normalise, seed, _), texts in groups.items()]


def train(population: Population, n_steps: int, rungs: tuple[int, ...]) -> list[dict[str, Any]]:
    """Train a population; return a line for each member. Called in a worker."""
    net, normalise, seed, texts = population
    task = load_task(TASK, n_steps=n_steps)
    jobs = [FitJob(task, net, text, normalise, STUDY_SEED, seed, 1.0, rungs, n_steps, test=True) for text in texts]
    return [
        {
            "function": text,
            "net": net,
            "normalise": normalise,
            "seed": seed,
            "metric": result.metric,
            "val_loss": result.val_loss,
            "train_loss": result.train_loss,
            "test": result.test_metric,
            "diverged": result.status == "diverged",
            "seconds": result.seconds,
        }
        for text, result in zip(texts, fit_population(jobs), strict=True)
    ]


def read_lines(path: Path) -> dict[Key, dict[str, Any]]:
    """Return the fits that are done; a torn line at the end of an interrupted build is left out.

    Raises:
        TaskError: a line that is not the last is damaged.
    """
    found: dict[Key, dict[str, Any]] = {}
    if not path.exists():
        return found
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            row = json.loads(line)
            key = (row["net"], row["normalise"], row["seed"], row["function"])
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                continue
            raise TaskError(
                f"line {number} of {str(path)!r} is damaged; delete it, and its fit is made again"
            ) from error
        found[key] = row
    return found


def append(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Add lines and see that they are on the disk."""
    with path.open("ab") as file:
        file.write(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
        file.flush()
        os.fsync(file.fileno())


def drop_torn_line(path: Path) -> None:
    """Cut off what a kill has left of a line at the end."""
    if path.exists():
        content = path.read_bytes()
        os.truncate(path, content.rfind(b"\n") + 1)


def build(todo: Sequence[Population], path: Path, n_workers: int, deadline: float, args: argparse.Namespace) -> None:
    """Train what is to be trained, and keep each population as soon as it is done."""
    queue = list(reversed(todo))
    n_fits, n_done, began = sum(len(p[3]) for p in todo), 0, time.monotonic()
    spawn = get_context("spawn")
    with ProcessPoolExecutor(n_workers, mp_context=spawn, initializer=os.nice, initargs=(args.nice,)) as pool:
        running: set[Future[list[dict[str, Any]]]] = set()
        while queue or running:
            while queue and len(running) < n_workers and time.monotonic() < deadline:
                running.add(pool.submit(train, queue.pop(), args.n_steps, args.rungs))
            if not running:
                print(f"the time is over; {sum(len(p[3]) for p in queue)} fits are left")
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                rows = future.result()
                append(path, rows)
                n_done += len(rows)
                spent = time.monotonic() - began
                left = spent / n_done * (n_fits - n_done) / 3600
                where = f"{rows[0]['net']}, seed {rows[0]['seed']}, {'' if rows[0]['normalise'] else 'un-'}normalised"
                print(f"{time.strftime('%H:%M:%S')} {n_done}/{n_fits} fits ({where}); {left:.1f} h left", flush=True)


def pack(functions: Functions, rows: Sequence[dict[str, Any]], args: argparse.Namespace) -> Table:
    """Return the table of all lines whose function is one of these."""
    number = {text: i for i, text in enumerate(functions.texts)}
    kept = sorted((row for row in rows if row["function"] in number),
                  key=lambda row: (not row["normalise"], row["seed"], row["net"], number[row["function"]]))  # fmt: skip
    types: dict[str, Any] = {"normalise": bool, "seed": np.int8, "diverged": bool}
    columns = {
        name: np.array([row[name] for row in kept], dtype=types.get(name, np.float32))
        for name in ("normalise", "seed", "metric", "val_loss", "train_loss", "test", "diverged", "seconds")
    }
    for name in ("metric", "val_loss", "train_loss"):
        columns[name] = columns[name].reshape(len(kept), len(args.rungs))
    columns["function"] = np.array([number[row["function"]] for row in kept], dtype=np.int16)
    columns["net"] = np.array([args.nets.index(row["net"]) for row in kept], dtype=np.int8)
    return Table(
        functions=functions.texts,
        reasons=functions.reasons,
        classes={affine: np.array(names) for affine, names in functions.classes.items()},
        candidates=functions.candidates,
        rows=columns,
        meta=meta_of(functions, args),
    )


def meta_of(functions: Functions, args: argparse.Namespace) -> dict[str, Any]:
    """Return what made the table."""
    cell = load_task(TASK, n_steps=args.n_steps)
    return {
        "space": args.space,
        "space_digest": load_space(args.space).digest,
        "task": TASK,
        "settings": dict(cell.settings),
        "chance": cell.chance,
        "nets": list(args.nets),
        "rungs": list(args.rungs),
        "n_steps": args.n_steps,
        "study_seed": STUDY_SEED,
        "n_parameters": {net: _n_parameters(cell.net(net)(activation=nn.Identity)) for net in args.nets},
        "extras": list(functions.extras),
        "command": f"python scripts/build_table.py --n-seeds {args.n_seeds} --n-checked {args.n_checked}",
        "versions": {name: version(name) for name in ("actsearch", "torch", "lightning", "numpy", "mnist1d")},
        "hardware": f"{_cpu()}, {os.cpu_count()} cores, {platform.system()}, one thread a population",
    }


def _n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the arguments of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default=SPACE)
    parser.add_argument("--nets", nargs="+", default=list(NETS))
    parser.add_argument("--n-steps", type=int, default=N_STEPS)
    parser.add_argument("--rungs", type=int, nargs="+", default=list(RUNGS))
    parser.add_argument("--n-seeds", type=int, default=N_SEEDS[True], help="of normalised fits")
    parser.add_argument("--n-plain-seeds", type=int, default=N_SEEDS[False], help="of un-normalised fits")
    parser.add_argument("--n-checked", type=int, default=40, help="classes of which all members are trained")
    parser.add_argument("--n-functions", type=int, help="only so many functions a cell and seed: a test")
    parser.add_argument("--width", type=int, default=32, help="members of a population")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--nice", type=int, default=19)
    parser.add_argument("--hours", type=float, default=float("inf"), help="no population starts after so many hours")
    parser.add_argument("--parts", type=Path, default=PARTS, help="folder of the lines of an unfinished build")
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--pack-only", action="store_true", help="train nothing; pack what is there")
    args = parser.parse_args(argv)
    args.rungs = tuple(args.rungs)
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Build what is missing, and pack."""
    args = parse_arguments(argv)
    args.parts.mkdir(parents=True, exist_ok=True)
    path = args.parts / f"{args.space}_{TASK}_{args.n_steps}.jsonl"
    deadline = time.monotonic() + 3600 * args.hours
    functions = functions_of(args.space, PANEL)
    for affine, kind in ((True, "normalised"), (False, "un-normalised")):
        n = len(functions.representatives(affine))
        print(f"{len(functions.texts)} functions, {n} classes to train {kind}", flush=True)
    done = read_lines(path)
    if not args.pack_only:
        seeds = {True: args.n_seeds, False: args.n_plain_seeds}
        keys = list(dict.fromkeys(wanted(functions, args.n_checked, args.nets, seeds)))
        if args.n_functions is not None:
            texts = {key[3] for key in keys[: args.n_functions * len(args.nets)]}
            keys = [key for key in keys if key[3] in texts]
        todo = [key for key in keys if key not in done]
        print(f"{len(done)} fits are there, {len(todo)} are to be made", flush=True)
        drop_torn_line(path)
        build(populations(todo, args.width), path, args.workers, deadline, args)
        done = read_lines(path)
    if not done:
        raise SystemExit(f"no fit has been made yet, so there is nothing to pack; {str(path)!r} is missing or empty")
    save_table(pack(functions, list(done.values()), args), args.out)
    print(f"{args.out}: {len(done)} fits, {args.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    try:
        main()
    except ActsearchError as error:
        raise SystemExit(f"error: {error}") from error
