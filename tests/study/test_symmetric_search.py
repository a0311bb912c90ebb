"""A search trains one of the functions that its nets cannot tell apart, and says how many trainings that saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from search_helpers import SMALL, write_space

from actsearch._arguments import parse as parse_command
from actsearch.cli import COMMANDS
from actsearch.errors import StudyError
from actsearch.expr.family import Family
from actsearch.expr.text import parse
from actsearch.report.summary import lines
from actsearch.space import ReplayChooser, load_space
from actsearch.study.function import function_of
from actsearch.study.plan import Plan, plan_cells
from actsearch.study.result import StudyResult, load_result
from actsearch.study.search import search
from actsearch.tasks.fit import FitJob, FitResult
from actsearch.tasks.load import load_task

# the second and third are mirror images of the first; normalised, the last is the one before
TEXTS = ("x*sigmoid(x)", "x - x*sigmoid(x)", "-x*sigmoid(x)", "tanh(x)", "1 - sigmoid(2*x)")


def instant(job: FitJob) -> FitResult:
    """Answer without training, differently for each function and replicate."""
    reached = [rung for rung in job.rungs if rung <= job.stop_step]
    end = (sum(map(ord, job.spec)) % 97 + job.replicate) / 100
    curve = tuple(end * rung / job.rungs[-1] for rung in reached)
    return FitResult(tuple(reached), curve, curve, curve, "finished", "", 0.1, 9, end if job.test else None)


def searched(folder: Path, *texts: str, **settings: Any) -> StudyResult:
    task = replace(load_task("toy"), replay=instant, **settings.pop("task", {}))
    whole = {"n_trials": 9, "sampler": "exhaustive", "pruner": "none", "storage": folder / "study.journal"}
    settings = SMALL | whole | {"name": "small"} | settings
    return search(write_space(folder, *(texts or TEXTS)), task, **settings)


@pytest.mark.parametrize(
    ("settings", "n_trained", "n_mirrored"),
    [({}, 2, 3), ({"normalise": False}, 3, 2), ({"symmetry": "off"}, 5, 0)],
    ids=["normalised", "un-normalised", "off"],
)
def test_one_of_a_class_is_trained(settings: dict[str, Any], n_trained: int, n_mirrored: int, tmp_path: Path) -> None:
    result = searched(tmp_path, **settings)
    assert (result.n_trained, result.n_mirrored, result.n_duplicates) == (n_trained, n_mirrored, n_mirrored)
    trials = result.study.get_trials()
    for trial in trials:
        first = trials[trial.user_attrs.get("duplicate_of", trial.number)]
        assert (trial.value, trial.state, trial.intermediate_values) == (
            first.value,
            first.state,
            first.intermediate_values,
        )
    said = f"symmetry saved {n_mirrored} trainings of mirror images"
    assert (said in "\n".join(lines(result, 3))) == (n_mirrored > 0)


def test_a_mirror_image_that_comes_twice_saves_one_training(tmp_path: Path) -> None:
    result = searched(tmp_path, "x*sigmoid(x)", "x/(1 + exp(-x))", "x - x*sigmoid(x)", "x - x/(1 + exp(-x))")
    assert (result.n_trained, result.n_duplicates, result.n_mirrored) == (1, 3, 1)


def test_one_s_own_nets_are_told_apart_unless_one_says_so(tmp_path: Path) -> None:
    own = searched(tmp_path, *TEXTS[:2], task={"sign_symmetric": ()})
    assert (own.n_trained, own.n_mirrored) == (2, 0)
    with pytest.raises(StudyError, match=r"begun with other settings: tasks is .*'sign_symmetric': \[\]"):
        searched(tmp_path, *TEXTS[:2])


def test_one_net_that_tells_them_apart_is_enough() -> None:
    mnist1d = load_task("mnist1d", nets=("mlp", "deep"))
    assert Plan(plan_cells([mnist1d], (1,)), 0, True).is_symmetric
    one = replace(mnist1d, sign_symmetric=("deep",))
    assert not Plan(plan_cells([one], (1,)), 0, True).is_symmetric
    assert Plan(plan_cells([one.with_nets("deep")], (1,)), 0, True).is_symmetric
    assert not Plan(plan_cells([load_task("toy"), one], (1,)), 0, True).is_symmetric


def test_a_continued_search_knows_what_it_trained(tmp_path: Path) -> None:
    first = searched(tmp_path, n_trials=1)
    assert (first.n_trained, first.n_mirrored) == (1, 0)
    later = searched(tmp_path, n_trials=2)
    assert (later.n_trained, later.n_mirrored) == (2, 2)  # it ends with tanh, before the last
    assert load_result(later.storage).n_mirrored == 2


def test_a_study_from_before_there_was_symmetry_is_refused_by_name(tmp_path: Path) -> None:
    study = searched(tmp_path, n_trials=1).study
    config = {key: value for key, value in study.user_attrs["config"].items() if key != "symmetry"}
    study.set_user_attr("config", config)
    with pytest.raises(StudyError, match=r"begun with other settings: symmetry is None there and 'auto' here\. Call"):
        searched(tmp_path, n_trials=2)


def test_what_the_screen_rejects_stands_for_itself_alone(tmp_path: Path) -> None:
    result = searched(tmp_path, "sqrt(x)", "sqrt(-x)", "tanh(x)")
    assert (result.n_trained, result.n_rejected, result.n_mirrored) == (1, 2, 0)


def test_a_baseline_in_the_mirror_is_no_finalist(tmp_path: Path) -> None:
    finals = {"finalists": 2, "n_replicates": 2, "learning_rate_factors": (1.0,), "panel": ("silu", "tanh")}
    result = searched(tmp_path, "x - x*sigmoid(x)", "x**2", **finals)
    assert {row.expr: row.baseline for row in result.leaderboard()} == {"x - x*sigmoid(x)": "silu", "x**2": ""}
    assert result.finals is not None
    assert [row.spec for row in result.finals.rows if row.role == "finalist"] == ["x**2"]


def test_symmetry_is_auto_or_off(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"^the search was given symmetry='on' \('auto' or 'off'\)$"):
        searched(tmp_path, symmetry="on")
    (tmp_path / "search.yaml").write_text("space: tiny\nsymmetry: off\n")  # which YAML reads as false
    command = ["search", "--config", str(tmp_path / "search.yaml")]
    assert parse_command(command, COMMANDS, "0")[1]["symmetry"] == "off"
    assert parse_command([*command, "--symmetry", "auto"], COMMANDS, "0")[1]["symmetry"] == "auto"
    assert parse_command(["search", "--space", "tiny"], COMMANDS, "0")[1]["symmetry"] == "auto"


def key(text: str, normalise: bool) -> str:
    return function_of(parse(text), normalise, symmetric=True).key


def test_functions_with_parameters_have_mirror_images() -> None:
    swish = "x*sigmoid(beta[1.0]*x)"
    for normalise in (True, False):
        assert key(swish, normalise) == key("x*sigmoid(-beta[1.0]*x)", normalise)
        assert key(swish, normalise) != key("x*sigmoid(beta[2.0]*x)", normalise)
        assert (key(swish, normalise) == key(f"1 - 3*{swish}", normalise)) == normalise


def test_a_family_has_none() -> None:
    family = Family("rational")
    assert function_of(family, True, symmetric=True) == function_of(family, True)
    assert function_of(family, True).key == function_of(family, True).fingerprint


def test_equal_functions_have_equal_keys() -> None:
    space = load_space("tiny")
    found: dict[tuple[bool, str], set[str]] = {}
    for number in range(space.size()):
        expr = space.decode(ReplayChooser(space.choices_at(number)))
        for normalise in (True, False):
            function = function_of(expr, normalise, symmetric=True)
            found.setdefault((normalise, function.fingerprint), set()).add(function.key)
    assert all(len(keys) == 1 for keys in found.values())
    assert len({key for keys in found.values() for key in keys}) < len(found)
