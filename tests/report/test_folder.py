from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from actsearch.errors import ReportError
from actsearch.expr.program import evaluate, lower
from actsearch.expr.text import parse
from actsearch.nn.make import make
from actsearch.report import folder as folders
from actsearch.report.folder import ResultsFolder, make_folder, storage_of, write_results
from actsearch.study.result import StudyResult

from . import fakes

OPTIONS = {"space": "core_unit", "task": ["mnist1d"], "n_trials": 40, "seed": 0}


@pytest.fixture(scope="module")
def folder(result: StudyResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(result, tmp_path_factory.mktemp("results") / "core", OPTIONS)


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "write_plots", lambda result, folder: [])


def test_everything_is_there(folder: Path) -> None:
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    formulas = {f"formula/best{end}" for end in (".txt", "_sympy.py", ".tex", ".json", "_torch.py", "_numpy.py")}
    tables = {"leaderboard.csv", "leaderboard.md", "trials.csv", "comparison.csv", "comparison.md"}
    about = {"README.md", "config.yaml", "settings.json", "environment.json"}
    stems = ("curves", "history", "learning_curves", "finals")
    plots = {f"plots/{stem}.{end}" for stem in stems for end in ("png", "svg")}
    assert names == formulas | tables | about | plots


def test_the_leaderboard_is_the_studys(folder: Path, result: StudyResult) -> None:
    rows = list(csv.DictReader((folder / "leaderboard.csv").read_text().splitlines()))
    candidates = [row["function"] for row in rows if row["rank"] != "panel"]
    assert candidates == [row.expr for row in result.leaderboard()]


def test_every_export_is_the_normalised_best(folder: Path, result: StudyResult) -> None:
    expected = make(result.best, normalise=True).expr
    written = parse((folder / "formula" / "best.txt").read_text())
    x = np.linspace(-4, 4, 50)
    assert np.array_equal(evaluate(lower(written), x), evaluate(lower(expected), x))


def test_the_summary_says_what_was_shown_and_how_to_do_it_again(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    assert "Not shown:" in text
    assert "Tried: 100 distinct functions" in text
    assert "null control" in text
    assert f"actsearch search --config {folder / 'config.yaml'} --out {folder}-again" in text
    linked = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(linked) == 4
    assert all((folder / name).is_file() for name in linked)


def test_settings_options_and_environment_are_kept(folder: Path) -> None:
    assert yaml.safe_load((folder / "config.yaml").read_text()) == OPTIONS
    assert json.loads((folder / "settings.json").read_text())["normalise"] is True
    environment = json.loads((folder / "environment.json").read_text())
    assert {"torch", "optuna", "actsearch"} <= set(environment["packages"])
    assert environment["n_cpus"] >= 1


def test_writing_again_replaces_ours_and_leaves_others_alone(
    result: StudyResult, tmp_path: Path, no_plots: None
) -> None:
    write_results(result, tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "plots").mkdir(exist_ok=True)
    (tmp_path / "plots" / "finals.png").write_text("of an earlier run with finals")
    write_results(fakes.run(finals=False), tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / "plots" / "finals.png").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".writing")]


def test_a_full_disk_leaves_what_was_there(
    result: StudyResult, tmp_path: Path, no_plots: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_results(result, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, "summary", full)
    with pytest.raises(ReportError, match=r"No space left on device; the study itself is kept in core.journal"):
        write_results(result, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_folder_that_cannot_be_made_is_one_sentence(result: StudyResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for attempt in (make_folder, lambda place: write_results(result, place)):
        with pytest.raises(ReportError, match="cannot be written"):
            attempt(tmp_path / "file" / "results")


def test_a_study_without_a_finished_candidate_is_written_too(tmp_path: Path) -> None:
    write_results(fakes.run(n_trials=0, finals=False), tmp_path)
    assert "No finals were held" in (tmp_path / "README.md").read_text()
    assert not (tmp_path / "formula").exists()
    assert (tmp_path / "plots" / "history.svg").is_file()


def test_as_a_callback_it_keeps_its_error_for_the_caller(result: StudyResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    callback = ResultsFolder(tmp_path / "file" / "results", OPTIONS)
    callback.close(None)
    assert callback.error is None
    callback.close(result)
    assert isinstance(callback.error, ReportError)


def test_the_storage_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="holds no results"):
        storage_of(tmp_path)
    (tmp_path / "study.journal").write_text("")
    assert storage_of(tmp_path) == str(tmp_path / "study.journal")
    (tmp_path / "config.yaml").write_text("storage: sqlite:///x.db\n")
    assert storage_of(tmp_path) == "sqlite:///x.db"
