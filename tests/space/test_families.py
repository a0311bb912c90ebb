"""Spaces with adaptive families beside formulas, and of families alone."""

import random
from collections import Counter

import pytest

from actsearch.errors import SpaceError
from actsearch.expr.family import Family
from actsearch.expr.resolve import to_expr
from actsearch.nn.adaptive._make import canonical
from actsearch.nn.make import families
from actsearch.space import RandomChooser, ReplayChooser, load_space
from actsearch.space.families import FORMULA, PLACE, family_names
from actsearch.space.survey import survey
from actsearch.space.vary import crossover, mutate, regenerate
from actsearch.testing import check_space

FAMILIES = """
families:
  rational:
    degrees: ["(3, 2)", "(5, 4)"]
    start: [gelu, tanh, x*sigmoid(x)]
  apl: {}
"""
BOTH = f"""
name: both
start: unit(x)
rules:
  unit(a): [relu(a), tanh(a), "a * sigmoid(a)", "a / (1 + exp(-a))"]
{FAMILIES}
"""
ALONE = f"name: alone\n{FAMILIES}"


def space_of(folder, text):
    path = folder / "some.yaml"
    path.write_text(text)
    return load_space(path)


@pytest.mark.parametrize(("text", "n_formulas"), [(BOTH, 4), (ALONE, 0)])
def test_it_keeps_what_every_space_promises(tmp_path, text, n_formulas):
    space = space_of(tmp_path, text)
    assert (space.n_formulas, space.size()) == (n_formulas, n_formulas + 7)
    check_space(space, n_samples=40)
    everything = list(space.enumerate())
    assert [space.decode(ReplayChooser(space.choices_at(i))) for i in range(space.size())] == everything
    assert Counter(map(type, everything))[Family] == 7


def test_a_candidate_is_asked_for_its_own_choices_alone(tmp_path):
    space = space_of(tmp_path, BOTH)
    asked = []

    def chooser(name, options):
        asked.append((name, options))
        return "rational" if name == PLACE else options[-1]

    assert space.decode(chooser) == Family("rational", {"degrees": (5, 4), "start": "x * sigmoid(x)"})
    assert [name for name, _ in asked] == [PLACE, "rational.degrees", "rational.start"]
    assert asked[0][1] == (FORMULA, "rational", "apl")
    assert space.places() == {PLACE: (FORMULA, "rational", "apl")}


def test_encode_finds_settings_by_their_values(tmp_path):
    space = space_of(tmp_path, BOTH)
    choices = space.encode(to_expr("rational(start=x * sigmoid(x), degrees=(5, 4))"))
    assert choices == {PLACE: "rational", "rational.degrees": "(5, 4)", "rational.start": "x*sigmoid(x)"}
    assert space.encode(to_expr("tanh(x)")) == {PLACE: FORMULA, "0:unit": "tanh(a)"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rational(degrees=(4, 4), start=gelu)", r"which has rational with degrees: \(3, 2\), \(5, 4\)"),
        ("rational(degrees=(5, 4))", "which has rational with"),
        ("pwlu()", "its families are rational, apl"),
        ("sin(x)", "is not in the space"),
    ],
)
def test_what_is_not_in_it_is_told(tmp_path, text, message):
    with pytest.raises(SpaceError, match=message):
        space_of(tmp_path, BOTH).encode(to_expr(text))
    with pytest.raises(SpaceError, match="is not in the space"):
        space_of(tmp_path, ALONE).encode(to_expr("sin(x)"))


def test_variation_stays_within_the_space(tmp_path):
    space, rng = space_of(tmp_path, BOTH), random.Random(0)
    first, second = regenerate(space, rng), regenerate(space, rng)
    kinds = set()
    for _ in range(60):
        first, second = mutate(first, space, rng), crossover(first, second, space, rng)
        for choices in (first, second):
            assert space.choose(ReplayChooser(choices)) == choices
            kinds.add(choices[PLACE])
    assert kinds == {FORMULA, "rational", "apl"}


def test_a_survey_counts_families_as_functions_of_their_own(tmp_path):
    found = survey(space_of(tmp_path, BOTH))
    assert (found.size, found.n_examined, found.n_distinct_accepted) == (11, 11, 10)  # silu is there in two forms
    assert survey(space_of(tmp_path, ALONE)).n_distinct_accepted == 7
    assert "apl()" in found.examples


def test_families_belong_to_the_digest_and_spaces_without_keep_theirs(tmp_path):
    digests = {space_of(tmp_path, text).digest for text in (BOTH, ALONE, BOTH.replace("tanh, x*s", "elu, x*s"))}
    assert len(digests) == 3
    assert load_space("tiny").digest == "d5089f05bbfbb3fb"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("name: a\nfamilies:\n  rationl: {}", ["line 3, families.rationl", "did you mean 'rational'"]),
        ("name: a\nfamilies:\n  rational:\n    start: gelu", ["families.rational.start", "a list of values"]),
        ("name: a\nfamilies:\n  rational:\n    start: []", ["the setting has no value"]),
        ("name: a\nfamilies:\n  rational:\n    start: [gelu, gelu]", ["'gelu' is there twice"]),
        ("name: a\nfamilies:\n  rational:\n    start: [x +]", ["'x \\+' is no value of a setting"]),
        ("name: a\nfamilies:\n  - rational", ["a mapping \\(name: value\\) is expected"]),
        ("name: a\nfamilies: {}", ["neither rules nor families"]),
        ("name: a\nstart: x", ["rules: this key is missing"]),
    ],
)
def test_faults_are_told_with_their_place(tmp_path, text, faults):
    for fault in faults:
        with pytest.raises(SpaceError, match=fault):
            space_of(tmp_path, text)


def test_parameters_that_differ_in_granularity_alone_are_two_alternatives(tmp_path):
    text = 'name: a\nstart: u(x)\nrules:\n  u(a): ["beta[1.0] * a", "beta[1.0, channel] * a"]'
    assert space_of(tmp_path, text).size() == 2


def test_names_of_files_are_those_of_make():
    assert family_names() == families()


@pytest.mark.slow
def test_every_family_of_the_shipped_space_can_be_made():
    space = load_space("adaptive")
    for rule in space.families.values():
        # each value of each setting once, the others at their first
        for key, options in rule.settings.items():
            for option in options:
                choices = {f"{rule.name}.{other}": values[0] for other, values in rule.settings.items()}
                assert canonical(rule.build({**choices, f"{rule.name}.{key}": option})).name == rule.name


def test_random_candidates_are_of_every_kind():
    space = load_space("adaptive")
    assert {space.choose(RandomChooser(seed))[PLACE] for seed in range(200)} == {FORMULA, *space.families}
