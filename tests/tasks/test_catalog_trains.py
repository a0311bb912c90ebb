"""Every named activation trains: better than chance on three spirals after 60 steps."""

from __future__ import annotations

import pytest

from actsearch.expr import catalog
from actsearch.tasks.fit import FitJob, fit
from actsearch.tasks.load import load_task


@pytest.mark.slow
@pytest.mark.parametrize("name", catalog.names())
def test_every_row_trains(name: str) -> None:
    task = load_task("toy")
    job = FitJob(
        task=task,
        net=task.cells[0].net,
        spec=name,
        normalise=True,
        study_seed=0,
        replicate=0,
        learning_rate_factor=1.0,
        rungs=(task.n_steps,),
        stop_step=task.n_steps,
    )
    result = fit(job)
    assert result.status == "finished", result.reason
    assert result.metric[0] > task.chance + 0.1
