"""Fresh-seed scores: functions trained again with seeds and data that no run saw, in the form in which a side trains.

The loop's form: the formula as it is, in torch operations, by a Lightning Trainer. The search's: normalised, its betas
learning. Replicates are paired: under both forms the i-th has the same data and starts from the same weights.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import torch
from _optuna_loop import NETS, PROCESSES, TASK, expression, quiet, train
from _wall_time_runs import LOOP

import actsearch
from actsearch.tasks.fit import FitJob, fit
from actsearch.tasks.seeds import derive_seed

FIRST = 2000  # number of the first replicate: beyond those of searches, panels and finals

Key = tuple[str, str]  # side and function, as an incumbent has them
Scores = dict[Key, list[float]]


def fresh_scores(wanted: Iterable[Key], n_replicates: int, n_steps: int, path: Path) -> Scores:
    """Return validation accuracies, mean over the nets, one a replicate; what the file keeps is not trained again.

    Args:
        wanted: what to train.
        n_replicates: how often.
        n_steps: of a fit.
        path: a JSON file, ``{"SIDE N_STEPS FUNCTION": scores}``.
    """
    kept: dict[str, list[float]] = json.loads(path.read_text()) if path.exists() else {}
    names = {key: f"{key[0]} {n_steps} {key[1]}" for key in wanted}
    missing = [key for key, name in names.items() if len(kept.get(name, ())) < n_replicates]
    if missing:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(PROCESSES, context, quiet) as pool:
            for key in missing:
                replicates = range(FIRST, FIRST + n_replicates)
                fits: list[list[Future[float]]] = [
                    [pool.submit(score, *key, net, replicate, n_steps) for net in NETS] for replicate in replicates
                ]
                kept[names[key]] = [statistics.fmean(one.result() for one in nets) for nets in fits]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(kept, indent=1) + "\n")
    return {key: kept[name][:n_replicates] for key, name in names.items()}


def score(side: str, function: str, net: str, replicate: int, n_steps: int) -> float:
    """Return the validation accuracy of one fit."""
    if side == LOOP:
        torch.manual_seed(derive_seed(0, TASK, net, replicate, "init"))
        return train(expression(*function.split()), net, n_steps, derive_seed(0, TASK, net, replicate, "data"))
    task = actsearch.load_task(TASK, NETS, n_steps=n_steps)
    job = FitJob(
        task, net, function, True, 0, replicate, 1.0, rungs=(n_steps,), stop_step=n_steps, fresh_data=True
    )  # fmt: skip
    return fit(job).metric[-1]
