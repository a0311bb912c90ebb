from __future__ import annotations

import hashlib
import itertools
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from actsearch.report.braille import plot
from actsearch.report.figures.curves import X, curves, values
from actsearch.report.figures.finals import finals
from actsearch.report.figures.history import history
from actsearch.report.figures.learning import learning
from actsearch.report.figures.style import apart
from actsearch.report.plots import save, write_plots
from actsearch.report.records import records
from actsearch.study.result import StudyResult

from . import fakes


@pytest.fixture(scope="module")
def pictures(result: StudyResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plots")
    write_plots(result, folder)
    return folder


def words(path: Path) -> str:
    return " ".join(ElementTree.parse(path).getroot().itertext())


def test_every_picture_comes_as_png_and_svg(pictures: Path) -> None:
    names = {path.name for path in pictures.iterdir()}
    stems = ("curves", "history", "learning_curves", "finals")
    assert names == {f"{stem}{suffix}" for stem in stems for suffix in (".png", ".svg")}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures.glob("*.png"))


def test_pictures_are_labelled_directly(pictures: Path) -> None:
    assert "best of the panel" in words(pictures / "history.svg")
    assert "luck alone" in words(pictures / "history.svg")
    assert "best found" in words(pictures / "learning_curves.svg")
    assert all(f"mnist1d/{net}" in words(pictures / "learning_curves.svg") for net in ("deep", "residual"))
    assert all(name in words(pictures / "curves.svg") for name in ("best", "silu", "first derivative"))
    assert all(name in words(pictures / "finals.svg") for name in ("not shown", "reference", "identity"))


def test_the_same_data_give_the_same_bytes(result: StudyResult, pictures: Path, tmp_path: Path) -> None:
    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    for path in write_plots(result, tmp_path):
        assert digest(path) == digest(pictures / path.name), path.name


def test_drawing_leaves_matplotlibs_settings_alone(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    save(lambda: curves("silu"), tmp_path / "silu")
    assert dict(matplotlib.rcParams) == before


def test_a_jump_is_not_joined() -> None:
    y = values("sign(x)")
    assert np.isnan(y[np.argmin(np.abs(X))])
    assert np.nanmax(y) == 1


def test_derivatives_are_the_functions_own() -> None:
    assert np.nanmax(np.abs(values("tanh", 1) - (1 - np.tanh(X) ** 2))) < 1e-12


def test_an_outlier_is_told_at_the_edge_and_does_not_squeeze_the_rest() -> None:
    comparison = fakes.comparison()
    rows = [row for row in comparison.rows if row.spec != "identity"]
    last = next(row for row in comparison.rows if row.spec == "identity")
    far = {**vars(last), "mean": 0.1, "difference": -0.55, "difference_low": -0.56, "difference_high": -0.54}
    drawn = finals(type(comparison)(**{**vars(comparison), "rows": (*rows, type(last)(**far))}))
    right = drawn.axes[1]
    assert right.get_xlim()[0] > -0.3
    assert any("◀ -0.55" in text.get_text() for text in right.texts)


@pytest.mark.parametrize("make", [lambda rows: history(rows), lambda rows: learning(rows)])
def test_an_empty_study_is_said_to_be_empty(make: object, tmp_path: Path) -> None:
    paths = save(lambda: make([]), tmp_path / "empty")  # type: ignore[operator]
    assert "no" in words(paths[1])


def test_history_shows_the_best_so_far(result: StudyResult) -> None:
    figure = history(records(result.study.trials), records(result.panel_study.trials))
    steps = [line for line in figure.axes[0].lines if line.get_drawstyle() == "steps-post"]
    assert np.all(np.diff(np.asarray(steps[0].get_ydata(), dtype=float)) >= 0)


def test_labels_move_apart_and_stay_inside() -> None:
    moved = apart([0.0, 0.0, 0.0, 0.98, 1.0], 0.1)
    assert all(b - a > 0.0999 for a, b in itertools.pairwise(moved))
    assert min(moved) >= 0
    assert max(moved) <= 1


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("function", [np.sin, np.exp, np.log, np.tan, np.zeros_like, lambda x: x * np.nan])
def test_terminal_plots_fit_and_never_fail(unicode: bool, function: object) -> None:
    with np.errstate(all="ignore"):
        text = plot(function, width=68, height=12, unicode=unicode)  # type: ignore[arg-type]
    assert max(map(len, text.splitlines())) <= 80
    assert unicode or text.isascii()


def test_terminal_plot_puts_the_curve_where_it_belongs() -> None:
    lines = plot(lambda x: x, -1, 1, width=21, height=11, unicode=False).splitlines()
    columns = [line[9:].find("*") for line in lines[:11]]
    assert columns == sorted(columns, reverse=True)
