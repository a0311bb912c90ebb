"""Samplers: what all of them promise, and what each does; Optuna's own suite is in test_samplers_optuna.py."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import HyperbandPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler
from optuna.trial import TrialState

from actsearch.errors import StudyError
from actsearch.space import Space, load_space
from actsearch.study.reclaim import reclaim
from actsearch.study.samplers import evolution, load_sampler, sampler_names
from actsearch.study.samplers._fixed import has_conditional_choices
from actsearch.study.storage import open_storage

NEED_ALL_CHOICES = ("gp", "nsgaii")

# fitting Gaussian processes is dear
ALL = [pytest.param(name, marks=pytest.mark.slow) if name == "gp" else name for name in sampler_names()]

# settings with which a few trials suffice to leave the random start
SETTINGS: dict[str, dict[str, Any]] = {
    "evolution": {"population_size": 5, "tournament_size": 3, "crossover": 0.5},
    "gp": {"n_startup_trials": 5},
    "nsgaii": {"population_size": 5},
    "surrogate": {"n_initial": 3},
    "tpe": {"n_startup_trials": 5},
}

CONDITIONAL = """
name: branching
title: Some choices hang on others
citation: made for this test
start: unary(x)
rules:
  unary(a):
    - a
    - sin(a)
    - binary(unary(a), unary(a))
  binary(a, b):
    - a + b
    - a * b
    - max(a, b)
