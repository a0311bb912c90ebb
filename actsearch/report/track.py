"""A mirror of a study in Weights & Biases: one run a study, offline unless asked otherwise, never read back.

All of wandb lives in one thread of its own: importing, starting and finishing it takes seconds, which pass beside the
first fits. Whatever fails there is one warning; the study goes on, and its storage holds everything anyway.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from actsearch.errors import ReportError, suggest
from actsearch.report import tables
from actsearch.report.grid import Grid
from actsearch.report.plots import write_plots
from actsearch.report.progress import phase_name
from actsearch.report.records import Record, ranked, record, records
from actsearch.report.verdict import verdict
from actsearch.study.result import StudyResult

MODES = ("offline", "online", "off")
START_SECONDS = 30
"""How long wandb may try to reach its server before the run is given up."""
END_SECONDS = 120
"""How long the end of a study waits for wandb to write or upload what is left."""

_log = logging.getLogger(__name__)
_END = object()


def tracker(mode: str, folder: str | Path, project: str = "actsearch") -> Tracker | None:
    """Return a tracker for ``mode``, None for "off".

    Args:
        mode: "off"; "offline" writes under ``folder/wandb``, for ``wandb sync`` to upload later; "online" uploads.
        folder: the results folder.
        project: the W&B project.

    Raises:
        ReportError: there is no such mode.
    """
    if mode not in MODES:
        raise ReportError(f"wandb is one of {', '.join(MODES)}, not {mode!r}{suggest(mode, MODES)}")
    return None if mode == "off" else Tracker(Path(folder), "online" if mode == "online" else "offline", project)


class Tracker:
    """An Optuna-style callback that mirrors the search in one W&B run.

    The run holds the settings, the score of every candidate with the best so far, and at the end the table of trials,
    the leaderboard, the finals, the pictures, and the best formula as an artifact. Pictures and formulas are those of
    the results folder where it is written already.
    """

    def __init__(
        self,
        folder: Path,
        mode: Literal["offline", "online"] = "offline",
        project: str = "actsearch",
        *,
        start_seconds: float = START_SECONDS,
        end_seconds: float = END_SECONDS,
    ) -> None:
        self.folder = folder
        self.mode = mode
        self.project = project
        self.warning = ""
        self._start_seconds, self._end_seconds = start_seconds, end_seconds
        self._events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, study: Any, config: Mapping[str, Any]) -> None:
        """Begin to start the run; returns at once."""
        best = [row.score for row in ranked(records(study.get_trials(deepcopy=False)))[:1]]
        arguments = (study.study_name, dict(config), best[0] if best else None)
        self._thread = threading.Thread(target=self._work, args=arguments, name="wandb", daemon=True)
        self._thread.start()

    def __call__(self, study: Any, trial: Any) -> None:
        """Hand over one ended trial; returns at once."""
        if phase_name(study.study_name) == "search":
            self._events.put(record(trial))

    def close(self, result: StudyResult | None = None) -> None:
        """Hand over the end, and wait until all is written."""
        if self._thread is None or not self._thread.is_alive():
            return
        try:
            if result is not None:
                self._events.put(self._content(result))
        except Exception as error:
            self._warn(f"{type(error).__name__}: {error}")
        self._events.put(_END)
        self._thread.join(self._end_seconds)
        if self._thread.is_alive():
            self._warn(f"it did not finish within {self._end_seconds:g} s")

    def _work(self, name: str, config: dict[str, Any], best: float | None) -> None:
        """Own wandb from import to finish."""
        try:
            with _staging_in(self.folder / "wandb" / "data"):
                run = self._begin(name, config)
                while (event := self._events.get()) is not _END:
                    if isinstance(event, Record):
                        best = _log_trial(run, event, best)
                    else:
                        _log_end(run, event)
                run.finish()
        except Exception as error:
            self._warn(f"{type(error).__name__}: {error}")

    def _begin(self, name: str, config: dict[str, Any]) -> Any:
        self.folder.mkdir(parents=True, exist_ok=True)
        import wandb

        if self.mode == "online" and not wandb.login(prompt=False):
            raise ReportError("there is no API key; say 'wandb login' once, or use --wandb offline")
        settings = wandb.Settings(
            silent=True,
            console="off",  # the terminal belongs to the display
            disable_git=True,
            disable_code=True,
            x_disable_stats=True,
            init_timeout=self._start_seconds,
        )
        run = wandb.init(
            project=self.project,
            name=name,
            id=_run_id(self.folder),
            resume="allow" if self.mode == "online" else None,
            config=config,
            mode=self.mode,
            dir=str(self.folder),
            reinit="create_new",
            settings=settings,
        )
        run.define_metric("trial")
        run.define_metric("*", step_metric="trial")
        return run

    def _content(self, result: StudyResult) -> dict[str, Any]:
        """Gather in the caller's thread what the end holds, as plain data and paths."""
        rows = records(result.study.get_trials(deepcopy=False))
        plots = self.folder / "plots"
        if not plots.is_dir():
            plots.mkdir(parents=True)
            write_plots(result, plots)
        content: dict[str, Any] = {
            "name": result.name,
            "tables": {"trials": tables.trials(rows), "leaderboard": tables.leaderboard(rows)},
            "summary": {"n_trained": result.n_trained, "verdict": verdict(result.finals)},
            "pictures": sorted(plots.glob("*.png")),
            "formulas": sorted(path for path in (self.folder / "formula").glob("*") if path.is_file()),
        }
        if result.finals is not None:
            content["tables"]["finals"] = tables.comparison(result.finals)
        if leaders := result.leaderboard(1):
            content["summary"] |= {"best": result.best, "best_score": leaders[0].score}
        return content

    def _warn(self, reason: str) -> None:
        if not self.warning:
            self.warning = re.sub(r"\s+", " ", reason)
            _log.warning("W&B is off for this study, which goes on without it: %s", self.warning)


@contextmanager
def _staging_in(folder: Path) -> Iterator[None]:
    """Let wandb stage files of artifacts beside the run, not in the home folder, unless the user said where."""
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str(folder.resolve())
    try:
        yield
    finally:
        os.environ.pop("WANDB_DATA_DIR", None)


def _log_trial(run: Any, row: Record, best: float | None) -> float | None:
    if row.outcome == "finished" and row.score is not None:
        best = row.score if best is None else max(best, row.score)
    values = {"trial": row.number, "score": row.score, "best_score": best, "seconds": row.seconds}
    run.log({name: value for name, value in values.items() if value is not None})
    return best


def _log_end(run: Any, content: Mapping[str, Any]) -> None:
    import wandb

    run.log({name: _table(grid) for name, grid in content["tables"].items()})
    run.log({f"plots/{path.stem}": wandb.Image(str(path)) for path in content["pictures"]})
    if content["formulas"]:
        artifact = wandb.Artifact(f"formula-{_artifact_name(content['name'])}", type="formula")
        for path in content["formulas"]:
            artifact.add_file(str(path))
        run.log_artifact(artifact)
    run.summary.update(content["summary"])


def _table(grid: Grid) -> Any:
    import wandb

    return wandb.Table(columns=list(grid.header), data=[list(row) for row in grid.rows], allow_mixed_types=True)


def _run_id(folder: Path) -> str:
    """Return the id of the study's run; a study that goes on goes on in the same run."""
    path = folder / "wandb" / "run-id"
    if path.is_file() and (stored := path.read_text(encoding="utf-8").strip()):
        return stored
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(new := uuid.uuid4().hex[:8], encoding="utf-8")
    return new


def _artifact_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)
