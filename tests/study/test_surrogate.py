"""The surrogate sampler: what it takes for one function, what it learns, and how it uses it."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from actsearch.errors import StudyError
from actsearch.expr.program import evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.space import ReplayChooser, Space, load_space
from actsearch.space.vary import regenerate
from actsearch.study.samplers import load_sampler, surrogate
from actsearch.study.samplers._behaviour import GRID, GROUPS, canonical, features
from actsearch.study.samplers._candidates import Candidates
from actsearch.study.samplers._process import (
    Posterior,
    Prior,
    Process,
    correlation,
    explained,
    log_expected_improvement,
    plausible,
)
from actsearch.study.samplers._targets import targets
from actsearch.study.samplers._values import Values

# -- behaviour --------------------------------------------------------------------------------------------------------


def _values(*texts: str) -> np.ndarray:
    return np.stack([evaluate(lower(to_expr(text)), GRID) for text in texts])


@pytest.mark.parametrize(
    ("normalise", "texts"),
    [
        (False, ["silu(x)", "-silu(x)", "silu(-x)", "x - silu(x)"]),
        (True, ["silu(x)", "3 - 2*silu(x)", "5*silu(-x) + 1"]),
        (True, ["x**2 + x", "x - x**2", "-x**2 - x"]),
        (False, ["tanh(x)", "tanh(-x)"]),
        (False, ["cosh(x)", "-cosh(x)"]),
    ],
)
def test_what_a_net_cannot_tell_apart_has_one_behaviour(normalise: bool, texts: list[str]) -> None:
    found = features(canonical(_values(*texts), normalise=normalise, symmetric=True))
    for block in found:
        np.testing.assert_allclose(block, np.broadcast_to(block[:1], block.shape), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("normalise", "symmetric", "texts"),
    [
        (False, True, ["silu(x)", "2*silu(x)"]),
        (True, False, ["silu(x)", "silu(-x)"]),
        (True, True, ["silu(x)", "gelu(x)"]),
        (True, True, ["x**2 + x", "x**2 + 2*x"]),
    ],
)
def test_others_differ(normalise: bool, symmetric: bool, texts: list[str]) -> None:
    found = np.concatenate(features(canonical(_values(*texts), normalise=normalise, symmetric=symmetric)), axis=1)
    assert np.abs(found[0] - found[1]).max() > 0.01


def test_moments_and_correlation_map_of_relu() -> None:
    seen = canonical(_values("relu(x)"), normalise=True, symmetric=True)
    _, _, moments, correlated, scale = features(seen, GROUPS)
    variance = 0.5 - 1 / (2 * math.pi)
    assert moments[0, 0] == pytest.approx(math.log(0.5 / variance), abs=0.02)  # E f'^2
    # Hermite coefficients of relu: 1/2 for x, 1/(2 sqrt(pi)) for the second, 0 for the third
    np.testing.assert_allclose(correlated[0, :3] * variance, [0.25, 1 / (4 * math.pi), 0.0], atol=1e-3)
    np.testing.assert_allclose(scale, 0.0, atol=1e-9)


def test_what_is_not_finite_has_no_behaviour() -> None:
    seen = canonical(_values("log(x)", "x", "1"), normalise=True, symmetric=True)
    assert np.isnan(seen[[0, 2]]).all()
    assert np.isfinite(seen[1]).all()


# -- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["core_unit_2", "grafs"])
def test_values_from_choices_are_those_of_the_expression(name: str) -> None:
    space, rng = load_space(name), random.Random(1)
    candidates = [regenerate(space, rng) for _ in range(8)]
    found = Values(space, GRID).of(candidates)[:, 0]
    n_compared = 0
    for choices, row in zip(candidates, found, strict=True):
        expected = evaluate(lower(space.decode(ReplayChooser(choices))), GRID)
        both = np.isfinite(row) & np.isfinite(expected)
        np.testing.assert_allclose(row[both], expected[both], rtol=1e-6, atol=1e-9)
        n_compared += int(both.all())
    assert n_compared >= 4


def test_all_values_are_in_the_order_of_the_space() -> None:
    space = load_space("tiny")
    values = Values(space, GRID)
    np.testing.assert_array_equal(values.of_all(), values.of(list(space.enumerate_choices())))


@pytest.mark.slow
def test_families_behave_as_they_start() -> None:
    space = load_space("adaptive")
    candidates = Candidates(space, True, True, ("values",))
    assert len(candidates.whole.keys) == space.size()  # settings differ, so each is one of its own


# -- the process ------------------------------------------------------------------------------------------------------


@pytest.fixture
def observed() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features_ = rng.normal(size=(12, 3))
    return features_, np.sin(features_[:, 0]) + features_[:, 1], rng.normal(size=(7, 3))


def posterior(
    prior: Prior, known: np.ndarray, values: np.ndarray, asked: Sequence[np.ndarray], others: np.ndarray
) -> Posterior:
    process = Process(prior, known, values, others)
    for some in asked:
        process.ask(some)
    return process.posterior


def test_posterior_is_that_of_scikit_learn_with_a_vague_constant(
    observed: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    known, values, others = observed
    found = posterior(Prior(length=1.3, noise=0.05), known, values, [], others)
    vague = ConstantKernel(1e6) + Matern(1.3, nu=2.5)
    reference = GaussianProcessRegressor(vague, alpha=0.05, optimizer=None).fit(known, values)
    mean, deviation = reference.predict(others, return_std=True)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-4)
    np.testing.assert_allclose(found.known, reference.predict(known), rtol=1e-4)
    ratio = found.deviation / deviation  # the process scales its variance to the targets
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_what_is_far_from_all_is_as_functions_are_on_the_whole() -> None:
    """Many visits to one good region do not make a strange function look good."""
    good, others = np.linspace(0, 0.1, 8)[:, None], np.array([[5.0], [10.0], [15.0]])
    known, values = np.concatenate([good, others]), np.array([1.0] * 8 + [0.0, 0.1, -0.1])
    found = posterior(Prior(length=0.5, noise=0.01), known, values, [], np.array([[30.0]]))
    assert found.mean[0] == pytest.approx(0.25, abs=0.02)  # four regions; the plain mean is 0.73


def test_what_is_running_counts_as_if_it_gave_what_is_expected(
    observed: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    known, values, others = observed
    prior = Prior(length=1.3, noise=0.05)
    alone = posterior(prior, known, values, [], others)
    found = posterior(prior, known, values, [others[:2]], others)
    np.testing.assert_allclose(found.mean, alone.mean)
    assert (found.deviation < alone.deviation).all()
    np.testing.assert_allclose(found.known[-2:], alone.mean[:2])
    asked = np.concatenate([known, others[:2]])
    told = posterior(prior, asked, np.concatenate([values, alone.mean[:2]]), [], others)
    np.testing.assert_allclose(found.mean, told.mean)
    ratio = found.deviation / told.deviation  # two more results on the mean make the variance look smaller
    np.testing.assert_allclose(ratio, ratio[0])


def test_what_is_asked_for_one_by_one_counts_as_all_at_once(
    observed: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    known, values, others = observed
    prior = Prior(length=1.3, noise=0.05)
    together = posterior(prior, known, values, [others[:3]], others)
    for asked in ([others[:1], others[1:2], others[2:3]], [others[:0], others[:1], others[1:3]]):
        found = posterior(prior, known, values, asked, others)
        np.testing.assert_allclose(found.deviation, together.deviation, rtol=1e-9)
        np.testing.assert_allclose(found.known, together.known, rtol=1e-9)


def test_what_is_explained_and_what_is_left_are_all(observed: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    known, _, others = observed
    shares = explained(Prior(length=1.3, noise=0.05), known, others)
    left = GaussianProcessRegressor(Matern(1.3, nu=2.5), alpha=0.05, optimizer=None)
    deviation = left.fit(known, np.zeros(len(known))).predict(others, return_std=True)[1]
    np.testing.assert_allclose((shares**2).sum(axis=0) + deviation**2, 1.0, rtol=1e-6)


def test_plausible_priors_know_noise_from_shape() -> None:
    rng = np.random.default_rng(1)
    known = rng.uniform(-2, 2, size=(80, 1))
    smooth = np.sin(known[:, 0])
    least = [plausible([known], values)[0][1].noise for values in (smooth, smooth + rng.normal(size=80))]
    assert least[0] < least[1]


def test_plausible_priors_know_which_view_matters() -> None:
    rng = np.random.default_rng(3)
    views = [rng.uniform(-2, 2, size=(60, 2)) for _ in range(3)]
    found = plausible(views, np.sin(views[1]).sum(axis=1))
    assert {prior.view for _, prior in found} == {1}
    assert sum(share for share, _ in found) == pytest.approx(1)


def test_many_priors_are_plausible_while_little_is_known() -> None:
    rng = np.random.default_rng(4)
    known = rng.normal(size=(60, 2))
    values = np.sin(2 * known[:, 0]) + known[:, 1]
    few, many = plausible([known[:5]], values[:5]), plausible([known], values)
    assert len(few) > len(many)
    assert few[0][0] < 0.5


def test_correlation_is_one_at_no_distance() -> None:
    points = np.random.default_rng(2).normal(size=(5, 4))
    found = correlation(points, points, 0.7)
    np.testing.assert_allclose(np.diag(found), 1.0)
    assert (found[~np.eye(5, dtype=bool)] < 1).all()


@pytest.mark.parametrize(("mean", "deviation"), [(0.3, 1.0), (-2.0, 0.5), (-3.0, 0.2), (8.0, 0.5), (0.0, 2.0)])
def test_expected_improvement_is_the_integral(mean: float, deviation: float) -> None:
    density = norm(mean, deviation).pdf
    high = max(0.0, mean) + 12 * deviation
    expected = quad(lambda y: y * density(y), 0, high, points=[max(mean, 0.0)], epsabs=0.0)[0]
    found = log_expected_improvement(np.array([mean]), np.array([deviation]), 0.0)
    assert found[0] == pytest.approx(math.log(expected), abs=1e-3)


def test_expected_improvement_has_an_order_where_it_is_next_to_nothing() -> None:
    found = log_expected_improvement(np.array([-50.0, -40.0, -30.0]), np.full(3, 0.1), 0.0)
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()


# -- targets ----------------------------------------------------------------------------------------------------------


def _ended(value: float | None, reports: dict[int, float] | None = None) -> FrozenTrial:
    state = TrialState.PRUNED if value is None else TrialState.COMPLETE
    return create_trial(state=state, value=value, intermediate_values=reports or {})


def test_targets_keep_order_and_the_distances_of_the_better_half() -> None:
    trials = [_ended(value) for value in (-1e9, 0.1, 0.2, 0.5, 0.6, 0.8)]
    found = targets(trials, True, 6)
    assert (np.diff(found) > 0).all()
    assert found[0] > -2  # however bad it is
    assert (found[5] - found[4]) / (found[4] - found[3]) == pytest.approx(2)
    negative = [_ended(-value) for value in (-1e9, 0.1, 0.2, 0.5, 0.6, 0.8)]
    np.testing.assert_allclose(targets(negative, False, 6), found)


def test_the_search_does_not_bend_the_scale() -> None:
    first = [_ended(value) for value in (0.1, 0.2, 0.5, 0.6)]
    later = [_ended(value) for value in (0.55, 0.56, 0.57, 0.58, 0.7)]
    found = targets(first + later, True, 4)
    np.testing.assert_allclose(found[:4], targets(first, True, 4))
    assert found[8] > found[3]  # better than all of the first is better


def test_pruned_ones_count_with_what_they_had_reached() -> None:
    """Poorer than what is better at the end, and not poorer than what was trained to the end and is at chance."""
    trials = [_ended(0.1), _ended(None, {1: 0.3}), _ended(None, {1: 0.2, 2: 0.5}), _ended(0.6), _ended(0.8)]
    found = targets(trials, True, 5)
    assert (np.diff(found) > 0).all()


def test_targets_where_nothing_is_known() -> None:
    for trials in ([_ended(None), _ended(float("-inf"))], [_ended(0.5)] * 3):
        np.testing.assert_allclose(targets(trials, True, 3), 0.0)


def test_targets_where_the_first_gave_nothing() -> None:
    found = targets([_ended(None), _ended(None), _ended(None), _ended(0.2), _ended(0.6)], True, 3)
    assert np.isfinite(found).all()
    assert found[0] < found[3] < found[4]


# -- the sampler ------------------------------------------------------------------------------------------------------


def _study(sampler: Any) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=sampler, direction="maximize")


def _ask(study: optuna.Study, space: Space) -> tuple[optuna.Trial, dict[str, str]]:
    trial = study.ask()
    return trial, space.choose(lambda name, options: trial.suggest_categorical(name, options))


@pytest.mark.parametrize("batch", [1, 5])
def test_no_function_is_asked_for_twice(batch: int) -> None:
    space = load_space("tiny")
    whole = Candidates(space, True, True, ("values", "slopes", "moments", "correlation"))
    study, names = _study(load_sampler("surrogate", space, 0, n_initial=3)), []
    n_functions = len(whole.whole.keys)
    while len(names) + batch <= n_functions:
        asked = [_ask(study, space) for _ in range(batch)]
        for trial, choices in asked:
            behaviour = whole.behaviours([frozenset(choices.items())])[0]
            assert behaviour is not None
            names.append(behaviour.name)
            study.tell(trial, len(str(choices)))
    assert len(set(names)) == len(names)
    for _ in range(n_functions):  # then other forms of functions, and what cannot be trained
        study.tell(_ask(study, space)[0], 0.0)


def test_a_failed_trial_is_not_asked_for_again() -> None:
    space = load_space("tiny")
    study = _study(load_sampler("surrogate", space, 0, n_initial=2))
    made = []
    for _ in range(6):
        trial, choices = _ask(study, space)
        made.append(frozenset(choices.items()))
        study.tell(trial, state=TrialState.FAIL)
    assert len(set(made)) == 6


def test_it_finds_what_behaves_well_long_before_a_random_search() -> None:
    """The value is how close a function is to gelu, which the space does not hold, on normal inputs."""
    space = load_space("aquasurf")
    candidates = Candidates(space, True, True, ("values",))
    target = canonical(_values("gelu(x)"), normalise=True, symmetric=True)
    density = np.exp(-(GRID**2) / 2) / np.exp(-(GRID**2) / 2).sum()

    def value(choices: dict[str, str]) -> float:
        seen = canonical(candidates._values.of([choices])[:, 0, -len(GRID) :], normalise=True, symmetric=True)
        distance = float(np.sqrt((seen - target)[0] ** 2 @ density))
        return -distance if math.isfinite(distance) else -2.0

    def best(name: str, seed: int) -> float:
        study = _study(load_sampler(name, space, seed))
        for _ in range(30):
            trial, choices = _ask(study, space)
            study.tell(trial, value(choices))
        return study.best_value

    gains = [best("surrogate", seed) - best("random", seed) for seed in range(2)]
    assert np.mean(gains) > 0.02


def test_a_lucky_result_is_not_what_is_expected_most_of() -> None:
    """Neighbours of the luckiest gave little; the best of a good neighbourhood is expected to be better."""
    space = load_space("aquasurf")
    sampler = load_sampler("surrogate", space, 0, n_initial=4, features=("values",))
    study = _study(sampler)
    sigmoidal = {"tanh(x)": 0.3, "erf(x)": 0.31, "atan(x)": 0.8, "softsign(x)": 0.29}
    others = {"elu(x)": 0.7, "selu(x)": 0.71, "silu(x)": 0.72, "softplus(x)": 0.7, "sinh(x)": 0.1, "cosh(x)": 0.1}
    for number, (text, value) in enumerate((sigmoidal | others).items()):
        assert (sampler.expected_order(study) == []) == (number < 4)
        study.enqueue_trial(space.encode(to_expr(text)))
        study.tell(_ask(study, space)[0], value)
    assert study.best_value == 0.8
    order = [trial.value for trial in sampler.expected_order(study)]
    assert order[0] in (0.7, 0.71, 0.72)
    assert sorted(order) == sorted([*sigmoidal.values(), *others.values()])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_initial": 1}, "n_initial >= 2, not 1"),
        ({"features": ()}, "needs a list of features"),
        ({"features": "values"}, "needs a list of features .of values, slopes, moments, correlation., not 'values'"),
        ({"features": ("slope",)}, "knows no feature 'slope'; did you mean 'slopes'"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        load_sampler("surrogate", load_space("tiny"), 0, **settings)


def test_of_many_results_the_best_and_some_of_the_others_are_learned_from() -> None:
    values = np.random.default_rng(0).normal(size=3 * surrogate._N_LEARNED_FROM)
    chosen = surrogate._worth_learning_from(values)
    assert len(chosen) == len(set(chosen)) == surrogate._N_LEARNED_FROM
    assert set(np.argsort(-values)[: surrogate._N_LEARNED_FROM // 2]) < set(chosen)
    assert chosen.min() < 20
    assert chosen.max() > len(values) - 20
    assert surrogate._worth_learning_from(values[:100]).tolist() == list(range(100))