depth: 4
"""


@pytest.fixture(scope="module")
def tiny() -> Space:
    return load_space("tiny")


@pytest.fixture(scope="module")
def branching(tmp_path_factory: pytest.TempPathFactory) -> Space:
    path = tmp_path_factory.mktemp("space") / "branching.yaml"
    path.write_text(CONDITIONAL)
    return load_space(str(path))


@pytest.fixture(params=["tiny", "branching"])
def space(request: pytest.FixtureRequest) -> Space:
    return request.getfixturevalue(request.param)


def _study(sampler: BaseSampler, **settings: Any) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=sampler, direction="maximize", **settings)


def _make(name: str, space: Space, seed: int = 0) -> BaseSampler:
    if name in NEED_ALL_CHOICES and has_conditional_choices(space):
        pytest.skip(f"{name} refuses this space, see test_refused_spaces")
    return load_sampler(name, space, seed, **SETTINGS.get(name, {}))


def _choices(trial: optuna.Trial, space: Space) -> dict[str, str]:
    return space.choose(lambda name, options: trial.suggest_categorical(name, options))


def _score(choices: dict[str, str]) -> float:
    return sum(len(option) % 7 for option in choices.values()) / len(choices)


def _step(study: optuna.Study, space: Space) -> dict[str, str]:
    trial = study.ask()
    choices = _choices(trial, space)
    if trial.number % 4 == 3:
        trial.report(_score(choices), 10)
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, _score(choices))
    return choices


def _run(study: optuna.Study, space: Space, n_trials: int) -> list[dict[str, str]]:
    return [_step(study, space) for _ in range(n_trials)]


# -- what all promise -------------------------------------------------------------------------------------------------


def test_names() -> None:
    assert sampler_names() == ["evolution", "exhaustive", "gp", "nsgaii", "random", "surrogate", "tpe"]


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_candidates(name: str, space: Space) -> None:
    first = _run(_study(_make(name, space, seed=3)), space, 14)
    assert first == _run(_study(_make(name, space, seed=3)), space, 14)
    other = _run(_study(_make(name, space, seed=4)), space, 14)
    assert (first == other) == (name == "exhaustive")


@pytest.mark.parametrize("name", ALL)
def test_trials_differ(name: str, space: Space) -> None:
    made = _run(_study(_make(name, space)), space, 14)
    assert len({frozenset(choices.items()) for choices in made}) >= 4


@pytest.mark.parametrize("name", ALL)
def test_going_on_in_a_new_process_changes_nothing(name: str, space: Space, tmp_path: Path) -> None:
    """The state is in the trials: a sampler made anew for every trial asks for the same candidates."""
    whole = _run(_study(_make(name, space)), space, 14)
    resumed = []
    for _ in range(14):
        study = _study(_make(name, space), storage=open_storage(tmp_path / "s"), study_name="s", load_if_exists=True)
        resumed += _run(study, space, 1)
    assert resumed == whole


@pytest.mark.parametrize("name", ALL)
def test_several_running_at_once(name: str, space: Space) -> None:
    study = _study(_make(name, space))
    for _ in range(4):
        trials = [study.ask() for _ in range(4)]
        made = [_choices(trial, space) for trial in trials]
        for trial, choices in reversed(list(zip(trials, made, strict=True))):
            study.tell(trial, _score(choices))
    assert len(study.get_trials(states=(TrialState.COMPLETE,))) == 16


@pytest.mark.parametrize("name", ALL)
def test_reclaimed_trials_make_the_same_choices_again(name: str, space: Space) -> None:
    study = _study(_make(name, space))
    _run(study, space, 7)
    lost = _choices(study.ask(), space)
    study.ask()  # lost before it made any
    study.sampler = _make(name, space)
    assert reclaim(study) == [7, 8]
    assert _step(study, space) == lost


@pytest.mark.parametrize("name", ALL)
def test_half_of_the_choices_made_before_the_kill_are_kept(name: str, space: Space) -> None:
    study = _study(_make(name, space))
    _run(study, space, 7)
    place, options = next(iter(space.places().items()))
    option = study.ask().suggest_categorical(place, options)
    study.sampler = _make(name, space)
    reclaim(study)
    assert _step(study, space)[place] == option


@pytest.mark.parametrize("name", ALL)
def test_all_brackets_of_hyperband_are_seen(name: str, tiny: Space) -> None:
    pruner = HyperbandPruner(min_resource=1, max_resource=9, reduction_factor=3)
    study = _study(_make(name, tiny), pruner=pruner, study_name="s")
    made = []
    for _ in range(20):
        study.sampler = _make(name, tiny)  # as after a kill: what it knows, it knows from the study
        trial = study.ask()
        made.append(_choices(trial, tiny))
        trial.report(_score(made[-1]), 1)
        trial.should_prune()  # only now does the pruner make its brackets
        study.tell(trial, _score(made[-1]))
    if name in ("evolution", "exhaustive"):
        assert len({frozenset(choices.items()) for choices in made}) == 20


# -- which spaces they serve ------------------------------------------------------------------------------------------


def test_conditional_choices_are_recognised(tiny: Space, branching: Space) -> None:
    assert not has_conditional_choices(tiny)
    assert has_conditional_choices(branching)
    assert not has_conditional_choices(load_space("core_unit"))


@pytest.mark.parametrize("name", NEED_ALL_CHOICES)
def test_refused_spaces(name: str, branching: Space) -> None:
    with pytest.raises(StudyError, match=f"sampler {name} cannot serve space 'branching'.*use tpe, evolution"):
        load_sampler(name, branching)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (CmaEsSampler, "CmaEsSampler samples numbers only"),
        (QMCSampler, "QMCSampler samples numbers only"),
        (NSGAIISampler, "NSGAIISampler cannot serve space 'branching'"),
        (GPSampler, "GPSampler cannot serve space 'branching'"),
        (lambda: optuna.samplers.GridSampler({"a": [1]}), "use exhaustive"),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optuna_samplers_that_would_turn_random_are_refused(make: Any, message: str, branching: Space) -> None:
    with pytest.raises(StudyError, match=message):
        load_sampler(make(), branching)


def test_other_optuna_samplers_are_taken(branching: Space, tiny: Space) -> None:
    sampler = RandomSampler(seed=1)
    assert load_sampler(sampler, branching) is sampler
    assert isinstance(load_sampler(NSGAIISampler(), tiny), NSGAIISampler)
    with pytest.raises(StudyError, match="settings \\(n_startup\\) go with a sampler's name"):
        load_sampler(sampler, branching, n_startup=3)


def test_facts_are_for_samplers_that_ask_for_them(tiny: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "asking_sampler.py").write_text(
        "import optuna\n"
        "def make(space, seed, normalise, size=1):\n"
        "    assert (normalise, size) == (False, 2)\n"
        "    return optuna.samplers.RandomSampler(seed)\n"
    )
    monkeypatch.chdir(tmp_path)
    facts = {"normalise": False, "symmetric": True}
    assert isinstance(load_sampler("asking_sampler:make", tiny, facts=facts, size=2), RandomSampler)
    assert load_sampler("tpe", tiny, facts=facts) is not None


def test_sampler_of_ones_own(tiny: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_sampler.py").write_text(
        "import optuna\n"
        "def make(space, seed, **settings): return optuna.samplers.RandomSampler(seed)\n"
        "def wrong(space, seed): return 3\n"
        "def cma(space, seed): return optuna.samplers.CmaEsSampler()\n"
    )
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_sampler("my_sampler:make", tiny, 3, anything=1), RandomSampler)
    with pytest.raises(StudyError, match="'my_sampler:wrong' made a int, not an Optuna sampler"):
        load_sampler("my_sampler:wrong", tiny)
    with pytest.raises(StudyError, match="numbers only"):
        load_sampler("my_sampler:cma", tiny)
    with pytest.raises(StudyError, match="has no 'nothing'"):
        load_sampler("my_sampler:nothing", tiny)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("tpee", {}, "unknown sampler 'tpee'; did you mean 'tpe'"),
        ("cmaes", {}, "unknown sampler 'cmaes'.*known: evolution"),
        ("tpe", {"n_startup": 3}, "no setting 'n_startup'; did you mean 'n_startup_trials'"),
        ("random", {"size": 3}, r"no setting 'size' \(known: none\)"),
        ("evolution", {"population_size": 1}, "population_size >= 2"),
        ("evolution", {"tournament_size": 30}, "tournament_size <= population_size"),
        ("evolution", {"crossover": 1.5}, "crossover <= 1"),
    ],
)
def test_bad_names_and_settings(name: str, settings: dict[str, Any], message: str, tiny: Space) -> None:
    with pytest.raises(StudyError, match=message):
        load_sampler(name, tiny, 0, **settings)


# -- exhaustive -------------------------------------------------------------------------------------------------------


def test_exhaustive_takes_every_candidate_once_and_stops(space: Space) -> None:
    study = _study(load_sampler("exhaustive", space))
    size = min(space.size(), 60)
    study.optimize(lambda trial: _score(_choices(trial, space)), n_trials=size + 10 if size < 60 else size)
    made = [trial.params for trial in study.trials]
    assert made == [choices for choices, _ in zip(space.enumerate_choices(), range(size), strict=False)]


def test_exhaustive_says_when_there_is_no_more(tiny: Space) -> None:
    sampler = load_sampler("exhaustive", tiny)
    study = _study(sampler)
    _run(study, tiny, tiny.size() - 1)
    assert not sampler.is_exhausted(study)
    _step(study, tiny)
    assert sampler.is_exhausted(study)
    with pytest.raises(StudyError, match="all 48 candidates of space 'tiny' have been tried"):
        study.ask()
    assert study.trials[-1].state == TrialState.FAIL


def test_exhaustive_skips_what_others_took(tiny: Space) -> None:
    study = _study(load_sampler("random", tiny, 5))
    taken = _run(study, tiny, 20)
    study.sampler = load_sampler("exhaustive", tiny)
    n_left = tiny.size() - len({frozenset(choices.items()) for choices in taken})
    left = _run(study, tiny, n_left)
    assert {frozenset(choices.items()) for choices in taken + left} == {
        frozenset(choices.items()) for choices in tiny.enumerate_choices()
    }
    assert study.sampler.is_exhausted(study)


def test_exhaustive_is_never_random(tiny: Space) -> None:
    trial = _study(load_sampler("exhaustive", tiny)).ask()
    with pytest.raises(StudyError, match="'depth' is no choice of this candidate"):
        trial.suggest_categorical("depth", [1, 2])


# -- evolution --------------------------------------------------------------------------------------------------------


def _n_changed(child: dict[str, str], parent: dict[str, str]) -> int:
    return sum(child.get(name) != parent.get(name) for name in child.keys() | parent.keys())


def test_children_differ_from_a_recent_parent_in_one_choice() -> None:
    space = load_space("core_unit")
    study = _study(load_sampler("evolution", space, 1, population_size=6, tournament_size=2))
    made = _run(study, space, 40)
    for number in range(6, 40):
        distances = [_n_changed(made[number], parent) for parent in made[number - 6 : number]]
        assert min(distances) == 1, number


def test_the_better_of_a_tournament_is_the_parent(tiny: Space) -> None:
    """With a tournament of everybody each child is the best one's; a pruned or aged best one is not asked."""
    space = load_space("core_unit")
    study = _study(load_sampler("evolution", space, 2, population_size=5, tournament_size=5))
    values = [9.0, 1.0, 5.0, 2.0, 3.0, 4.0]
    made = []
    for number, value in enumerate(values):
        trial = study.ask()
        made.append(_choices(trial, space))
        if number == 3:
            trial.report(100.0, 1)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, value)
    # trial 0 has aged out of the last five, trial 3 is pruned: 2 is the best
    assert _n_changed(_choices(study.ask(), space), made[2]) == 1


