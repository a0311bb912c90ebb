"""A table of the space tiny with made-up fits, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from actsearch.expr.symmetry import symmetry_class
from actsearch.expr.text import format
from actsearch.space import ReplayChooser, load_space
from actsearch.space.survey import survey
from actsearch.space.whole import judge_whole, parameter_orders
from actsearch.tasks.tables import Table

NETS, RUNGS, N_SEEDS = ("deep", "residual"), (10, 20, 40), 3
EXTRAS = ("relu", "gelu", "tanh")


def small_table(seed: int = 0) -> Table:
    """Return the table: every accepted function of the space trained once a class, in two nets, with three seeds."""
    space = load_space("tiny")
    orders = parameter_orders(space)
    assert orders is not None
    judged = judge_whole(space, orders, lambda done, total: None)
    representatives = survey(space).representatives
    texts = [format(space.decode(ReplayChooser(space.choices_at(i)))) for i in representatives] + list(EXTRAS)
    number = {int(judged.labels[i]): place for place, i in enumerate(representatives)}
    classes = {affine: np.array([symmetry_class(text, affine=affine) for text in texts]) for affine in (True, False)}
    return Table(
        functions=tuple(texts),
        reasons=("",) * len(texts),
        classes=classes,
        candidates=np.array([number.get(int(label), -1) for label in judged.labels]),
        rows=_rows(classes[True], np.random.default_rng(seed)),
        meta={
            "space": "tiny",
            "task": "mnist1d",
            "settings": {},
            "chance": 0.1,
            "nets": list(NETS),
            "rungs": list(RUNGS),
            "n_steps": RUNGS[-1],
            "extras": list(EXTRAS),
            "n_parameters": dict.fromkeys(NETS, 123),
        },
    )


def _rows(classes: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    _, first = np.unique(classes, return_index=True)
    grid = [(f, net, seed) for net in range(len(NETS)) for seed in range(N_SEEDS) for f in np.sort(first)]
    function, net, seed = (np.array(column) for column in zip(*grid, strict=True))
    end = 0.3 + 0.4 * rng.random(len(grid))
    metric = np.stack([end / 2, end / 1.5, end], axis=1)
    diverged = np.zeros(len(grid), dtype=bool)
    diverged[0] = True
    metric[0, 1:] = 0.1
    loss = np.stack([end + 2, end + 1, end], axis=1)
    loss[0, 1:] = np.nan
    return {
        "function": function.astype(np.int16),
        "net": net.astype(np.int8),
        "normalise": np.ones(len(grid), dtype=bool),
        "seed": seed.astype(np.int8),
        "metric": metric.astype(np.float32),
        "val_loss": loss.astype(np.float32),
        "train_loss": loss.astype(np.float32),
        "test": metric[:, -1].astype(np.float32),
        "diverged": diverged,
        "seconds": np.ones(len(grid), dtype=np.float32),
    }
