"""Open what a study needs: its tasks, its Optuna studies, its folder of training states."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from actsearch.errors import StudyError
from actsearch.study.storage import storage_errors

if TYPE_CHECKING:
    from actsearch.tasks.task import Task


def load_tasks(task: Task | str | Sequence[Task | str]) -> list[Task]:
    """Return the tasks that a task, a name, a reference, or a list of these means."""
    from actsearch.tasks.load import load_task

    if isinstance(task, (list, tuple)):
        return [load_task(one) for one in task]
    return [load_task(task)]  # type: ignore[arg-type]


def check_name(name: str) -> None:
    """Check a study's name.

    Raises:
        StudyError: it is empty or holds a slash, which sets the panel and the finals apart.
    """
    if not name or "/" in name:
        raise StudyError(f"a study's name is not empty and has no slash, unlike {name!r}")


def open_study(
    name: str,
    storage: optuna.storages.BaseStorage,
    sampler: optuna.samplers.BaseSampler | None = None,
    pruner: optuna.pruners.BasePruner | None = None,
) -> optuna.Study:
    """Return a study of a storage, made when missing; scores are maximised whatever the metric."""
    with storage_errors(name):
        return optuna.create_study(
            study_name=name,
            storage=storage,
            sampler=sampler or optuna.samplers.RandomSampler(seed=0),
            pruner=pruner or optuna.pruners.NopPruner(),
            direction="maximize",
            load_if_exists=True,
        )


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from reporting every new study and trial on the terminal: callbacks do that."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


@contextmanager
def state_folder(place: str, name: str) -> Iterator[Path]:
    """Make the folder of training states: beside a storage that is a file, so that the next call finds it.

    Args:
        place: path or URL of the storage; empty when it is neither.
        name: the study's.
    """
    file = _file(place)
    if file is None:
        with tempfile.TemporaryDirectory(prefix="actsearch-") as temporary:
            yield Path(temporary)
        return
    folder = file.with_name(f"{file.name}.states") / name
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    # its user removes what is not needed any more; other studies of the storage have theirs beside it
    for empty in (folder, folder.parent):
        if empty.is_dir() and not any(empty.iterdir()):
            empty.rmdir()


def _file(place: str) -> Path | None:
    if place.startswith("sqlite:///"):
        path = place.removeprefix("sqlite:///").partition("?")[0]
        return Path(path) if path and path != ":memory:" else None
    return None if not place or "://" in place else Path(place).expanduser().resolve()