def test_who_could_not_be_trained_is_poorer_than_who_was_pruned() -> None:
    def fitness(state: TrialState, value: float | None, **attributes: str) -> tuple[bool, int, float]:
        reports = {1: 0.3} if state == TrialState.PRUNED else {}
        made = optuna.trial.create_trial(state=state, value=value, user_attrs=attributes, intermediate_values=reports)
        return evolution._fitness(made, True)

    diverged = fitness(TrialState.COMPLETE, 0.0, outcome="diverged")
    rejected = fitness(TrialState.COMPLETE, 0.0, outcome="rejected")
    pruned = fitness(TrialState.PRUNED, None, outcome="pruned")
    assert diverged == rejected < pruned < fitness(TrialState.COMPLETE, -9.0, outcome="finished")


def test_minimising_studies_are_understood() -> None:
    space = load_space("core_unit")
    study = optuna.create_study(
        sampler=load_sampler("evolution", space, 2, population_size=4, tournament_size=4), direction="minimize"
    )
    made = []
    for value in (3.0, 1.0, 2.0, 4.0):
        trial = study.ask()
        made.append(_choices(trial, space))
        study.tell(trial, value)
    assert _n_changed(_choices(study.ask(), space), made[1]) == 1


def test_evolution_goes_on_when_the_neighbourhood_is_used_up(tiny: Space) -> None:
    study = _study(load_sampler("evolution", tiny, 0, population_size=4, tournament_size=2))
    made = _run(study, tiny, 44)
    assert len({frozenset(choices.items()) for choices in made}) == 44
    _run(study, tiny, 10)  # more than the space has: repeats, no endless loop


def test_strangers_trials_are_no_parents(tiny: Space) -> None:
    study = _study(load_sampler("evolution", tiny, 0, population_size=2, tournament_size=2))
    for _ in range(5):
        trial = study.ask()
        trial.suggest_float("learning_rate", 0.0, 1.0)
        study.tell(trial, 1.0)
    assert set(_step(study, tiny)) == set(tiny.places())


def _matches(choices: dict[str, str], target: dict[str, str]) -> float:
    """A landscape on which choices count one by one, and which random search climbs slowly."""
    return sum(choices[name] == option for name, option in target.items())


@pytest.mark.parametrize(("name", "lead"), [("evolution", 0.4), ("tpe", 0.4), ("nsgaii", 0.2)])
def test_learns_faster_than_random(name: str, lead: float) -> None:
    space = load_space("core_unit")

    def best(sampler: str, seed: int) -> float:
        study = _study(load_sampler(sampler, space, seed))
        target = space.choose(lambda place, options: options[(7 * seed + len(place)) % len(options)])
        for _ in range(120):
            trial = study.ask()
            study.tell(trial, _matches(_choices(trial, space), target))
        return study.best_value

    n = 6
    assert math.fsum(best(name, seed) - best("random", seed) for seed in range(n)) / n >= lead
