"""Populations: as their single fits, to the bit whoever the neighbours are, resumed in any company."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import nn

from actsearch.errors import TaskError
from actsearch.nn.make import make
from actsearch.tasks._population_stack import width_of
from actsearch.tasks.fit import FitJob, FitResult, fit
from actsearch.tasks.load import load_task
from actsearch.tasks.population import fit_population
from tests.tasks.jobs import job as single_job
from tests.tasks.jobs import numbers

SPECS = ("relu", "x * sigmoid(beta[1.0] * x)", "tanh", "x * sigmoid(beta[1.0, channel] * x)", "gelu")
DIVERGING = "exp(exp(exp(x + 4)))"


def job(spec: str, precision: str = "32-true", **changes: Any) -> FitJob:
    return single_job(load_task("toy", precision=precision), (8, 16), spec=spec, **changes)


def fitted(*jobs: FitJob, **settings: Any) -> list[FitResult]:
    return [numbers(result) for result in fit_population(jobs, **settings)]


def test_float64_fits_equal_single_ones() -> None:
    jobs = [job(spec, "64-true", normalise=True) for spec in SPECS]
    for one, result in zip(jobs, fit_population(jobs), strict=True):
        alone = fit(one)
        for name in ("metric", "val_loss", "train_loss"):
            assert getattr(result, name) == pytest.approx(getattr(alone, name), abs=1e-6)
        assert (result.n_parameters, result.learned is None) == (alone.n_parameters, alone.learned is None)


@pytest.mark.parametrize("order", [1, -1])
def test_one_activation_in_all_places_stays_one(order: int) -> None:
    specs = ("prelu(granularity=shared)", "x * sigmoid(beta[1.0] * x)", "relu")[::order]
    jobs = [job(spec, "64-true") for spec in specs]
    for one, result in zip(jobs, fit_population(jobs), strict=True):
        alone = fit(one)
        assert result.n_parameters == alone.n_parameters
        assert result.val_loss == pytest.approx(alone.val_loss, abs=1e-6)


def test_a_float32_fit_begins_as_its_single_one() -> None:
    (result,) = fit_population([single_job(load_task("toy"), (1,), spec="silu")])
    assert result.val_loss == pytest.approx(fit(single_job(load_task("toy"), (1,), spec="silu")).val_loss, rel=1e-5)


def test_a_score_does_not_depend_on_the_neighbours_nor_on_the_place() -> None:
    five = dict(zip(SPECS, fitted(*map(job, SPECS)), strict=True))
    others = ("elu", DIVERGING, *reversed(SPECS), "sin(x)", "mish", "softplus")
    ten = dict(zip(others, fitted(*map(job, others)), strict=True))
    assert ten[DIVERGING].status == "diverged"
    assert "nan" in ten[DIVERGING].reason or "inf" in ten[DIVERGING].reason
    assert {spec: ten[spec] for spec in SPECS} == five
    assert fitted(job("tanh")) == [five["tanh"]]
    assert fitted(job("tanh"), width=32) == [five["tanh"]]


def test_a_diverged_member_gets_chance_where_it_did_not_come() -> None:
    fine, diverged = fitted(job("tanh"), job(DIVERGING))
    alone = numbers(fit(job(DIVERGING)))
    assert (diverged.metric, diverged.reason) == (alone.metric, alone.reason)
    assert fine.status == "finished"


def test_all_may_diverge() -> None:
    assert [result.status for result in fit_population([job(DIVERGING)] * 2)] == ["diverged"] * 2


def test_members_go_on_from_their_states_in_other_company(tmp_path: Path) -> None:
    whole = dict(zip(SPECS, fitted(*map(job, SPECS)), strict=True))
    paths = {spec: str(tmp_path / f"{number}.state") for number, spec in enumerate(SPECS)}
    fit_population([job(spec, stop_step=8, state_path=paths[spec]) for spec in SPECS[:3]])
    fit_population([job(spec, stop_step=8, state_path=paths[spec]) for spec in SPECS[3:]])
    mixed = [SPECS[4], SPECS[1], SPECS[3], "sin(x)"]
    results = fitted(*(job(spec, state_path=paths.get(spec, str(tmp_path / "new.state"))) for spec in mixed))
    assert results[:3] == [whole[spec] for spec in mixed[:3]]
    assert results[3:] == fitted(job("sin(x)"))


def test_a_state_is_resumed_and_a_damaged_one_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from actsearch.tasks._population_session import PopulationSession

    seen: list[int] = []
    after = PopulationSession.on_train_batch_end
    monkeypatch.setattr(
        PopulationSession, "on_train_batch_end", lambda self, *rest: (seen.append(self.step), after(self, *rest))[1]
    )
    path = tmp_path / "one.state"
    fit_population([job("tanh", stop_step=8, state_path=str(path))])
    fit_population([job("tanh", state_path=str(path))])
    assert seen == list(range(1, 17))
    path.write_bytes(path.read_bytes()[:-1])
    assert fitted(job("tanh", state_path=str(path))) == fitted(job("tanh"))


def test_the_test_split_is_measured_for_each_member() -> None:
    results = fit_population([job(spec, "64-true", test=True) for spec in ("relu", "tanh")])
    alone = [fit(job(spec, "64-true", test=True)) for spec in ("relu", "tanh")]
    assert [one.test_metric for one in results] == pytest.approx([one.test_metric for one in alone], abs=1e-6)


def test_gradients_are_clipped_by_each_members_own_norm() -> None:
    task = load_task("toy", precision="64-true")
    task = dataclasses.replace(task, trainer_options=dict(task.trainer_options) | {"gradient_clip_val": 0.05})
    jobs = [single_job(task, (8,), spec=spec) for spec in ("relu", "x * sigmoid(beta[1.0] * x)", "30 * tanh(x)")]
    for one, result in zip(jobs, fit_population(jobs), strict=True):
        assert result.val_loss == pytest.approx(fit(one).val_loss, abs=1e-9)


def test_learning_rates_are_scaled() -> None:
    one = job("tanh", "64-true", learning_rate_factor=3.0)
    assert fit_population([one])[0].val_loss == pytest.approx(fit(one).val_loss, abs=1e-9)


def test_members_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(TaskError, match="differ in replicate"):
        fit_population([job("relu"), job("relu", replicate=1)])
    with pytest.raises(TaskError, match="at least one member"):
        fit_population([])


def test_random_states_are_left_as_they_were() -> None:
    before = torch.get_rng_state()
    fit_population([job("relu")])
    assert torch.equal(before, torch.get_rng_state())


def test_bits_are_those_of_any_width() -> None:
    specs = ("relu", "tanh", SPECS[1])  # at width 4 the last of these has the last biases, beyond whole vectors
    jobs = [single_job(load_task("toy", n_steps=16), (16,), spec=spec, normalise=True) for spec in specs]
    assert fitted(*jobs) == fitted(*jobs, width=16) == fitted(*jobs, width=32)


def test_stacked_weights_fill_whole_vectors() -> None:
    class Net(LightningModule):
        def __init__(self, n_out: int) -> None:
            super().__init__()
            self.layer = nn.Linear(16, n_out)
            self.activation = make("prelu")  # its weight is not stacked

    widths = {n_out: [width_of(Net(n_out), n) for n in (1, 8, 9, 33)] for n_out in (16, 10, 4, 3)}
    assert widths == {16: [1, 8, 9, 33], 10: [8, 8, 16, 40], 4: [4, 8, 12, 36], 3: [16, 16, 16, 48]}
