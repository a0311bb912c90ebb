"""The screen rejects what cannot be trained, says why, and nothing else."""

from __future__ import annotations

import pytest

from actsearch.expr import catalog
from actsearch.expr.text import parse
from actsearch.study.panel import PANEL
from actsearch.study.screen import screen


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("log(x)", "not finite"),
        ("exp(exp(x))", "not finite"),
        ("exp(x**2)", "explodes"),
        ("x - x + 2", "constant"),
        ("1/(x + 0.01)**5", "explodes"),
        ("abs(x)**0.5", "derivative is not finite"),
        ("max(x, -20)*0 + min(x, 4) - min(x, 4)", "constant"),
        ("max(x, 12) + 1e-9*x", "derivative is zero"),
        ("tanh(1e8*x)", "derivative explodes"),
    ],
)
def test_what_cannot_be_trained_is_rejected_with_its_reason(text: str, reason: str) -> None:
    assert reason in (screen(parse(text)) or "accepted")


@pytest.mark.parametrize("name", PANEL)
def test_the_panel_passes(name: str) -> None:
    assert screen(catalog.get(name).expr) is None


@pytest.mark.parametrize("text", ["x*sigmoid(beta[1.0]*x)", "cos(x) - x", "x*abs(x)", "max(x, sigmoid(x))", "exp(x)"])
def test_candidates_of_the_papers_pass(text: str) -> None:
    assert screen(parse(text)) is None
