"""The survey agrees with what expressions say, one by one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from actsearch.expr.checks import REASONS
from actsearch.expr.fingerprint import fingerprint
from actsearch.expr.parameters import parameters_of
from actsearch.expr.points import CHECK_POINTS
from actsearch.expr.program import evaluate, lower
from actsearch.space import RandomChooser, ReplayChooser, Space, load_space
from actsearch.space.blocks import Evaluator, blocks
from actsearch.space.survey import Survey, survey
from actsearch.space.whole import Judged, fault_of, judge_whole, parameter_orders


def judged(space: Space) -> Judged:
    orders = parameter_orders(space)
    assert orders is not None
    return judge_whole(space, orders, lambda done, total: None)


def check_agreement(space: Space, found: Judged, indices: list[int]) -> None:
    """Labels part candidates exactly as fingerprints do, and the faults are the same."""
    made = [space.decode(ReplayChooser(space.choices_at(index))) for index in indices]
    reasons = [None if code < 0 else REASONS[code] for code in found.codes[indices].tolist()]
    assert reasons == [fault_of(expr) for expr in made]
    pairs = {(fingerprint(expr), label) for expr, label in zip(made, found.labels[indices].tolist(), strict=True)}
    assert len(pairs) == len({name for name, _ in pairs}) == len({label for _, label in pairs})


def test_a_whole_small_space_agrees_with_expressions() -> None:
    space = load_space("tiny")
    check_agreement(space, judged(space), list(range(space.size())))


def test_a_parametric_space_agrees_with_expressions() -> None:
    space = load_space("core_unit")
    rng = np.random.default_rng(3)
    # neighbours in one block of the last choice, where mirror images and equal functions are
    unary = rng.choice(25, size=3, replace=False)
    indices = sorted({(a * 25 + b) * 10 + c for a in unary for b in unary for c in range(10)})
    check_agreement(space, judged(space), [int(i) for i in indices])


def test_a_parameter_in_what_a_rule_is_called_with(tmp_path: Path) -> None:
    path = tmp_path / "gates.yaml"
    path.write_text(
        "name: gates\ntitle: Gates\ncitation: none\nstart: x * gate(beta[1.0] * x)\n"
        'rules:\n  gate(a): [sigmoid(a), "inner(beta[2.0, channel] * a + a**2)"]\n  inner(a): [tanh(a), softplus(a)]\n'
    )
    space = load_space(path)
    check_agreement(space, judged(space), list(range(3)))
    assert len(parameters_of(space.decode(ReplayChooser(space.choices_at(1))))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["core_unit", "aquasurf"])
def test_whole_published_spaces_agree_with_expressions(name: str) -> None:
    space = load_space(name)
    found = judged(space)
    # what only SymPy's algebra saves, or only rounding makes real, may part ways: rejected ones, and one in thousands
    made = [space.decode(ReplayChooser(space.choices_at(index))) for index in range(space.size())]
    reasons = [None if code < 0 else REASONS[code] for code in found.codes.tolist()]
    assert sum(reason != fault_of(expr) for reason, expr in zip(reasons, made, strict=True)) <= 2
    pairs = Counter(
        (fingerprint(expr), label)
        for expr, label, reason in zip(made, found.labels.tolist(), reasons, strict=True)
        if reason is None
    )
    assert abs(len(pairs) - len({name for name, _ in pairs})) <= 2
    assert abs(len(pairs) - len({label for _, label in pairs})) <= 2


@pytest.mark.slow
def test_a_million_functions() -> None:
    space = load_space("aquasurf_large")
    found = survey(space)
    assert not found.is_sample
    assert found.size == found.n_examined == 1_023_516
    assert 200_000 < found.n_distinct_accepted < found.n_distinct_finite < found.n_distinct < 500_000
    assert len(found.representatives) == found.n_distinct_accepted
    rng = np.random.default_rng(0)
    drawn = rng.choice(found.representatives, size=300, replace=False)
    made = [space.decode(ReplayChooser(space.choices_at(int(index)))) for index in drawn]
    assert sum(fault_of(expr) is not None for expr in made) <= 3  # one in thousands: (exp(a))**(1/a) is e for SymPy
    assert len({fingerprint(expr) for expr in made}) == 300


def test_blocks_cover_a_space_in_order() -> None:
    for name, at_most in (("tiny", 5), ("aquasurf", 700), ("aquasurf_large", 30_000)):
        space, first = load_space(name), 0
        for block in blocks(space.levels, at_most):
            assert block.first == first
            assert 0 < block.size <= at_most
            first += block.size
        assert first == space.size()


@pytest.mark.parametrize("name", ["tiny", "core_unit", "aquasurf_large"])
def test_values_are_those_of_the_expressions(name: str) -> None:
    space = load_space(name)
    evaluator = Evaluator(space.levels, CHECK_POINTS)
    rng, n_seen = np.random.default_rng(1), 0
    for block in list(blocks(space.levels, 3000))[::17]:
        values = evaluator.values(block)
        for row in rng.integers(block.size, size=5):
            expected = evaluate(
                lower(space.decode(ReplayChooser(space.choices_at(block.first + int(row))))), CHECK_POINTS
            )
            if np.isfinite(values[row]).all():
                np.testing.assert_allclose(values[row], expected, rtol=1e-8, atol=1e-10)
                n_seen += 1
    assert n_seen


def test_what_a_survey_tells() -> None:
    seen: list[tuple[int, int]] = []
    found = survey(load_space("tiny"), lambda done, total: seen.append((done, total)))
    assert seen[-1] == (48, 48)
    assert isinstance(found, Survey)
    assert found.size == found.n_examined == 48
    assert found.rejected == {"not finite": 19, "constant": 4}  # counted by hand
    assert found.n_distinct_accepted == 15
    assert found.share_rejected == sum(found.rejected.values()) / 48
    assert len(found.examples) == 8
    assert found.n_distinct_accepted == len(found.representatives) <= found.n_distinct_finite <= found.n_distinct


def test_a_large_space_is_sampled_and_says_so() -> None:
    found = survey(load_space("pangaea"), sample_size=20, seed=1)
    assert found.is_sample
    assert found.n_examined == 20
    assert found.representatives == ()
    assert found.n_distinct <= 20
    again = survey(load_space("pangaea"), sample_size=20, seed=1)
    assert (again.n_distinct, again.rejected, again.examples) == (found.n_distinct, found.rejected, found.examples)


def test_relu_over_relu_is_saved_by_algebra() -> None:
    space = load_space("aquasurf")
    choices = {"0:unary": "relu(a)", "1:unary": "relu(a)", "2:binary": "a / b"}
    assert space.decode(ReplayChooser(choices)) == 1
    index = next(i for i, other in enumerate(space.enumerate_choices()) if other == choices)
    assert REASONS[judged(space).codes[index]] == "constant"


def test_sampling_reaches_every_option() -> None:
    space = load_space("tiny")
    seen = {item for seed in range(200) for item in space.choose(RandomChooser(seed)).items()}
    assert len(seen) == sum(map(len, space.places().values()))
