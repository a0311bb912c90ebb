"""The wall-time benchmark: whose incumbent is whose when, the verdict, and that nothing is run twice."""

from __future__ import annotations

import datetime
import importlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import FrozenTrial, TrialState

from actsearch.errors import StudyError
from actsearch.space import load_space
from actsearch.tasks._build import build_module
from actsearch.tasks.fit import FitJob
from actsearch.tasks.load import load_task
from actsearch.tasks.seeds import derive_seed

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
BEGAN = 1_000_000.0


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    sys.path.insert(0, str(BENCHMARKS))
    names = ("_optuna_loop", "_wall_time_runs", "_wall_time_scores", "_wall_time_page", "bench_wall_time")
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(BENCHMARKS))


def trial(number: int, seconds: float, value: float | None, **attributes: Any) -> FrozenTrial:
    moment = datetime.datetime.fromtimestamp(BEGAN + seconds)
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState.PRUNED if value is None else TrialState.COMPLETE,
        value=value,
        datetime_start=moment - datetime.timedelta(seconds=5),
        datetime_complete=moment,
        params={},
        distributions={},
        user_attrs=attributes,
        system_attrs={},
        intermediate_values={},
    )


def search_of(modules: dict[str, ModuleType], *trials: FrozenTrial, minutes: float = 6.0) -> Any:
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), direction="maximize")
    study.set_user_attr("config", {"sampler": "tpe", "pruner": "halving"})
    for one in trials:
        study.add_trial(one)
    runs = modules["_wall_time_runs"]
    return runs.Run(runs.Settings(runs.SEARCH, minutes, 400, 0), BEGAN, 0.5, study)


def candidate(number: int, seconds: float, value: float, expr: str) -> FrozenTrial:
    return trial(number, seconds, value, outcome="finished", expr=expr)


def queued(number: int) -> FrozenTrial:
    """Return what a search that was ended leaves to be asked for again."""
    return optuna.trial.create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {"a": number}})


def loop_of(modules: dict[str, ModuleType]) -> Any:
    study = optuna.create_study(storage=optuna.storages.InMemoryStorage(), direction="maximize")
    names = {"left": "x", "right": "x", "binary": "gate"}
    one = trial(0, 1000.0, 0.7)
    one.params = dict(names)
    one.distributions = {name: optuna.distributions.CategoricalDistribution([value]) for name, value in names.items()}
    study.add_trial(one)
    runs = modules["_wall_time_runs"]
    return runs.Run(runs.Settings(runs.LOOP, 30.0, 400, 0), BEGAN, 0.5, study)


def found_of(modules: dict[str, ModuleType], levels: dict[str, float], *searches: Any) -> Any:
    """Return scores around 0.7 of the loop's function, and around the levels given of the searches' ones."""
    noise = np.array([-0.01, 0.0, 0.01])
    scores = {key: list(0.6 + noise) for pair in modules["_wall_time_page"].BASELINES.values() for key in pair}
    scores["loop", "x x gate"] = list(0.7 + noise)
    scores |= {("search", function): list(level + noise) for function, level in levels.items()}
    return modules["_wall_time_page"].Found([loop_of(modules)], list(searches), scores)


def test_the_incumbent_is_what_the_search_would_hand_over(modules: dict[str, ModuleType]) -> None:
    search = search_of(
        modules,
        candidate(0, 90.0, 1.0, "tanh(x)"),
        candidate(1, 60.0, 2.0, "sin(x)"),  # asked for later, ended earlier
        trial(2, 70.0, None, outcome="pruned", expr="cos(x)"),
        trial(3, 80.0, 9.0, outcome="diverged", expr="exp(x)"),
        trial(4, 85.0, 2.5, outcome="duplicate", expr="x - 1"),
        candidate(5, 120.0, 3.0, "silu(x)"),
        candidate(6, 361.0, 4.0, "erf(x)"),  # too late
        queued(7),
    )
    held = [(one.seconds, one.function) for one in search.incumbents]
    assert held == [(60.0, "sin(x)"), (120.0, "silu(x)")]
    assert search.n_trained == 5
    assert search.seconds_to_first == 55.0
    assert search.seconds_to(5) == 120.0
    assert math.isinf(search.seconds_to(6))
    standing = modules["_wall_time_page"].standing
    assert standing(search.incumbents, 0.9) is None
    assert standing(search.incumbents, 1.0).function == "sin(x)"
    assert standing(search.incumbents, 6.0).function == "silu(x)"


@pytest.mark.parametrize(
    ("levels", "moments"),
    [
        ((0.71, 0.72, 0.73), (1.0, 1.0)),
        ((0.60, 0.72, 0.73), (2.0, 2.0)),
        ((0.71, 0.60, 0.73), (1.0, 4.0)),
        ((0.71, 0.72, 0.60), (1.0, math.inf)),
        ((0.60, 0.60, 0.60), (math.inf, math.inf)),
    ],
)
def test_reaching_and_staying(
    modules: dict[str, ModuleType], levels: tuple[float, ...], moments: tuple[float, float]
) -> None:
    names = ("tanh(x)", "sin(x)", "silu(x)")
    ended = [candidate(i, seconds, float(i), names[i]) for i, seconds in enumerate((60.0, 120.0, 240.0))]
    search = search_of(modules, *ended)
    assert found_of(modules, dict(zip(names, levels, strict=True)), search).moments(search) == moments


