"""A W&B run for each final fit, through Lightning's logger; offline, without network."""

from __future__ import annotations

import pytest
import wandb

from actsearch import load_task, search
from actsearch.errors import ReportError
from actsearch.report.track_fit import fit_logger, fit_loggers

FEW = {"n_trials": 2, "finalists": 1, "n_replicates": 2, "n_workers": 0, "panel": ("relu", "silu"), "n_null_control": 0}


def test_every_final_fit_is_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    wandb.setup()  # as when another run went before: from here on wandb ignores the environment's WANDB_MODE
    loggers = fit_loggers("offline", tmp_path, "actsearch", "few")
    plain = search("tiny", load_task("toy", n_steps=20), storage=tmp_path / "plain.journal", **FEW)
    result = search(
        "tiny", load_task("toy", n_steps=20), storage=tmp_path / "logged.journal", final_logger=loggers, **FEW
    )
    n_functions = len(result.finals.rows)
    runs = list((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == n_functions * 2
    assert all(list(run.glob("run-*.wandb")) for run in runs)
    # a logger has no part in what is fitted
    assert [row.per_replicate for row in result.finals.rows] == [row.per_replicate for row in plain.finals.rows]


def test_a_fit_goes_on_where_wandb_fails(monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise wandb.errors.CommError("no server")

    monkeypatch.setattr("wandb.init", fail)
    assert fit_logger("one", folder="unused", project="p", group="g", mode="offline") is False
    assert "goes on without it" in caplog.text


def test_needs_wandb():
    with pytest.raises(ReportError, match="offline or online, not 'off'"):
        fit_loggers("off", "folder", "project", "group")
