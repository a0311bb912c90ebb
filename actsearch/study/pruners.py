"""Pruners by name. All judge the reports of :mod:`actsearch.study.plan`."""

from __future__ import annotations

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner

from actsearch.errors import StudyError, suggest

PRUNERS = ("halving", "hyperband", "median", "none")


def make_pruner(pruner: str | BasePruner, reduction_factor: int, n_reports: int) -> BasePruner:
    """Return a pruner by name, or an Optuna pruner as it is.

    Args:
        pruner: "halving" promotes the best 1/reduction_factor of the candidates at each report, asynchronously;
            "hyperband" does so in brackets that begin at later and later reports; "median" stops what is below the
            median at a report; "none" stops nothing.
        reduction_factor: of halving and hyperband.
        n_reports: how many reports a candidate makes.

    Raises:
        StudyError: an unknown name.

    Reference:
        Li et al. 2020, "A system for massively parallel hyperparameter tuning", arXiv:1810.05934 (asynchronous
        halving); Li et al. 2018, "Hyperband", arXiv:1603.06560.
    """
    if isinstance(pruner, BasePruner):
        return pruner
    if n_reports == 1 or pruner == "none":
        return NopPruner()
    if pruner == "halving":
        return SuccessiveHalvingPruner(min_resource=1, reduction_factor=reduction_factor)
    if pruner == "hyperband":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return HyperbandPruner(
                min_resource=1, max_resource=reduction_factor ** (n_reports - 1), reduction_factor=reduction_factor
            )
    if pruner == "median":
        return MedianPruner(n_startup_trials=5)
    raise StudyError(f"unknown pruner {pruner!r}{suggest(str(pruner), PRUNERS)} (known: {', '.join(PRUNERS)})")