def test_the_verdict_is_that_of_the_median_search(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    levels = {"tanh(x)": 0.6, "silu(x)": 0.75}
    early = search_of(modules, candidate(0, 60.0, 1.0, "tanh(x)"), candidate(1, 150.0, 2.0, "silu(x)"))
    late = search_of(modules, candidate(0, 300.0, 2.0, "silu(x)"))
    none, empty = search_of(modules, candidate(0, 60.0, 1.0, "tanh(x)")), search_of(modules)
    page = modules["_wall_time_page"].page
    good = page(found_of(modules, levels, early, early, late), "COMMAND")
    assert "stays so to the end: median 2.5 min, range 2.5 min to 5.0 min, of 3 searches." in good
    assert "Reached: yes." in good
    assert "| 0 | 2.5 min | 2.5 min | 0.9 min | 2 | not within 6 min | +5.0 [+5.0, +5.0] |" in good
    assert "| 0 | 1 | `x/(1 + exp(-x))` | 16.7 min | 70.0 ± 2.5 |" in good
    assert "| 1 min | 60.0 ± 2.5 | 60.0 ± 2.5 | none yet |" in good
    bad = page(found_of(modules, levels, early, none, empty), "COMMAND")
    assert "median not within 6 min, range 2.5 min to not within 6 min, of 3 searches." in bad
    assert "Reached: **no**." in bad
    short = search_of(modules, candidate(0, 30.0, 1.0, "tanh(x)"), minutes=1.0)  # ends before the target
    for searches in ((early, none, empty), (short,)):
        modules["_wall_time_page"].picture(found_of(modules, levels, *searches), tmp_path / "picture.png")
        assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_a_run_that_ended_is_kept_and_one_that_did_not_begins_anew(
    modules: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, calls = modules["_wall_time_runs"], []

    def timed(folder: Path, settings: Any) -> dict[str, float]:
        calls.append(sorted(path.name for path in folder.iterdir()))
        modules["_optuna_loop"].open_study(folder / "journal").add_trial(trial(0, 10.0, 0.5))
        return {"began": BEGAN, "load": 0.5}

    monkeypatch.setattr(runs, "_timed", timed)
    settings = runs.Settings(runs.LOOP, 1.0, 40, 0)
    (tmp_path / "loop-0").mkdir()
    (tmp_path / "loop-0" / "journal").write_text("the journal of a run that was killed")
    assert runs.run(tmp_path, settings).n_trained == 1
    assert runs.run(tmp_path, settings).began == BEGAN
    assert calls == [[]]
    with pytest.raises(StudyError, match=r"^.*loop-0 keeps a run with .*'minutes': 1.0.*, not .*'minutes': 2.0"):
        runs.run(tmp_path, runs.Settings(runs.LOOP, 2.0, 40, 0))


def test_kept_scores_are_not_trained_again(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"search 40 relu": [0.5, 0.6, 0.7]}))
    before = path.stat().st_mtime_ns
    scores = modules["_wall_time_scores"].fresh_scores([("search", "relu")], 2, 40, path)
    assert scores == {("search", "relu"): [0.5, 0.6]}
    assert path.stat().st_mtime_ns == before


def test_the_loop_has_the_space_of_the_search(modules: dict[str, ModuleType]) -> None:
    loop = modules["_optuna_loop"]
    assert len(loop.UNARY) ** 2 * len(loop.BINARY) == load_space(loop.SPACE).size()
    x = torch.linspace(-3, 3, 7)
    wanted = {"relu": torch.relu(x), "silu": torch.nn.functional.silu(x)}
    for name, ((_, function), _) in modules["_wall_time_page"].BASELINES.items():
        activation = loop.Lambda(loop.expression(*function.split()))
        torch.testing.assert_close(activation(x), wanted[name])
    assert torch.equal(loop.Lambda(loop.expression("beta", "beta", "+"))(x), torch.full_like(x, 2.0))


@pytest.mark.parametrize("net", ["deep", "residual"])
def test_replicates_of_both_sides_are_paired(
    modules: dict[str, ModuleType], net: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, scores = modules["_optuna_loop"], modules["_wall_time_scores"]
    seen: dict[str, Any] = {}

    def train(expr: Any, net: str, n_steps: int, data_seed: int) -> float:
        made = load_task(loop.TASK, loop.NETS).nets[net](lambda: loop.Lambda(expr))
        seen["loop"] = made.state_dict(), data_seed
        return 0.5

    def fit(job: FitJob) -> Any:
        assert (job.normalise, job.fresh_data, job.test) == (True, True, False)
        seen["search"] = (
            build_module(job).state_dict(),
            derive_seed(job.study_seed, "mnist1d", "", job.replicate, "data"),
        )
        return SimpleNamespace(metric=(0.4, 0.6))

    monkeypatch.setattr(scores, "train", train)
    monkeypatch.setattr(scores, "fit", fit)
    assert scores.score("loop", "x x gate", net, 2003, 40) == 0.5
    assert scores.score("search", "silu", net, 2003, 40) == 0.6
    (weights, data), (others, other_data) = seen["loop"], seen["search"]
    assert data == other_data
    assert weights.keys() <= others.keys()
    assert all(torch.equal(value, others[name]) for name, value in weights.items())


@pytest.mark.slow
def test_a_small_run_and_the_same_again(tmp_path: Path) -> None:
    command = [
        *(sys.executable, str(BENCHMARKS / "bench_wall_time.py"), "--minutes", "0.5", "--search-minutes", "0.2"),
        *("--repeats", "1", "--steps", "10", "--replicates", "2"),
        *("--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--only", "loop"], env=environment, check=True, stdout=subprocess.DEVNULL)
    assert not (tmp_path / "out" / "wall_time.md").exists()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    kept = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert {path.parent.name for path in kept if path.name == "run.json"} == {"loop-0", "search-0"}
    text = (tmp_path / "out" / "wall_time.md").read_text()
    assert "--minutes 0.5 --search-minutes 0.2 --repeats 1 --steps 10 --replicates 2`" in text
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert {path: path.read_bytes() for path in kept} == kept
    assert (tmp_path / "out" / "wall_time.md").read_text() == text
