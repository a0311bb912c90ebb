"""Tables: round trip, damage, look-ups; and the task that answers from one, under every pruner and executor."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.storages import InMemoryStorage

import actsearch
from actsearch.errors import StudyError, TaskError
from actsearch.study.plan import plan_cells
from actsearch.tasks.fit import FitJob, fit
from actsearch.tasks.population import fit_population
from actsearch.tasks.table import table_task
from actsearch.tasks.tables import Table, load_table, save_table
from tests.tasks.small_table import NETS, RUNGS, small_table


@pytest.fixture(scope="module")
def table() -> Table:
    return small_table()


@pytest.fixture
def path(table: Table, tmp_path: Path) -> Path:
    save_table(table, tmp_path / "small.npz")
    return tmp_path / "small.npz"


def job(path: Path, spec: str = "relu", net: str = "deep", **changes: Any) -> FitJob:
    given = {
        "normalise": True, "study_seed": 0, "replicate": 0, "learning_rate_factor": 1.0,
        "rungs": RUNGS, "stop_step": RUNGS[-1],
    }  # fmt: skip
    return FitJob(table_task(path), net, spec, **(given | changes))


def row_of(table: Table, spec: str, net: str) -> int:
    return table.class_of(spec, net, True)


def test_round_trip(table: Table, path: Path) -> None:
    loaded = load_table(path)
    assert loaded.functions == table.functions
    assert loaded.reasons == table.reasons
    assert {key: value for key, value in loaded.meta.items() if key != "format"} == table.meta
    for name, column in table.rows.items():
        np.testing.assert_array_equal(loaded.rows[name], column)
        assert loaded.rows[name].dtype == column.dtype
    for affine in (True, False):
        np.testing.assert_array_equal(loaded.classes[affine], table.classes[affine])
    np.testing.assert_array_equal(loaded.candidates, table.candidates)


def test_a_file_that_was_rewritten_is_read_again(table: Table, path: Path) -> None:
    load_table(path)
    save_table(replace(table, meta={**table.meta, "chance": 0.2}), path)
    assert load_table(path).meta["chance"] == 0.2


@pytest.mark.parametrize("damage", ["cut", "flip", "text", "empty", "other"])
def test_a_damaged_file_is_one_sentence(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    if damage == "other":
        np.savez(path, x=np.arange(3))
    else:
        cut = path.read_bytes()[:-100]
        path.write_bytes({"cut": cut, "flip": bytes(content), "text": b"no table", "empty": b""}[damage])
    with pytest.raises(TaskError, match=r"^the table file '.*small.npz' is damaged or no table \(.*\)$"):
        load_table(path)


def test_columns_of_different_lengths_are_damage(table: Table, path: Path) -> None:
    save_table(replace(table, rows={**table.rows, "test": table.rows["test"][:-1]}), path)
    with pytest.raises(TaskError, match="differ in length"):
        load_table(path)


def test_unknown_tables(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"there is no table file '.*none.npz'"):
        load_table(tmp_path / "none.npz")
    with pytest.raises(TaskError, match="unknown table 'aquasurf_mnist'"):
        load_table("aquasurf_mnist")


def test_symmetric_functions_are_one_row(table: Table) -> None:
    assert row_of(table, "relu", "deep") == row_of(table, "3 - 2*relu(-x)", "deep")
    assert row_of(table, "relu", "deep") != row_of(table, "gelu", "deep")


def test_every_candidate_leads_to_its_class(table: Table) -> None:
    from actsearch.space import ReplayChooser, load_space

    space = load_space("tiny")
    recorded = table.recorded("deep", True)
    assert len(recorded.candidates) == space.size()
    assert recorded.is_whole.all()
    for number, row in enumerate(recorded.candidates.tolist()):
        if row >= 0:
            expr = space.decode(ReplayChooser(space.choices_at(number)))
            assert table.class_of(expr, "deep", True) == row


def test_the_member_trained_first_stands_for_its_class(table: Table) -> None:
    recorded = table.recorded("deep", True)
    names = table.classes[True]
    twins = [i for i in range(len(names)) if i not in recorded.functions]
    assert twins  # the space has mirror images
    extra = {name: np.concatenate([column, column[:1]]) for name, column in table.rows.items()}
    extra["function"][-1], extra["net"][-1], extra["seed"][-1] = twins[0], 0, 0
    extra["test"][-1] = 0.9
    again = replace(table, rows=extra).recorded("deep", True)
    np.testing.assert_array_equal(again.functions, recorded.functions)
    np.testing.assert_array_equal(again.test, recorded.test)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spec": "sin(x)"}, r"the table does not hold 'sin\(x\)' \(normalised, net 'deep'\): it has the functions of"),
        ({"normalise": False}, "the table holds no un-normalised fit of the net 'deep' yet"),
        ({"rungs": (10, 30, 40)}, "the table was not measured at step 30; its rungs are 10, 20, 40"),
        ({"learning_rate_factor": 3.0}, "recorded with a learning rate factor of 1, not 3.0"),
        ({"stop_step": 20, "test": True}, "the table has the test metric of whole fits only, not at step 20"),
    ],
)
def test_what_is_not_recorded_is_one_sentence(path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        fit(job(path, **changes))


def test_an_interrupted_build_is_one_sentence(table: Table, path: Path) -> None:
    whole = table.rows["seed"] == 0
    relu = np.unique(table.classes[True]).tolist().index(table.classes[True][table.functions.index("relu")])
    first = np.unique(table.classes[True], return_index=True)[1][relu]
    others = whole & ~((table.rows["function"] == first) & (table.rows["net"] == 0))
    rest = (table.rows["seed"] == 1) & (table.rows["function"] == first)
    save_table(replace(table, rows={name: column[others | rest] for name, column in table.rows.items()}), path)
    found = []
    for study_seed in range(8):  # some draw the seed that relu lacks
        try:
            found.append(fit(job(path, study_seed=study_seed)).status)
        except TaskError as error:
            assert "the build of the table was interrupted before 'relu' with seed 0" in str(error)  # noqa: PT017
            found.append("missing")
    assert set(found) == {"finished", "missing"}


def test_a_fit_is_a_recorded_one(table: Table, path: Path) -> None:
    recorded = table.recorded("residual", True)
    row = row_of(table, "gelu", "residual")
    result = fit(job(path, "gelu", "residual", test=True))
    seeds = [s for s in range(3) if recorded.test[row, s] == np.float32(result.test_metric)]
    assert len(seeds) == 1
    assert result.metric == pytest.approx(recorded.metric[row, seeds[0]].tolist())
    assert (result.steps, result.status, result.seconds, result.n_parameters) == (RUNGS, "finished", 1.0, 123)


def test_a_fit_stops_where_it_is_asked_to(path: Path) -> None:
    whole, part = fit(job(path)), fit(job(path, stop_step=20))
    assert part.steps == (10, 20)
    assert part.metric == whole.metric[:2]
    assert part.seconds == pytest.approx(0.5)
    some = fit(job(path, rungs=(20, 40)))
    assert some.metric == whole.metric[1:]
    # the mean over steps 1 to 20 out of those over 1 to 10 and 11 to 20
    assert some.train_loss[0] == pytest.approx((whole.train_loss[0] + whole.train_loss[1]) / 2)


def test_a_divergence_shows_from_where_it_was(table: Table, path: Path) -> None:
    spec = table.functions[int(table.rows["function"][0])]
    results = [fit(job(path, spec, study_seed=s)) for s in range(12)]
    assert {result.status for result in results} == {"finished", "diverged"}
    assert all((result.metric[-1] == pytest.approx(0.1)) == (result.status == "diverged") for result in results)
    seed = next(s for s, result in enumerate(results) if result.status == "diverged")
    assert fit(job(path, spec, study_seed=seed, stop_step=10)).status == "finished"


def test_replicates_are_different_seeds_and_candidates_share_them(table: Table, path: Path) -> None:
    recorded = table.recorded("deep", True)

    def seed(spec: str, **changes: Any) -> int:
        result = fit(job(path, spec, **changes))
        ends = recorded.metric[row_of(table, spec, "deep"), :, -1]
        return int(np.flatnonzero(ends == np.float32(result.metric[-1]))[0])

    assert {seed("relu", replicate=r) for r in range(3)} == {0, 1, 2}
    assert seed("relu", replicate=3) == seed("relu", replicate=0)
    assert all(seed("relu", study_seed=s) == seed("gelu", study_seed=s) for s in range(8))
    assert {seed("relu", study_seed=s) for s in range(20)} == {0, 1, 2}


def test_a_population_is_answered_too(path: Path) -> None:
    jobs = [job(path, spec) for spec in ("relu", "gelu")]
    assert fit_population(jobs) == tuple(fit(one) for one in jobs)


@pytest.mark.parametrize(
    ("rungs", "found"), [((1 / 9, 1 / 3, 1), (10, 40)), ((0.5, 1), (20, 40)), ((1,), (40,)), ((20, 40), (20, 40))]
)
def test_rungs_are_recorded_ones(path: Path, rungs: tuple[float, ...], found: tuple[int, ...]) -> None:
    assert {cell.rungs for cell in plan_cells([table_task(path)], rungs)} == {found}


@pytest.mark.parametrize("rungs", [(10, 30, 40), (10, 20), (10, 80)])
def test_rungs_that_are_not_recorded_are_one_sentence(path: Path, rungs: tuple[int, ...]) -> None:
    message = r"^rungs=\(10, .*\): the task 'mnist1d' is recorded, at the steps 10, 20, 40; .*, and the last is 40$"
    with pytest.raises(StudyError, match=message):
        plan_cells([table_task(path)], rungs)


def test_finals_on_recorded_fits_are_one_sentence(path: Path) -> None:
    message = r"^the task 'mnist1d' is recorded, so it has no fresh seeds for finals: finalists is 3, and 0 is allowed$"
    with pytest.raises(StudyError, match=message):
        actsearch.search("tiny", table_task(path), storage=InMemoryStorage(), n_workers=0)


WORKERS = [
    pytest.param({"n_workers": 0}, id="in process"),
    pytest.param({"executor": ThreadPoolExecutor(2)}, id="threads"),
    pytest.param({"n_workers": 1}, id="loky", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("where", WORKERS)
@pytest.mark.parametrize("pruner", ["halving", "none"])
def test_a_search_runs_against_the_table(path: Path, tmp_path: Path, where: dict[str, Any], pruner: str) -> None:
    result = actsearch.search(
        "tiny",
        table_task(path),
        n_trials=6,
        sampler="evolution",
        rungs=RUNGS,
        pruner=pruner,
        panel=("relu", "gelu", "tanh"),
        n_null_control=0,
        finalists=0,
        mode="single",
        storage=tmp_path / "study.journal",
        **where,
    )
    assert result.n_trained == 6
    finished = result.leaderboard()
    assert finished
    recorded = {round(float(m), 6) for net in NETS for m in load_table(path).recorded(net, True).metric.ravel()}
    assert all(round(metric, 6) in recorded for row in finished for metric in row.scores.values())
