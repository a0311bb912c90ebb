"""Whether a net can be fitted in populations: one step of real fits, compared by the states that they leave."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from actsearch.tasks._population_stack import Unstackable
from actsearch.tasks._session import Session
from actsearch.tasks._state import content_of
from actsearch.tasks.fit import FitJob, fit
from actsearch.tasks.population import fit_population

_TOLERANCE = 2e-5  # float32 rounding of sums in another order; the step of an MLP, of convolutions, attention: 4e-6
_STEPS = 16  # in which another order of summation would show
_WIDTHS = (None, 16, 32)  # slices, None being as few as hold the members
_MOMENTS = ("exp_avg", "momentum_buffer")


def probe(jobs: Sequence[FitJob]) -> tuple[str, bool]:
    """See :func:`actsearch.tasks.population.probe`."""
    with tempfile.TemporaryDirectory(prefix="actsearch-") as folder:
        jobs = [replace(job, rungs=(1, *_beyond(job)), stop_step=1) for job in jobs]
        alone = _kept(jobs, folder, "alone", lambda jobs: [fit(job) for job in jobs])
        try:
            few = _kept(jobs, folder, "few", lambda jobs: fit_population(jobs, width=len(jobs) + 1))
            first, *others = (_curves(jobs, width) for width in _WIDTHS)
        except Unstackable as unstackable:
            return str(unstackable), False
        except Exception as error:
            return f"fails in a population ({type(error).__name__}: {_first_line(error)})", False
    for job, single, member in zip(jobs, alone, few, strict=True):
        if reason := _difference(single, member):
            return f"does not give the same {reason} in a population ({job.spec})", False
    return "", all(other == first for other in others)


def _beyond(job: FitJob) -> tuple[int, ...]:
    return tuple(rung for rung in job.rungs if rung > 1)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else "no message"


def _kept(jobs: Sequence[FitJob], folder: str, name: str, run: Callable[..., Any]) -> list[dict[str, Any]]:
    """Return the states that one step leaves, in one form for single fits and members."""
    placed = [replace(job, state_path=str(Path(folder) / f"{name}-{k}.state")) for k, job in enumerate(jobs)]
    run(placed)
    return [_parts(content_of(str(job.state_path))) for job in placed]


def _parts(content: dict[str, Any]) -> dict[str, Any]:
    """Return curve, buffers, and all tensors that the optimiser holds of gradients, else the weights."""
    if "member" in content:
        member = content["member"]
        weights = member["weights"]
        states = [entry["each"] for entry in (*weights["state"].values(), *weights["own_state"].values())]
        trained = {**weights["parameters"], **weights["own"]}
        rows, named = member["rows"], trained | weights["buffers"]
    else:
        states = list(content["optimizer_states"][0]["state"].values())
        named, rows = content["state_dict"], content["callbacks"][Session.__qualname__]["rows"]
        trained = {}
    moments = [state[name] for state in states for name in _MOMENTS if isinstance(state.get(name), Tensor)]
    return {
        "curve": torch.tensor(rows, dtype=torch.float64)[:, 1:],
        "moments": moments,
        "weights": named,
        "trained": trained,
    }


def _close(a: Tensor, b: Tensor, tolerance: float = _TOLERANCE, scale: float = 0.0) -> bool:
    """Whether numbers agree within a part of the largest of them, or of ``scale``."""
    a, b = a.double().nan_to_num(), b.double().nan_to_num()
    largest = max(scale, float(a.abs().max()) if a.numel() else 0.0)
    return a.shape == b.shape and bool(((a - b).abs() <= tolerance * largest).all())


def _curves(jobs: Sequence[FitJob], width: int | None) -> list[str]:
    """Return the curves over some steps, as text: a difference of a bit, NaN or not, shows there."""
    last = min(_STEPS, jobs[0].task.n_steps)
    results = fit_population([replace(job, rungs=(last,), stop_step=last) for job in jobs], width=width)
    return [repr((result.metric, result.val_loss, result.train_loss)) for result in results]


def _difference(single: dict[str, Any], member: dict[str, Any]) -> str:
    """Return what differs, in words; empty when nothing does."""
    (_, val_loss, train_loss), (_, other_val_loss, other_train_loss) = single["curve"][0], member["curve"][0]
    # before validation came a step: where a gradient is rounding alone, such as that of a bias in front of batch
    # statistics, Adam makes a whole step of it
    if not (_close(train_loss, other_train_loss) and _close(val_loss, other_val_loss, 1e-2)):
        return "losses"
    if len(single["moments"]) != len(member["moments"]):
        return "gradients"
    scale = max((float(moment.abs().max()) for moment in single["moments"]), default=0.0)
    for moment in single["moments"]:
        same_shape = (other for other in member["moments"] if other.shape == moment.shape)
        if not any(_close(moment, other, scale=scale) for other in same_shape):
            return "gradients"
    for name, tensor in single["weights"].items():
        if name not in member["weights"]:
            return f"weights, {name} is missing,"
        # a first step of Adam is of the sign of a gradient, which may be rounding alone: moments say more
        is_compared = tensor.is_floating_point() and not (single["moments"] and name in member["trained"])
        if is_compared and not _close(tensor, member["weights"][name]):
            return f"weights, {name} differs,"
    return ""
