"""Variants are candidates of the space, reproducible, and differ from their parents as they should."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actsearch.errors import SpaceError
from actsearch.space import RandomChooser, ReplayChooser, load_space, vary

SPACES = {name: load_space(name) for name in ("tiny", "core_unit_2", "aquasurf_large", "pangaea")}
seeds = st.integers(0, 2**32)


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(SPACES)), seed=seeds, draw=seeds)
def test_a_mutant_differs_in_one_choice_and_what_hangs_on_it(name: str, seed: int, draw: int) -> None:
    space = SPACES[name]
    parent = space.choose(RandomChooser(seed))
    child = vary.mutate(parent, space, random.Random(draw))
    assert child == vary.mutate(parent, space, random.Random(draw))
    assert space.choose(ReplayChooser(child)) == child
    changed = next(place for place, option in child.items() if parent.get(place) != option)
    below = changed.partition(":")[0] + "."
    elsewhere = {place: option for place, option in child.items() if place != changed and not place.startswith(below)}
    assert elsewhere.items() <= parent.items()


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(SPACES)), first=seeds, second=seeds, draw=seeds)
def test_a_child_has_its_parents_choices(name: str, first: int, second: int, draw: int) -> None:
    space = SPACES[name]
    parents = [space.choose(RandomChooser(seed)) for seed in (first, second)]
    child = vary.crossover(*parents, space, random.Random(draw))
    assert space.choose(ReplayChooser(child)) == child
    assert all(any(p[place] == option for p in parents if place in p) or all(place not in p for p in parents)
               for place, option in child.items())  # fmt: skip


def test_equal_parents_have_equal_children() -> None:
    for name, space in SPACES.items():
        parent = space.choose(RandomChooser(7))
        assert vary.crossover(parent, parent, space, random.Random(0)) == parent, name


def test_every_other_option_can_come_out_of_a_mutation() -> None:
    space = SPACES["tiny"]
    parent = space.choices_at(0)
    children = {frozenset(vary.mutate(parent, space, random.Random(seed)).items()) for seed in range(300)}
    assert len(children) == 3 + 3 + 2


def test_regeneration_is_a_random_candidate() -> None:
    space = SPACES["tiny"]
    found = {frozenset(vary.regenerate(space, random.Random(seed)).items()) for seed in range(1000)}
    assert len(found) == space.size()


def test_mutating_what_is_no_candidate_is_refused() -> None:
    with pytest.raises(SpaceError, match="no choice is given"):
        vary.mutate({"0:unary": "a"}, SPACES["tiny"], random.Random(0))
