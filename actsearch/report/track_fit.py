"""A W&B run for each final fit, through Lightning's own logger: losses and metrics as Lightning logs them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from actsearch.errors import ReportError

_log = logging.getLogger(__name__)


def fit_loggers(mode: str, folder: str | Path, project: str, group: str) -> Callable[[str], Any]:
    """Return what makes the Lightning logger of a fit from the fit's name; it can be sent to a worker.

    Args:
        mode: "offline" (under ``folder/wandb``) or "online".
        folder: the results folder.
        project: the W&B project.
        group: the runs' group: the study's name.

    Raises:
        ReportError: W&B is off.
    """
    if mode not in ("offline", "online"):
        raise ReportError(f"runs for the final fits need wandb offline or online, not {mode!r}")
    return partial(fit_logger, folder=str(Path(folder).resolve()), project=project, group=group, mode=mode)


def fit_logger(name: str, *, folder: str, project: str, group: str, mode: str) -> Any:
    """Return the WandbLogger of one fit, whose run ends with the fit; False, with a warning, when wandb fails."""
    import wandb
    from lightning.pytorch.loggers import WandbLogger

    class FitLogger(WandbLogger):
        """A WandbLogger that ends its run, since the next fit of this worker is another run."""

        def finalize(self, status: str) -> None:
            """End the run."""
            super().finalize(status)
            self.experiment.finish()

    try:
        # the mode goes in as a setting: the logger's own `offline` sets an environment variable, which wandb no longer
        # reads once anything in the process has used it
        settings = wandb.Settings(
            mode=cast(Literal["online", "offline"], mode),
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            x_disable_stats=True,
        )
        logger = FitLogger(name=name, project=project, group=group, save_dir=folder, settings=settings)
        logger.experiment  # noqa: B018 - starts the run, so that what fails does so here
    except Exception as error:
        _log.warning("no W&B run for the fit %s, which goes on without it: %s", name, error)
        return False
    return logger
