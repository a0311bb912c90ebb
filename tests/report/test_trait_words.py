"""Traits as lines, and words that pick rows of the catalog."""

from __future__ import annotations

import pytest

from actsearch.cli import main
from actsearch.errors import ReportError
from actsearch.expr import catalog
from actsearch.expr.inventions import count
from actsearch.expr.traits import traits
from actsearch.report import trait_words
from actsearch.report.trait_words import WORDS, lines, matching

SOME = ("relu", "gelu", "tanh", "sine", "step", "abs", "exp_minus", "prelu", "golu", "relu6", "elu", "siren")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trait_words.catalog, "names", lambda: sorted(SOME))


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("odd", ["sine", "siren", "tanh"]),
        ("even", ["abs"]),
        ("decreasing", ["exp_minus"]),
        ("monotone,not-increasing", ["exp_minus"]),
        ("increasing,bounded", ["relu6", "step", "tanh"]),
        ("bounded,not-saturating", ["sine", "siren"]),
        ("oscillating", ["sine", "siren"]),
        ("bounded-above", ["relu6", "sine", "siren", "step", "tanh"]),
        ("bounded-below,not-positive", ["elu", "gelu", "golu", "sine", "siren", "tanh"]),
        ("not-continuous", ["step"]),
        ("c1,not-smooth", ["elu"]),
        ("lipschitz,not-through-zero", []),
        ("not-through-zero", ["exp_minus"]),
        ("learned", ["prelu"]),
        ("not-confirmed", ["siren"]),
    ],
)
def test_words_pick_what_they_say(words: str, names: list[str]) -> None:
    assert matching(words.split(",")) == names


def test_every_word_is_told() -> None:
    assert all(told for told, _ in WORDS.values())
    with pytest.raises(ReportError, match="'smoth' is no trait; did you mean 'smooth'"):
        matching(["smoth"])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("gelu", ["range from -0.16997 to inf; smooth, not monotone", "goes to 0 at -inf; like 1*x at inf"]),
        ("step", ["range from 0 to 1; jumps, increasing", "steepest slope inf; zero at -inf to 0"]),
        ("relu", ["C0, not further, increasing"]),
        ("sine", ["oscillates at -inf", "zeros at -3.1416, 0, 3.1416 and 16 more"]),
        ("x**3", ["superlinear to -inf at -inf; superlinear to inf at inf"]),
        ("sigmoid", ["no zero"]),
    ],
)
def test_lines(spec: str, expected: list[str]) -> None:
    text = "\n".join(lines(traits(spec)))
    assert all(words in text for words in expected)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.usefixtures("few")
def test_the_command_lists_what_matches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "--where", "odd,smooth"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["name", "sine", "siren", "tanh"]


def test_the_command_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "--count"]) == 0
    n_functions, n_confirmed, n_names = count()
    text = capsys.readouterr().out
    assert text.startswith(f"{n_functions} functions under {n_names} names")
    assert f"confirm the formulas of {n_confirmed}" in text


def test_the_command_advises(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "--for", "classification-head"]) == 0
    assert "softmax" in capsys.readouterr().out
    assert main(["catalog", "--for", "classificationhead"]) == 1
    assert "did you mean 'classification-head'" in capsys.readouterr().err


def test_one_row_says_who_confirms_it_and_what_it_equals(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "golu"]) == 0
    assert "the same function as exp_expish" in capsys.readouterr().out
    assert main(["catalog", "siren"]) == 0
    assert "formula unconfirmed" in capsys.readouterr().out
    assert main(["catalog", "swish"]) == 0
    assert "formula confirmed by torch, survey" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", catalog.names())
def test_every_row_can_be_shown_on_80_columns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", name]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
