"""The results of a study in one folder: a file appears whole or not at all, and what was there stays until then."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from actsearch.errors import ReportError, StudyError
from actsearch.expr.text import format as format_expr
from actsearch.report import tables
from actsearch.report.environment import environment
from actsearch.report.export import export, expression_of, suffix
from actsearch.report.figures.finals import finals as finals_figure
from actsearch.report.plots import save, write_plots
from actsearch.report.records import baselines, records
from actsearch.report.summary import summary
from actsearch.study.comparison import Comparison
from actsearch.study.result import StudyResult

# the formats that are compared with the original by what every installation has; ``actsearch export`` knows more
FORMATS = ("text", "sympy", "latex", "json", "torch", "numpy")


def write_results(result: StudyResult, folder: str | Path, options: Mapping[str, Any] | None = None) -> Path:
    """Write everything a study found into ``folder`` and return the folder.

    Args:
        result: a finished or interrupted study's.
        folder: made when missing; files of an earlier run are replaced, others are left alone.
        options: those of the command line, written as ``config.yaml``, from which the same run can be started.

    Raises:
        ReportError: the folder cannot be written; what it held before is still there.
        ExportError: the best formula differs from what an exporter wrote.
    """
    folder = Path(folder)
    kept = f"; the study itself is kept in {result.storage}" if result.storage else ""
    with _report_errors(folder, kept):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
            _write_all(result, Path(temporary), folder, options)
            _move_into(Path(temporary), folder)
    return folder


def make_folder(folder: Path) -> Path:
    """Make a folder and check that files can be written there, before any time is spent on results.

    Raises:
        ReportError: it cannot be made or written.
    """
    with _report_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    return folder


def storage_of(folder: Path) -> str:
    """Return the storage of the study whose results a folder holds.

    Raises:
        ReportError: the folder holds no results.
    """
    options = folder / "config.yaml"
    stored = yaml.safe_load(options.read_text(encoding="utf-8")) if options.is_file() else {}
    storage = (stored or {}).get("storage") or str(folder / "study.journal")
    if "://" not in storage and not Path(storage).is_file():
        raise ReportError(f"{str(folder)!r} holds no results of a study: there is no {storage}")
    return str(storage)


def write_comparison(finals: Comparison, folder: Path) -> Path:
    """Write the tables and the picture of a comparison into a folder that exists.

    Raises:
        ReportError: the folder cannot be written.
    """
    with _report_errors(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".writing-") as temporary:
        new = Path(temporary)
        _comparison(finals, new)
        _json(new / "environment.json", environment())
        (new / "plots").mkdir()
        save(lambda: finals_figure(finals), new / "plots" / "finals")
        _move_into(new, folder)
    return folder


@contextmanager
def _report_errors(folder: Path, kept: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, ReportError):
            raise
        raise ReportError(f"results cannot be written to {str(folder)!r}: {error.strerror or error}{kept}") from error


def _comparison(finals: Comparison, folder: Path) -> None:
    table = tables.comparison(finals)
    _text(folder / "comparison.csv", table.csv())
    _text(folder / "comparison.md", table.markdown())


def _write_all(result: StudyResult, folder: Path, target: Path, options: Mapping[str, Any] | None) -> None:
    rows = records(result.study.get_trials(deepcopy=False))
    panel = baselines(records(result.panel_study.get_trials(deepcopy=False)))
    leaders = tables.leaderboard(rows, panel[0] if panel else None)
    _text(folder / "leaderboard.csv", leaders.csv())
    _text(folder / "leaderboard.md", leaders.markdown())
    _text(folder / "trials.csv", tables.trials(rows).csv())
    if result.finals is not None:
        _comparison(result.finals, folder)
    _json(folder / "settings.json", dict(result.config))
    _json(folder / "environment.json", environment())
    if options is not None:
        _text(folder / "config.yaml", yaml.safe_dump(dict(options), sort_keys=False, allow_unicode=True))
    best = _formulas(result, folder / "formula")
    (folder / "plots").mkdir()
    plots = write_plots(result, folder / "plots")
    pictures = [f"plots/{path.name}" for path in plots if path.suffix == ".png"]
    _text(folder / "README.md", summary(result, best, _reproduce(result, target, options), pictures))


def _formulas(result: StudyResult, folder: Path) -> str | None:
    """Write the best function in ``FORMATS``; return its text, None when there is none."""
    try:
        expr = expression_of(result)
    except StudyError:  # no candidate finished: that is a result, told in the summary
        return None
    folder.mkdir()
    for name in FORMATS:
        export(expr, name, folder / f"best{suffix(name)}")
    return format_expr(expr)


def _reproduce(result: StudyResult, folder: Path, options: Mapping[str, Any] | None) -> str:
    if options is not None:
        return f"actsearch search --config {folder / 'config.yaml'} --out {folder}-again"
    return f"actsearch.search({result.config.get('space')!r}, ...)  # with the settings of settings.json"


def _move_into(source: Path, target: Path) -> None:
    """Move every file to its place by renaming; formulas and pictures of an earlier run that have no successor go."""
    for stale in (target / "plots", target / "formula"):
        wanted = {path.name for path in (source / stale.name).glob("*")}
        for path in stale.glob("*"):
            if path.is_file() and path.name not in wanted:
                path.unlink()
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            os.replace(path, place)


def _text(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")


def _json(path: Path, content: Any) -> None:
    _text(path, json.dumps(content, indent=2, default=str) + "\n")


class ResultsFolder:
    """Writes the folder when a study closes; keeps an error for the caller, as a callback's would be only a warning."""

    def __init__(self, folder: Path, options: Mapping[str, Any], write: Callable[..., Path] = write_results) -> None:
        self.folder = folder
        self.options = options
        self.error: Exception | None = None
        self._write = write

    def __call__(self, study: Any, trial: Any) -> None:
        """Nothing is written before the end: the storage has every trial."""

    def close(self, result: StudyResult | None) -> None:
        """Write what there is."""
        if result is None:
            return
        try:
            self._write(result, self.folder, self.options)
        except Exception as error:
            self.error = error
