"""Expressions back to choices, found by value and confirmed as expressions."""

from __future__ import annotations

import pytest

from actsearch.errors import SpaceError
from actsearch.expr.fingerprint import fingerprint
from actsearch.expr.text import parse
from actsearch.space import ReplayChooser, load_space


@pytest.mark.parametrize("name", ["tiny", "aquasurf_large", "grafs", "pangaea"])
def test_a_fresh_space_finds_what_another_made(name: str) -> None:
    made_by, asked = load_space(name), load_space(name)
    for seed in (1, 2, 3):
        made = made_by.sample(seed)
        assert asked.decode(ReplayChooser(asked.encode(made))) == made


def test_every_candidate_of_a_small_space_is_found() -> None:
    made_by, asked = load_space("tiny"), load_space("tiny")
    for made in made_by.enumerate():
        assert asked.decode(ReplayChooser(asked.encode(made))) == made


def test_names_of_parameters_do_not_count() -> None:
    space = load_space("core_unit")
    swish = space.encode(parse("x * sigmoid(gamma[1.0, channel] * x)"))
    assert fingerprint(space.decode(ReplayChooser(swish))) == fingerprint("x * sigmoid(beta[1.0, channel] * x)")
    line = parse("(x + zeta[1.0, channel]) * sigmoid(alpha[1.0, channel] * x)")
    assert fingerprint(space.decode(ReplayChooser(space.encode(line)))) == fingerprint(line)


def test_a_parameter_of_another_kind_is_another_function() -> None:
    with pytest.raises(SpaceError, match="is not in the space 'tiny'"):
        load_space("tiny").encode(parse("x * sigmoid(beta[1.0] * x)"))


def test_another_form_of_a_candidate_is_named() -> None:
    with pytest.raises(SpaceError, match=r"in this form; the same function is there as 'x\*sigmoid\(x\)'"):
        load_space("tiny").encode(parse("x/(1 + exp(-x))"))


def test_what_is_not_there() -> None:
    with pytest.raises(SpaceError, match=r"'sin\(x\)' is not in the space 'tiny'$"):
        load_space("tiny").encode(parse("sin(x)"))


def test_a_space_too_large_to_search_says_so() -> None:
    with pytest.raises(SpaceError, match="only the less nested ones were searched"):
        load_space("pangaea").encode(parse("sin(x)"))
