"""A search that skips the worst candidates by a proxy, and says what that saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_helpers import SMALL, small_search, write_space

from actsearch._arguments import parse as parse_command
from actsearch.cli import COMMANDS
from actsearch.errors import StudyError, TaskError
from actsearch.expr.family import Family
from actsearch.expr.text import parse
from actsearch.report.summary import lines
from actsearch.space.load import load_space
from actsearch.study.proxies import Start, load_proxy
from actsearch.study.proxy_screen import ProxyScreen, is_worst
from actsearch.study.result import StudyResult, load_result
from actsearch.study.search import search
from actsearch.tasks.fit import FitJob, FitResult
from actsearch.tasks.load import load_task

TOY = load_task("toy")
# chi of the last two is far from 1, and the fifth is rejected by the screen
TEXTS = ("tanh(x)", "x*sigmoid(x)", "max(x, 0)", "x + tanh(x)", "sqrt(x)", "sin(5*x)", "cos(7*x)")
BY_CHAOS: dict[str, Any] = {"screen_by": "edge_of_chaos", "screen_share": 0.3}


def instant(job: FitJob) -> FitResult:
    reached = [rung for rung in job.rungs if rung <= job.stop_step]
    curve = tuple((sum(map(ord, job.spec)) % 97 + job.replicate) / 100 for _ in reached)
    return FitResult(tuple(reached), curve, curve, curve, "finished", "", 0.1, 9)


def searched(folder: Path, **settings: Any) -> StudyResult:
    settings = SMALL | {"n_trials": 9, "sampler": "exhaustive", "storage": folder / "study.journal"} | settings
    return search(write_space(folder, *TEXTS), replace(TOY, replay=instant), name="small", **settings)


def test_the_worst_are_told_at_chance_level_and_not_trained(tmp_path: Path) -> None:
    result = searched(tmp_path, **BY_CHAOS)
    reasons = {trial.user_attrs["expr"]: trial.user_attrs.get("reason", "") for trial in result.study.get_trials()}
    skipped = {text for text, reason in reasons.items() if "edge_of_chaos is among the worst 30%" in reason}
    assert skipped == {"sin(5*x)", "cos(7*x)"}
    assert (result.n_skipped, result.n_rejected, result.n_trained) == (2, 3, 4)
    values = {trial.value for trial in result.study.get_trials() if trial.user_attrs["outcome"] == "rejected"}
    assert len(values) == 1  # chance level, whatever the reason
    assert any("2 of these by the proxy edge_of_chaos: trainings saved" in line for line in lines(result, 3))
    assert load_result(tmp_path / "study.journal", "small").n_skipped == 2
    with pytest.raises(StudyError, match=r"screen_share is 0.3 there and 0.4 here"):
        searched(tmp_path, **BY_CHAOS | {"screen_share": 0.4})


def test_it_is_off_unless_asked_for(tmp_path: Path) -> None:
    result = searched(tmp_path)
    assert (result.n_skipped, result.n_trained) == (0, 6)
    assert not any("proxy" in line for line in lines(result, 3))


@pytest.mark.slow
def test_a_proxy_of_the_net_on_a_real_search(tmp_path: Path) -> None:
    space = write_space(tmp_path, *TEXTS)
    settings = {"sampler": "exhaustive", "n_trials": 9, "screen_by": "gradient_variance", "screen_share": 0.3}
    result = small_search(tmp_path, space, **settings)
    assert result.n_skipped >= 1
    assert result.n_skipped + result.n_trained == 6


def test_the_sample_is_of_the_space_and_follows_from_the_seed() -> None:
    space = load_space("tiny")

    def made(seed: int, name: str = "nonlinearity") -> ProxyScreen:
        return ProxyScreen(space, name, 0.25, TOY, "mlp", normalise=True, seed=seed)

    one, again, other = made(0), made(0), made(1)
    np.testing.assert_array_equal(one.sample, again.sample)
    assert not np.array_equal(one.sample, other.sample)
    answers = [one(space.sample(seed)) for seed in range(80)]
    accepted = [answer for answer in answers if answer is None or answer.startswith("skipped")]
    assert np.mean([answer is not None for answer in accepted]) == pytest.approx(0.25, abs=0.15)
    line = parse("3*x")
    assert one(line) == "skipped: nonlinearity is among the worst 25% of the space"
    assert one(parse("sqrt(x)")) == "not finite"
    assert one(parse("max(x, 0)")) is None


def test_what_a_proxy_says_nothing_of_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = ProxyScreen(load_space("tiny"), "nonlinearity", 0.25, TOY, "mlp", normalise=True, seed=0)
    assert judge(Family("dynamic_relu")) is None  # it starts at relu
    monkeypatch.setattr(judge, "sample", np.empty(0))  # of a space of such candidates alone
    assert judge(parse("3*x")) is None


def test_is_worst() -> None:
    sample = np.array([0.0, 1.0, 2.0, 3.0, np.inf, np.inf, np.inf, np.inf])
    assert is_worst([2.0, 3.0, np.inf], sample, 0.3).tolist() == [False, False, True]
    assert is_worst([2.0, 3.0, np.inf], sample, 0.6).tolist() == [False, True, True]
    # of ties all or none
    assert is_worst([np.inf], sample, 0.2).tolist() == [False]
    badness = load_proxy("nonlinearity").badness(Start("x"))
    assert is_worst(badness, np.array([-0.5]), 0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"screen_by": "edge_of_caos"}, r"unknown proxy 'edge_of_caos'; did you mean 'edge_of_chaos'\?"),
        ({"screen_by": "fisher", "screen_share": 1.0}, r"screen_share=1.0 \(between 0 and 1"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=message):
        searched(tmp_path, **settings)


def test_a_recorded_task_has_no_net_to_look_at() -> None:
    def no_net(*arguments: Any, **settings: Any) -> None:
        raise TaskError("a recorded task has no net to build")

    with pytest.raises(TaskError, match="no net to build"):
        ProxyScreen(
            load_space("tiny"), "fisher", 0.5, replace(TOY, nets={"mlp": no_net}), "mlp", normalise=True, seed=0
        )


def test_the_command_line_takes_it() -> None:
    words = ["search", "--space", "tiny", "--screen-by", "edge_of_chaos", "--screen-share", "0.5"]
    _, values = parse_command(words, COMMANDS, "1")
    assert (values["screen_by"], values["screen_share"]) == ("edge_of_chaos", 0.5)
