"""The numbers of the table's page: right on made-up tables whose answer is known, and none chosen by what is unseen."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from actsearch.space import load_space
from actsearch.tasks.tables import Table, save_table
from tests.tasks.small_table import small_table

SCRIPTS = Path(__file__).parents[2] / "scripts"
NAMES = ("report_table", "_table_facts", "_table_best", "_table_symmetry", "_table_sections", "_table_figures")


@pytest.fixture(scope="module")
def scripts() -> Iterator[SimpleNamespace]:
    sys.path.insert(0, str(SCRIPTS))
    yield SimpleNamespace(**{name.removeprefix("_table_"): importlib.import_module(name) for name in NAMES})
    sys.path.remove(str(SCRIPTS))


@pytest.fixture(scope="module")
def table() -> Table:
    return small_table()


def changed(table: Table, **columns: Any) -> Table:
    return replace(table, rows={**table.rows, **columns})


def test_intervals_hold_what_they_estimate(scripts: SimpleNamespace) -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(20):
        values = rng.normal(5, 2, (60, 1))
        estimate = scripts.facts.ratio(values, np.ones((60, 1)))[0]
        assert estimate.value == pytest.approx(values.mean())
        hits += estimate.low < 5 < estimate.high
    assert hits >= 16
    x = rng.normal(size=80)
    assert scripts.facts.spearman(x, np.exp(x)).value == pytest.approx(1)
    noisy = scripts.facts.spearman(x, x + rng.normal(size=80))
    assert 0 < noisy.low < noisy.value < noisy.high < 1
    assert [scripts.facts.Estimate(0, *ends).sign for ends in ((1, 2), (-1, 1), (-2, -1))] == [1, 0, -1]


def test_a_side_has_each_class_once_with_its_candidates(scripts: SimpleNamespace, table: Table) -> None:
    one = scripts.facts.side(table, "deep", True)
    accepted = int((table.candidates >= 0).sum())
    assert one.end.shape == (len(one.rows), 3)
    assert one.n_members.sum() == accepted  # beside the space, the panel's are in no candidate
    assert scripts.facts.share_diverged(one).value == pytest.approx(100 / len(one.rows))


def test_the_effect_of_a_primitive_is_found(scripts: SimpleNamespace, table: Table) -> None:
    space = load_space("tiny")
    one = scripts.facts.side(table, "deep", True)
    with_sigmoid = {
        int(one.recorded.candidates[i])
        for i in range(space.size())
        if table.candidates[i] >= 0 and "sigmoid(a)" in space.choices_at(i).values()
    }
    curve = np.full_like(one.curve, 50.0)
    curve[sorted(with_sigmoid)] += 10
    effects = scripts.facts.primitive_effects(space, replace(one, curve=curve))["unary"]
    n, effect = effects["sigmoid(a)"]
    assert effect.value == pytest.approx(10 - 10 * sum(one.n_members[i] for i in with_sigmoid) / one.n_members.sum())
    assert n == sum("sigmoid(a)" in space.choices_at(i).values() for i in np.flatnonzero(one.recorded.candidates >= 0))
    assert effect.sign == 1


def test_normalising_is_paired_by_function_and_seed(scripts: SimpleNamespace, table: Table) -> None:
    rows = table.rows
    plain = {name: column[rows["seed"] == 0] for name, column in rows.items()}
    plain["normalise"] = np.zeros(len(plain["seed"]), dtype=bool)
    plain["metric"] = plain["metric"] - np.float32(0.05)
    both = replace(table, rows={name: np.concatenate([rows[name], plain[name]]) for name in rows})
    sides = scripts.report_table.sides_of(both)
    found = scripts.facts.normalising(both, sides[False][0], sides[True][0])
    assert found.difference.text(".2f") == "5.00 [5.00, 5.00]"
    np.testing.assert_allclose(found.normalised - found.plain, 5, atol=1e-4)
    assert (found.helped.value, found.hurt.value) in ((0, 0), (100, 0))  # by the noise between seeds


def test_the_best_are_not_chosen_by_the_unseen_seed_nor_by_the_test_split(
    scripts: SimpleNamespace, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts.best, "N_BEST", 1)

    def found(given: Table) -> Any:
        return scripts.best.best(given, scripts.report_table.sides_of(given)[True])

    before = found(table)
    assert [row.seen for row in before.rows] == sorted((row.seen for row in before.rows), reverse=True)
    rng, unseen = np.random.default_rng(1), table.rows["seed"] == 2
    metric = np.where(unseen[:, None], rng.random(table.rows["metric"].shape), table.rows["metric"])
    after = found(changed(table, metric=metric.astype(np.float32), test=rng.random(len(unseen)).astype(np.float32)))
    assert [(row.text, row.seen) for row in before.rows] == [(row.text, row.seen) for row in after.rows]
    assert [row.unseen for row in before.rows] != [row.unseen for row in after.rows]
    one_seed = replace(table, rows={name: column[~unseen & (table.rows["seed"] == 0)] for name, column in
                                    table.rows.items()})  # fmt: skip
    assert found(one_seed) is None


def test_a_mirror_image_that_trains_otherwise_is_seen(scripts: SimpleNamespace, table: Table) -> None:
    names = table.classes[True].tolist()
    firsts = sorted({names.index(name) for name in names})
    twins = {i: names.index(names[i]) for i in range(len(names)) if i not in firsts}
    assert len(twins) >= 2

    def shifted(shift: float) -> Any:
        more = {name: [column] for name, column in table.rows.items()}
        for twin, first in twins.items():
            chosen = table.rows["function"] == first
            for name, column in table.rows.items():
                value = np.full(chosen.sum(), twin) if name == "function" else column[chosen]
                more[name].append((value + shift if name == "metric" else value).astype(column.dtype))
        return scripts.symmetry.mirrors(changed(table, **{k: np.concatenate(v) for k, v in more.items()}), "deep")

    assert shifted(0.0).difference.text(".1f") == "0.0 [0.0, 0.0]"
    found = shifted(0.03)
    assert found.difference.value == pytest.approx(3, abs=1e-3)
    assert found.difference.sign == 1
    assert 2 <= found.n_classes <= found.n_members


def test_trainings_saved_are_counted(scripts: SimpleNamespace, table: Table) -> None:
    for normalise in (True, False):
        found = scripts.symmetry.saved(table, normalise)
        assert found.n_functions == len(table.functions)
        assert found.n_classes == len(set(table.classes[normalise].tolist()))
        assert found.n_classes < found.n_fitted <= found.n_functions


@pytest.mark.slow
def test_the_page_is_written_whole(scripts: SimpleNamespace, table: Table, tmp_path: Path) -> None:
    meta = {"command": "made up", "versions": {"torch": "2"}, "hardware": "none", "settings": {"batch_size": 100}}
    save_table(replace(table, meta={**table.meta, **meta}), tmp_path / "small.npz")
    scripts.report_table.main(["--table", str(tmp_path / "small.npz"), "--out", str(tmp_path)])
    page = (tmp_path / "table.md").read_text()
    assert "nan" not in page
    pictures = [line[line.index("(") + 1 : -1] for line in page.splitlines() if line.startswith("![")]
    assert len(pictures) == 4
    assert all((tmp_path / name).stat().st_size > 5000 for name in pictures)
