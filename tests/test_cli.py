"""The command line: what it answers, with which exit code, and that users' mistakes never show a traceback."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from report import fakes

import actsearch
from actsearch import cli
from actsearch._arguments import comma_list, numbers
from actsearch.cli import COMMANDS, main
from actsearch.study.result import StudyResult

NAMES = [command.name for command in COMMANDS]


class Search:
    """Stands for ``actsearch.search``: plays a small study, and keeps what it was called with."""

    def __init__(self) -> None:
        self.space: Any = None
        self.tasks: Any = None
        self.settings: dict[str, Any] = {}
        self.interrupted = False

    def __call__(self, space: Any, tasks: Any, *, callbacks: Any, **settings: Any) -> StudyResult:
        self.space, self.tasks, self.settings = space, tasks, settings
        return fakes.run(n_trials=12, callbacks=callbacks, finals=False, interrupted=self.interrupted)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Search:
    stand_in = Search()
    monkeypatch.setattr("actsearch.study.search.search", stand_in)
    monkeypatch.setattr("actsearch.report.folder.write_plots", lambda result, folder: [])
    return stand_in


def run_tiny(folder: Path, *more: str) -> int:
    return main(["search", "--space", "tiny", "--task", "toy", "--out", str(folder), "--wandb", "off", *more])


# --- help, usage, exit codes


@pytest.mark.parametrize("name", NAMES)
def test_help_tells_every_option_within_80_columns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    command = next(command for command in COMMANDS if command.name == name)
    for option in command.options:
        assert option.flag in text or option.flag.upper() in text
        assert option.help.split()[0] in text
    assert "example: actsearch" in text
    assert max(map(len, text.splitlines())) <= 80


def test_help_names_every_command_and_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"    {name} " in text for name in NAMES)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == f"actsearch {actsearch.__version__}"


def test_without_words_it_helps_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert "usage: actsearch" in capsys.readouterr().out


def test_help_loads_nothing_heavy() -> None:
    heavy = ("torch", "optuna", "sympy", "matplotlib", "lightning", "wandb", "rich", "numpy")
    code = (
        "import contextlib, sys\nfrom actsearch.cli import main\n"
        "with contextlib.suppress(SystemExit):\n    main(['search', '--help'])\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "actsearch", "shw"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "actsearch: there is no command 'shw'; did you mean 'show'?"
        " (search, compare, show, export, check, catalog, bench)\n"
    )


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["serch"], "did you mean 'search'?"),
        (["search", "--space", "tiny", "--n-trails", "3"], "no option '--n-trails'; did you mean '--n-trials'?"),
        (["search", "--space", "tiny", "--n_trails=3"], "did you mean '--n-trials'?"),
        (["search", "--space", "tiny", "--n-tri", "3"], "did you mean '--n-trials'?"),
        (["search"], "search needs --space (example: actsearch search"),
        (["search", "--space"], "--space needs a value"),
        (["search", "--space", "tiny", "--n-trials", "many"], "--n-trials needs a whole number, not 'many'"),
        (["search", "--space", "tiny", "--wandb", "onlin"], "not 'onlin'; did you mean 'online'?"),
        (["search", "--space", "tiny", "--normalise", "maybe"], "--normalise needs true or false, not 'maybe'"),
        (["search", "tiny"], "search does not take 'tiny'"),
        (["show"], "show needs path"),
        (["show", "a", "b"], "show does not take 'b'"),
        (["catalog", "silu", "--low", "left"], "--low needs a number, not 'left'"),
        (["search", "--config", "nowhere.yaml"], "there is no configuration file"),
    ],
)
def test_wrong_usage_is_one_line_with_the_nearest_word(
    words: list[str], answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert answer in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ("space: tiny\nn_trails: 3\n", "has 'n_trails', which is no option of search; did you mean 'n_trials'?"),
        ("space: [\n", "the configuration file is no YAML"),
        ("- space\n", "must hold options as keys"),
        ("space: tiny\nn_trials: many\n", "--n-trials needs a whole number"),
    ],
)
def test_a_wrong_configuration_file_is_one_line(
    content: str, answer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "search.yaml").write_text(content)
    assert main(["search", "--config", str(tmp_path / "search.yaml")]) == 2
    error = capsys.readouterr().err
    assert answer in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["search", "--space", "cor_unit"], "did you mean 'core_unit'?"),
        (["search", "--space", "tiny", "--task", "mnist"], "unknown task 'mnist'"),
        (["search", "--space", "tiny", "--task", "toy", "--nets", "mpl"], "no net 'mpl'"),
        (["search", "--space", "tiny", "--task", "nowhere:net"], "there is no module 'nowhere'"),
        (["search", "--space", "tiny", "--task", "toy", "--sampler", "tpee"], "did you mean 'tpe'?"),
        (["compare", "sillu", "--task", "toy"], "did you mean 'silu'?"),
        (["show", "nowhere"], "there is no storage "),
        (["export", "sillu"], "did you mean 'silu'?"),
        (["export", "silu", "--format", "torhc"], "did you mean 'torch'?"),
        (["export", "__import__('os')"], "actsearch export:"),
        (["check", "nowhere.yaml"], "nowhere.yaml"),
        (["catalog", "sillu"], "did you mean 'silu'?"),
        (["catalog", "--plot", "a.png"], "name the activation to plot"),
        (["catalog", "silu", "--low", "5"], "--low must be below --high"),
        (["catalog", "silu", "--plot", "silu.pdf"], "a picture is a .png or .svg file"),
    ],
)
def test_mistakes_are_told_without_a_traceback_and_leave_nothing(
    words: list[str], answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"actsearch {words[0]}: ")
    assert answer in error
    assert "Traceback" not in error
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "sillu", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_in_the_middle_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped(**values: Any) -> int:
        raise KeyboardInterrupt

    command = next(command for command in COMMANDS if command.name == "catalog")
    monkeypatch.setattr(cli, "COMMANDS", (type(command)(**{**vars(command), "run": stopped}),))
    assert main(["catalog"]) == 130
    assert capsys.readouterr().err == "actsearch catalog: interrupted\n"


def test_a_reader_that_stops_reading_is_no_error() -> None:
    code = "from actsearch.cli import main; import sys; sys.exit(main(['catalog']))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""


# --- search


@pytest.mark.parametrize("flag", ["--n-trials", "--n_trials"])
def test_both_spellings_of_a_flag_work(flag: str, tmp_path: Path, played: Search) -> None:
    assert run_tiny(tmp_path, flag, "7") == 0
    assert played.settings["n_trials"] == 7


def test_search_hands_on_what_was_asked_for(tmp_path: Path, played: Search) -> None:
    more = ["--sampler", "random", "--seed", "3", "--rungs", "1/4,1", "--n-workers", "2", "--name", "mine"]
    assert run_tiny(tmp_path, *more) == 0
    assert played.space.name == "tiny"
    assert [task.name for task in played.tasks] == ["toy"]
    expected = {"sampler": "random", "seed": 3, "rungs": [0.25, 1.0], "n_workers": 2, "name": "mine", "normalise": True}
    assert {key: played.settings[key] for key in expected} == expected
    assert played.settings["storage"] == str(tmp_path / "study.journal")


def test_flags_win_over_the_configuration_file(tmp_path: Path, played: Search) -> None:
    config = tmp_path / "search.yaml"
    config.write_text(yaml.safe_dump({"space": "tiny", "task": ["toy"], "n_trials": 9, "seed": 5, "wandb": "off"}))
    assert main(["search", "--config", str(config), "--seed", "6", "--out", str(tmp_path / "out")]) == 0
    assert (played.settings["n_trials"], played.settings["seed"]) == (9, 6)


def test_the_configuration_that_is_written_starts_the_same_search(tmp_path: Path, played: Search) -> None:
    assert run_tiny(tmp_path / "a", "--n-trials", "7", "--rungs", "1/4,1", "--nets", "mlp") == 0
    first = dict(played.settings)
    assert main(["search", "--config", str(tmp_path / "a" / "config.yaml"), "--out", str(tmp_path / "b")]) == 0
    assert {**played.settings, "storage": None} == {**first, "storage": None}


def test_results_go_into_a_folder_named_after_space_and_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, played: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["search", "--space", "tiny", "--task", "toy", "--wandb", "off"]) == 0
    assert (tmp_path / "results" / "tiny-toy" / "README.md").is_file()
    out = capsys.readouterr().out
    assert "No finals were held" in out
    assert "Results: results/tiny-toy/README.md" in out
    assert max(map(len, out.splitlines())) <= 100


def test_an_interrupted_search_writes_what_it_has_and_says_how_to_go_on(
    tmp_path: Path, played: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    played.interrupted = True
    assert run_tiny(tmp_path) == 130
    assert "the same command goes on" in capsys.readouterr().out
    assert "was interrupted" in (tmp_path / "README.md").read_text()


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(
    tmp_path: Path, played: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run_tiny(tmp_path / "file" / "out") == 1
    assert "cannot be written" in capsys.readouterr().err
    assert played.settings == {}


def test_a_folder_that_cannot_be_written_at_the_end_is_told_after_the_results(
    tmp_path: Path, played: Search, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("actsearch.report.folder.summary", full)
    assert run_tiny(tmp_path) == 1
    shown = capsys.readouterr()
    assert "distinct functions trained" in shown.out
    assert "No space left on device; the study itself is kept" in shown.err


def test_nothing_is_uploaded_unasked() -> None:
    (wandb,) = (option for option in COMMANDS[0].options if option.flag == "--wandb")
    assert wandb.default == "offline"


# --- the other commands


def test_catalog_lists_every_name_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == actsearch.catalog.names()
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", ["silu", "prelu", "relu6", "x*sigmoid(beta[1.0]*x)", "hardshrink"])
def test_catalog_shows_one_with_its_curve(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", name]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("f(x)  =", "f'(x) =", "gain", "standard deviation"))
    assert max(map(len, text.splitlines()[-16:])) <= 80


def test_catalog_draws_in_ascii_where_the_terminal_has_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    assert main(["catalog", "silu"]) == 0
    stream.seek(0)
    assert "***" in stream.read()


def test_catalog_writes_a_picture(tmp_path: Path) -> None:
    assert main(["catalog", "silu", "--plot", str(tmp_path / "silu.svg")]) == 0
    assert "first derivative" in (tmp_path / "silu.svg").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["silu.svg"]


def test_export_says_that_it_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "swish.json"
    assert main(["export", "x*sigmoid(beta[1.0]*x)", "--format", "json", "--out", str(path)]) == 0
    assert json.loads(path.read_text())["text"] == "x*sigmoid(beta[1.0]*x)"
    assert "read back and compared" in capsys.readouterr().out


def test_export_has_a_name_of_its_own_for_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for format in ("text", "sympy", "latex", "json", "torch"):
        assert main(["export", "silu", "--format", format]) == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"silu.txt", "silu_sympy.py", "silu.tex", "silu.json", "silu_torch.py"}


def test_check_tells_size_functions_samples_and_rejections(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "tiny", "--samples", "3"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("candidates", "different functions", "the screen rejects", "samples"))
    assert len(text.split("samples\n")[1].strip().splitlines()) == 3


def test_check_reports_every_fault_of_a_file_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("name: bad\nstart: unary(x)\nrules:\n  unary(a): [sillu(a), geluu(a)]\n")
    assert main(["check", str(tmp_path / "bad.yaml")]) == 1
    error = capsys.readouterr().err
    assert "silu" in error
    assert "gelu" in error


# --- small parts


def test_lists_and_numbers_from_flags_and_files() -> None:
    assert comma_list(["a", "b"]) == comma_list("a, b") == ["a", "b"]
    assert numbers("1/9,1/3,1") == [1 / 9, 1 / 3, 1.0]
    assert numbers([75, 600]) == numbers("75,600") == [75, 600]
    assert all(isinstance(number, int) for number in numbers("75,600"))


# --- the real thing


@pytest.mark.slow
def test_search_show_export_and_compare_for_real(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["search", "--space", "tiny", "--task", "toy", "--n-trials", "6", "--finalists", "1"]
    words += ["--n-replicates", "2", "--n-workers", "2", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    first = capsys.readouterr().out
    assert "On the test split:" in first
    assert "better" not in first.split("On the test split:")[1].split("\n\n")[0]  # never below 8 replicates
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*"))

    assert main(words) == 0
    again = capsys.readouterr().out
    assert "continuing: 6 candidates are trained already" in again
    assert again.split("rank ")[1].split("Results")[0] == first.split("rank ")[1].split("Results")[0]

    assert main(["show", str(tmp_path / "run")]) == 0
    assert "On the test split:" in capsys.readouterr().out
    assert main(["show", str(tmp_path / "run" / "study.journal"), "--rows", "1"]) == 0
    capsys.readouterr()
    assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "best.py")]) == 0
    assert "class Activation" in (tmp_path / "best.py").read_text()

    words = ["compare", "silu", "x*sigmoid(1.7*x)", "--task", "toy", "--panel", "relu", "--n-replicates", "2"]
    assert main([*words, "--n-workers", "2", "--out", str(tmp_path / "compared")]) == 0
    assert (tmp_path / "compared" / "comparison.csv").is_file()
    assert (tmp_path / "compared" / "plots" / "finals.png").is_file()
