"""The table that comes with the package: of the space as it is now, whole where it is used, small, and packaged."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from actsearch.space import RandomChooser, load_space
from actsearch.tasks.tables import Table, load_table, table_path

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def table() -> Table:
    return load_table()


def test_it_is_of_the_space_as_it_is_now(table: Table) -> None:
    space = load_space(table.meta["space"])
    assert table.meta["space_digest"] == space.digest, "the space has changed: build the table anew"
    assert len(table.candidates) == space.size()


@pytest.mark.parametrize("net", ["deep", "residual"])
@pytest.mark.parametrize(("normalise", "n_seeds"), [(True, 3), (False, 1)])
def test_every_accepted_candidate_has_every_seed(table: Table, net: str, normalise: bool, n_seeds: int) -> None:
    recorded = table.recorded(net, normalise)
    accepted = np.array([not reason for reason in table.reasons])
    is_accepted = (table.candidates >= 0) & accepted[table.candidates]
    np.testing.assert_array_equal(recorded.candidates >= 0, is_accepted)
    assert recorded.is_whole.all()
    assert recorded.test.shape[1] == n_seeds
    assert 0.1 <= np.quantile(recorded.metric[:, :, -1], 0.9) <= 1.0
    assert (np.abs(recorded.metric[:, :, -1] - recorded.test) < 0.1).mean() > 0.99


def test_a_function_is_found_by_its_class(table: Table) -> None:
    space = load_space(table.meta["space"])
    numbers = {frozenset(choices.items()): i for i, choices in enumerate(space.enumerate_choices())}
    recorded = table.recorded("deep", True)
    found = 0
    for seed in range(25):
        choices = space.choose(RandomChooser(seed))
        row = recorded.candidates[numbers[frozenset(choices.items())]]
        if row >= 0:
            assert table.class_of(space.decode(RandomChooser(seed)), "deep", True) == row
            found += 1
    assert found > 3


def test_it_is_small_and_in_the_package() -> None:
    path = table_path("aquasurf_mnist1d")
    assert path.stat().st_size < 20e6
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["actsearch"]
    assert path in {file for pattern in settings for file in (ROOT / "actsearch").glob(pattern)}
