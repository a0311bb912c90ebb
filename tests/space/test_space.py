"""What rules mean: arguments by value, parameters by place, depth, constants."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy

from actsearch.errors import SpaceError
from actsearch.expr.checks import value_faults
from actsearch.expr.functions import x
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.text import format, parse
from actsearch.space import ReplayChooser, Space, load_space
from actsearch.space.derivation import NOWHERE_REAL


def make(folder: Path, text: str) -> Space:
    path = folder / "space.yaml"
    path.write_text("name: space\n" + text)
    return load_space(path)


def test_arguments_are_passed_by_value(tmp_path: Path) -> None:
    space = make(tmp_path, "start: twice(pick(x))\nrules:\n  twice(a): [a * a]\n  pick(a): [sin(a), cos(a)]\n")
    assert space.size() == 2
    assert list(space.enumerate()) == [sympy.sin(x) ** 2, sympy.cos(x) ** 2]


def test_a_choice_is_made_even_if_its_value_is_not_used(tmp_path: Path) -> None:
    space = make(tmp_path, "start: left(pick(x), pick(x))\nrules:\n  left(a, b): [a]\n  pick(a): [sin(a), cos(a)]\n")
    assert space.size() == len(list(space.enumerate())) == 4


def test_parameters_of_different_places_have_different_names() -> None:
    unary, binary = "beta[1.0, channel] * a", "a + b"
    space = load_space("core_unit")
    made = space.decode(ReplayChooser({"0:unary": unary, "1:unary": unary, "2:binary": binary}))
    assert [p.name for p in parameters_of(made)] == ["beta", "beta_1"]


def test_a_parameter_within_one_alternative_is_one() -> None:
    mixed = "beta[0.5, channel] * a + (1 - beta[0.5, channel]) * b"
    made = load_space("core_unit").decode(ReplayChooser({"0:unary": "a", "1:unary": "sin(a)", "2:binary": mixed}))
    assert [p.start for p in parameters_of(made)] == [0.5]


def test_a_parameter_that_nobody_uses_takes_no_name() -> None:
    space = load_space("grafs")
    unused = {"0:unary": "beta[1.0]", "1:unary": "a", "2:binary": "b", "3:unary": "a", "4:unary": "beta[1.0] * a"}
    made = space.decode(ReplayChooser({**unused, "5:binary": "a + b"}))
    assert made == x + Parameter("beta", 1.0) * x


def test_declared_parameters_and_constants(tmp_path: Path) -> None:
    space = make(
        tmp_path,
        "start: f(x)\nconstants: {half: 1/2}\nparameters: {gamma: '0.5, unit, channel'}\n"
        "rules:\n  f(a): [gamma * a + half]\n",
    )
    assert space.sample(0) == Parameter("gamma", 0.5, "unit", "channel") * x + sympy.Rational(1, 2)


def test_recursion_ends_at_the_depth(tmp_path: Path) -> None:
    text = "start: tree(x)\ndepth: {}\nrules:\n  tree(a): [a, sin(tree(a)), tree(a) * tree(a)]\n"
    sizes = [make(tmp_path, text.format(depth)).size() for depth in range(1, 6)]
    expected = [1]
    for _ in range(4):
        expected.append(1 + expected[-1] + expected[-1] ** 2)
    assert sizes == expected
    assert len(list(make(tmp_path, text.format(3)).enumerate())) == sizes[2]


def test_an_alternative_that_cannot_end_is_not_on_offer(tmp_path: Path) -> None:
    space = make(tmp_path, "start: tree(x)\ndepth: 2\nrules:\n  tree(a): [leaf(a), sin(tree(a))]\n  leaf(a): [a, -a]\n")
    assert space.size() == 2
    assert space.places() == {"0:tree": ("leaf(a)",), "0.0:leaf": ("a", "-a")}


def test_numbers_beyond_python_floats_are_exact() -> None:
    assert load_space("core_unit_2").size() == 156_250_000
    assert load_space("pangaea").size() > 4 * 10**11


def test_what_is_not_a_real_number_has_a_text_and_is_rejected() -> None:
    made = load_space("aquasurf").decode(ReplayChooser({"0:unary": "1", "1:unary": "0", "2:binary": "a / b"}))
    assert parse(format(made)) == made == NOWHERE_REAL
    assert value_faults(made) == ("not finite",)


def test_a_replay_that_does_not_fit_says_so() -> None:
    space = load_space("tiny")
    with pytest.raises(SpaceError, match=r"'sigmod\(a\)' is not an option of '0:unary'; did you mean 'sigmoid\(a\)'"):
        space.decode(ReplayChooser({"0:unary": "sigmod(a)"}))
    with pytest.raises(SpaceError, match="no choice is given for '0:unary'"):
        space.decode(ReplayChooser({}))


def test_comments_do_not_change_the_digest_and_rules_do(tmp_path: Path) -> None:
    text = "start: f(x)\nrules:\n  f(a): [a, sin(a)]\n"
    one = make(tmp_path, text)
    assert make(tmp_path, "# a comment\ntitle: another\n" + text).digest == one.digest
    assert make(tmp_path, text.replace("sin", "cos")).digest != one.digest
