"""The loop that one would write with Optuna and Lightning: what searches are measured against.

Optuna's TPE over the space ``core_unit``, in processes that share a journal; a trial is one Lightning Trainer a net,
with DataLoaders, the formula evaluated by torch operations (``sympy.lambdify``), nothing stopped early, nothing
normalised. Betas are numbers there and do not learn.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import optuna
import sympy
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import actsearch
from actsearch.tasks._mnist1d_data import splits

SPACE, TASK, NETS, PROCESSES, BATCH = "core_unit", "mnist1d", ["deep", "residual"], 2, 100
X = sympy.Symbol("x", real=True)
UNARY: dict[str, Callable[[Any], Any]] = {
    "x": lambda a: a, "-x": lambda a: -a, "abs": sympy.Abs, "x^2": lambda a: a**2, "x^3": lambda a: a**3,
    "sqrt": sympy.sqrt, "beta*x": lambda a: 1.0 * a, "x+beta": lambda a: a + 1.0,
    "log": lambda a: sympy.log(sympy.Abs(a) + 1e-7), "exp": sympy.exp, "sin": sympy.sin, "cos": sympy.cos,
    "sinh": sympy.sinh, "cosh": sympy.cosh, "tanh": sympy.tanh, "asinh": sympy.asinh, "atan": sympy.atan,
    "sinc": lambda a: sympy.sin(a) / a, "max": lambda a: sympy.Max(a, 0), "min": lambda a: sympy.Min(a, 0),
    "sigmoid": lambda a: 1 / (1 + sympy.exp(-a)), "softplus": lambda a: sympy.log(1 + sympy.exp(a)),
    "gauss": lambda a: sympy.exp(-(a**2)), "erf": sympy.erf, "beta": lambda a: sympy.Float(1.0),
}  # fmt: skip
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b, "*": lambda a, b: a * b, "-": lambda a, b: a - b, "/": lambda a, b: a / (b + 1e-7),
    "max": sympy.Max, "min": sympy.Min, "gate": lambda a, b: b / (1 + sympy.exp(-a)),
    "gauss": lambda a, b: sympy.exp(-((a - b) ** 2)), "laplace": lambda a, b: sympy.exp(-sympy.Abs(a - b)),
    "mix": lambda a, b: 0.5 * a + 0.5 * b,
}  # fmt: skip
NAMES = {
    "Abs": torch.abs,  # the names that SymPy prints
    "max": lambda *rest: _extreme(torch.maximum, *rest),
    "min": lambda *rest: _extreme(torch.minimum, *rest),
}


def _extreme(function: Callable[..., torch.Tensor], *values: Any) -> torch.Tensor:
    like = next(value for value in values if isinstance(value, torch.Tensor))
    first, *rest = (value if isinstance(value, torch.Tensor) else torch.full_like(like, value) for value in values)
    for value in rest:
        first = function(first, value)
    return first


class Lambda(nn.Module):
    """A formula in torch operations."""

    def __init__(self, expr: sympy.Expr) -> None:
        super().__init__()
        self.function = sympy.lambdify(X, expr, modules=[NAMES, torch])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        value = self.function(x)
        return value if isinstance(value, torch.Tensor) else torch.full_like(x, float(value))


def quiet() -> None:
    """Set a worker of the loop up, once."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)


def open_study(journal: str | Path, seed: int = 0) -> optuna.Study:
    """Return the loop's study, made where it is missing."""
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    return optuna.create_study(
        study_name="loop",
        storage=optuna.storages.JournalStorage(backend),
        sampler=optuna.samplers.TPESampler(seed=seed),
        direction="maximize",
        load_if_exists=True,
    )


def run_trials(
    journal: str | Path, seed: int, n_steps: int, n_trials: int | None = None, seconds: float | None = None
) -> None:
    """Run ``n_trials`` of the loop in this process, or begin trials for so many seconds."""
    torch.manual_seed(seed)
    open_study(journal, seed).optimize(partial(objective, n_steps=n_steps), n_trials=n_trials, timeout=seconds)


def objective(trial: optuna.Trial, n_steps: int) -> float:
    """Return the mean validation accuracy of a candidate over the nets."""
    left, right = (trial.suggest_categorical(name, list(UNARY)) for name in ("left", "right"))
    expr = expression(left, right, trial.suggest_categorical("binary", list(BINARY)))
    return sum(train(expr, net, n_steps) for net in NETS) / len(NETS)


def expression(left: str, right: str, binary: str) -> sympy.Expr:
    """Return what a trial's choices mean."""
    return BINARY[binary](UNARY[left](X), UNARY[right](X))


def train(expr: sympy.Expr, net: str, n_steps: int, data_seed: int | None = None) -> float:
    """Train one net and return its validation accuracy; torch's random state is what it is.

    Args:
        expr: the activation.
        net: the net.
        n_steps: batches.
        data_seed: of freshly generated data; None: the published ones.
    """
    module = actsearch.load_task(TASK, NETS, n_steps=n_steps).nets[net](lambda: Lambda(expr))
    training, validation, _ = (TensorDataset(*split) for split in splits(data_seed))
    trainer = lightning.Trainer(
        max_steps=n_steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader(training, batch_size=BATCH, shuffle=True))
    (metrics,) = trainer.validate(module, DataLoader(validation, batch_size=BATCH), verbose=False)
    return metrics["val_accuracy"]
