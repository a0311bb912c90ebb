"""Every shipped space keeps the promises of a space; a new file in search_spaces/ is found by itself."""

from __future__ import annotations

import itertools
import math

import pytest

from actsearch.errors import SpaceError
from actsearch.expr.family import Family
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import format, parse
from actsearch.space import RandomChooser, RecordingChooser, ReplayChooser, Space, load_space, space_names
from actsearch.space.load import shipped_folder

SIZES = {
    "tiny": 48,
    "core_unit": 25 * 25 * 10,
    "core_unit_2": (25 * 25 * 10) ** 2 * 4,
    "aquasurf": 27 * 27 * 7,
    "aquasurf_large": 27**4 + 3 * 27**3 * 7 + 27**3 * 4,
    "grafs": 23**4 * 9**2,
}
SMALL = 200


@pytest.fixture(params=space_names())
def space(request: pytest.FixtureRequest) -> Space:
    return load_space(request.param)


def test_the_published_sizes() -> None:
    assert {name: load_space(name).size() for name in SIZES} == SIZES


def test_header_says_what_it_is_and_cites(space: Space) -> None:
    assert space.path is not None
    head = space.path.read_text().split("name:")[0]
    assert all(line.startswith("#") for line in head.strip().splitlines())
    assert "Citation:" in head
    assert space.name == space.path.stem
    assert space.title
    assert space.citation


def test_enumeration_is_lazy_and_in_order(space: Space) -> None:
    first = list(itertools.islice(space.enumerate_choices(), SMALL))
    assert first == [space.choices_at(index) for index in range(len(first))]
    assert [space.decode(ReplayChooser(choices)) for choices in first[:10]] == list(
        itertools.islice(space.enumerate(), 10)
    )
    assert len({frozenset(choices.items()) for choices in first}) == len(first) == min(SMALL, space.size())


@pytest.mark.parametrize("name", [name for name, size in SIZES.items() if size < 10_000])
def test_size_is_the_number_enumerated(name: str) -> None:
    space = load_space(name)
    seen = {frozenset(choices.items()) for choices in space.enumerate_choices()}
    assert len(seen) == space.size()


def test_last_candidate(space: Space) -> None:
    last = space.choices_at(space.size() - 1)
    assert space.choose(lambda name, options: options[-1]) == last
    with pytest.raises(SpaceError, match="none numbered"):
        space.choices_at(space.size())


def test_a_sample_is_reproducible_and_replayable(space: Space) -> None:
    for seed in range(5):
        recorder = RecordingChooser(RandomChooser(seed))
        made = space.decode(recorder)
        assert made == space.sample(seed) == space.decode(ReplayChooser(recorder.choices))
    assert len({str(space.sample(seed)) for seed in range(20)}) > 5


def test_what_is_decoded_is_encoded(space: Space) -> None:
    for seed in range(10):
        made = space.sample(seed)
        assert space.decode(ReplayChooser(space.encode(made))) == made


def test_samples_read_back_as_text(space: Space) -> None:
    for seed in range(5):
        made = space.sample(seed)
        assert (to_expr if isinstance(made, Family) else parse)(format(made)) == made


def test_options_of_a_choice_never_change(space: Space) -> None:
    seen: dict[str, tuple[str, ...]] = {}

    def noting(name: str, options: tuple[str, ...]) -> str:
        assert seen.setdefault(name, options) == options
        assert len(set(options)) == len(options)
        return RandomChooser(next(numbers))(name, options)

    numbers = itertools.count()
    for _ in range(60):
        space.choose(noting)


def test_places_are_the_choices_of_all(space: Space) -> None:
    places = space.places()
    for seed in range(30):
        made = space.choose(RandomChooser(seed))
        assert set(places) <= set(made)
        assert all(made[name] in options for name, options in places.items())
    if set(places) == set(space.choices_at(space.size() - 1)):  # no conditional choices: all places multiply
        assert math.prod(map(len, places.values())) == space.size()


def test_every_option_is_a_formula(space: Space) -> None:
    rules = space.grammar.rules
    calls = {name: lambda *values: sum(values) for name in rules}
    for rule in rules.values():
        names = dict.fromkeys((*rule.arguments, "alpha", "beta", "eps"), parse("x"))
        for alternative in rule.alternatives:
            parse(alternative.text, names=names, functions=calls)


def test_the_digest_is_of_the_content(space: Space) -> None:
    assert space.digest == load_space(space.name).digest
    assert len({load_space(name).digest for name in space_names()}) == len(space_names())


def test_the_folder_is_the_one_at_the_top() -> None:
    assert sorted(path.name for path in shipped_folder().iterdir()) == [f"{name}.yaml" for name in space_names()]
