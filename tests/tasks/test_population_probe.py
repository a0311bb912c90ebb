"""Which nets can be fitted in populations: a net that passes is fitted as by itself, one that cannot is told why."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from actsearch.tasks._state import content_of
from actsearch.tasks.fit import FitJob, fit
from actsearch.tasks.population import fit_population, probe
from tests.tasks import own_model as own
from tests.tasks.jobs import job, own_task

SPECS = ("relu", "tanh", "x * sigmoid(beta[1.0] * x)")


class Points(nn.Module):
    """Two numbers as a sequence of two points of 16 features."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(1, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(x[..., None])


class SelfAttention(nn.Module):
    """Torch's own attention, followed by an activation and a mean over the sequence."""

    def __init__(self, activation: Any) -> None:
        super().__init__()
        self.points, self.attention = Points(), nn.MultiheadAttention(16, 2, batch_first=True)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        points = self.points(x)
        attended, _ = self.attention(points, points, points, need_weights=False)
        return self.activation(attended).mean(1)


class Recurrent(nn.Module):
    """A GRU, which has no rule under vmap."""

    def __init__(self, activation: Any) -> None:
        super().__init__()
        self.points, self.cell, self.activation = Points(), nn.GRU(16, 16, batch_first=True), activation()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.cell(self.points(x))[0][:, -1])


class Transformer(nn.Module):
    """Torch's layer, whose feed-forward part has the activation."""

    def __init__(self, activation: Any, dropout: float) -> None:
        super().__init__()
        self.points = Points()
        self.layer = nn.TransformerEncoderLayer(16, 2, 16, dropout=dropout, activation=activation(), batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.points(x)).mean(1)


def layers(between: Callable[[], nn.Module]) -> Callable[[Any], nn.Module]:
    return lambda activation: nn.Sequential(nn.Linear(2, 16), between(), activation())


def around(body: Callable[[Any], nn.Module]) -> type[own.Net]:
    """Return a net of :mod:`own_model` around a body that turns (batch, 2) into (batch, 16)."""

    class Body(own.Net):
        def __init__(self, activation: Any) -> None:
            super().__init__(activation)
            self.net = nn.Sequential(body(activation), nn.Linear(16, 1))

    return Body


SHIPPED_LAYERS: dict[str, Callable[[Any], nn.Module]] = {
    "dropout": layers(lambda: nn.Dropout(0.2)),
    "batch_norm": layers(lambda: nn.BatchNorm1d(16)),
    "layer_norm": layers(lambda: nn.LayerNorm(16)),
    "attention": SelfAttention,
    "transformer": lambda activation: Transformer(activation, 0.0),
}
ACCEPTED: dict[str, tuple[type[Any], type[Any]]] = {
    **{name: (around(body), own.Data) for name, body in SHIPPED_LAYERS.items()},
    "one_cycle": (own.OneCycleNet, own.Data),
    "two_loaders": (own.TwoLoadersNet, own.TwoLoaders),
    "augmented": (own.Net, own.Augmented),
    "no_length": (own.Net, own.NoLength),
}
REFUSED: dict[str, tuple[type[Any], str]] = {
    "recurrent": (around(Recurrent), "fails in a population"),
    "transformer_dropout": (around(lambda activation: Transformer(activation, 0.2)), "does not give the same"),
    "plateau": (own.PlateauNet, "lowers its learning rate by a metric"),
    "manual": (own.ManualNet, "optimises by hand"),
    "hook": (own.StoppingNet, "defines on_train_batch_end"),
}
SHARED = nn.Linear(2, 16)
REFUSED["shared"] = around(lambda activation: nn.Sequential(SHARED, activation())), "has layers that all"
CHEAP = ("layer_norm", "manual", "hook")
some = [pytest.param(name, marks=[] if name in CHEAP else pytest.mark.slow) for name in (*ACCEPTED, *REFUSED)]


def jobs_of(module: Any, data: Any = own.Data, **trainer_options: Any) -> list[FitJob]:
    task = dataclasses.replace(own_task(module, data), trainer_options=trainer_options)
    return [job(task, (1, 20), spec=spec) for spec in SPECS]


def after_one_step(jobs: list[FitJob], folder: Path, run: Callable[[list[FitJob]], Any]) -> list[dict[str, Any]]:
    folder.mkdir()
    placed = [dataclasses.replace(one, stop_step=1, state_path=str(folder / f"{k}")) for k, one in enumerate(jobs)]
    run(placed)
    return [content_of(str(one.state_path)) for one in placed]


def gradients(states: dict[str, dict[str, Any]]) -> dict[str, Tensor]:
    """Return what the optimiser keeps of the first gradients: themselves, of Adam a tenth of them."""
    return {name: state.get("momentum_buffer", state.get("exp_avg")) for name, state in states.items()}


def single(content: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return weights with buffers, and gradients, by name."""
    weights = content["state_dict"]
    trained = [name for name in weights if not name.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    states = content["optimizer_states"][0]["state"]
    return weights, gradients({trained[number]: state for number, state in states.items()})


def member(content: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the same of a member of a population."""
    weights = content["member"]["weights"]
    states = {name: entry["each"] for name, entry in (weights["state"] | weights["own_state"]).items()}
    return weights["parameters"] | weights["own"] | weights["buffers"], gradients(states)


@pytest.mark.parametrize("name", [p for p in some if p.values[0] in ACCEPTED])
def test_a_net_that_passes_steps_as_by_itself(name: str, tmp_path: Path) -> None:
    jobs = jobs_of(*ACCEPTED[name])
    assert probe(jobs)[0] == ""
    alone = after_one_step(jobs, tmp_path / "single", lambda jobs: [fit(one) for one in jobs])
    together = after_one_step(jobs, tmp_path / "together", fit_population)
    for one, other in zip(alone, together, strict=True):
        (weights, slopes), (its_weights, its_slopes) = single(one), member(other)
        assert (its_weights.keys(), its_slopes.keys()) == (weights.keys(), slopes.keys())
        steepest = max(float(slope.abs().max()) for slope in slopes.values())
        for key, slope in slopes.items():
            assert_close(its_slopes[key], slope, steepest, key)
        for key, weight in weights.items():
            # a first step of Adam is of the sign of the gradient, which may be rounding alone
            sure = slopes[key].abs() > 1e-4 * steepest if key in slopes else torch.ones_like(weight, dtype=torch.bool)
            assert_close(its_weights[key][sure], weight[sure], float(weight.abs().max()), key)


def assert_close(found: Tensor, expected: Tensor, scale: float, name: str) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * scale, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("name", ACCEPTED)
def test_a_net_that_passes_is_fitted_as_by_itself(name: str) -> None:
    jobs = jobs_of(*ACCEPTED[name], precision="64-true")
    for one, member in zip(jobs, fit_population(jobs), strict=True):
        alone = fit(one)
        assert member.val_loss == pytest.approx(alone.val_loss, rel=1e-6)
        assert member.train_loss == pytest.approx(alone.train_loss, rel=1e-6)


@pytest.mark.parametrize("name", [p for p in some if p.values[0] in REFUSED])
def test_a_net_that_cannot_be_stacked_is_refused_with_the_reason(name: str) -> None:
    module, reason = REFUSED[name]
    assert probe(jobs_of(module))[0].startswith(reason)
