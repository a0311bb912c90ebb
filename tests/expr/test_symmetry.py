"""Symmetry classes: what belongs together, what does not, and a whole space falls into the classes of its values."""

from __future__ import annotations

import numpy as np
import pytest

from actsearch.errors import ExprError
from actsearch.expr.points import SAMPLE_POINTS
from actsearch.expr.program import evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.expr.symmetry import symmetry_class

MIRRORED = ("silu(x)", "-silu(x)", "silu(-x)", "-silu(-x)", "x - silu(x)")


@pytest.mark.parametrize("affine", [True, False])
def test_mirror_images_are_one(affine: bool) -> None:
    assert len({symmetry_class(text, affine=affine) for text in MIRRORED}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sigmoid(x)", "tanh(x/2)"),
        ("softplus(x)", "3*log_sigmoid(x) - 2"),
        ("relu(x)", "abs(x) + x"),  # 2 relu: zeros on one half
        ("exp(x)", "5 - expm1(-x)/7"),
        ("x**2", "1 - x**2"),
        ("1/x", "2 - 3/x"),
    ],
)
def test_affine_images_are_one_where_activations_are_normalised(one: str, other: str) -> None:
    assert symmetry_class(one, affine=True) == symmetry_class(other, affine=True)
    assert symmetry_class(one, affine=False) != symmetry_class(other, affine=False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("silu(x)", "silu(2*x)"),  # a scale of the input is no symmetry: the initial weights have one
        ("silu(x)", "silu(x + 1)"),
        ("silu(x)", "gelu(x)"),
        ("relu(x)", "relu(x) + 1e-6*x"),
        ("abs(x)", "relu(x)"),
        ("silu(x)", "silu(x) + x"),
    ],
)
def test_other_functions_are_others(one: str, other: str) -> None:
    assert symmetry_class(one, affine=True) != symmetry_class(other, affine=True)


def test_functions_with_parameters_are_compared_by_mirror_alone() -> None:
    swish = "x*sigmoid(beta[1.0]*x)"
    assert symmetry_class(swish, affine=True) == symmetry_class("-x*sigmoid(-gamma[1.0]*x)", affine=True)
    assert symmetry_class(swish, affine=True) != symmetry_class(f"2*{swish}", affine=True)
    assert symmetry_class(swish, affine=True) != symmetry_class("silu", affine=True)


@pytest.mark.parametrize("affine", [True, False])
def test_a_parameter_that_moves_nothing_does_not_count(affine: bool) -> None:
    dead = "min(x, max(x, alpha[1.0]*x))"
    assert symmetry_class(dead, affine=affine) == symmetry_class("x", affine=affine)


def test_constants_have_a_class() -> None:
    assert symmetry_class("0*x + 2", affine=True) != symmetry_class("0*x + 3", affine=True)
    assert symmetry_class("0*x + 2", affine=True) == symmetry_class("0*x - 2", affine=True)


def test_a_function_that_is_not_finite_has_a_class() -> None:
    assert symmetry_class("log(x)", affine=True) == symmetry_class("log(-x)", affine=True)


def test_text_outside_the_grammar_is_refused() -> None:
    with pytest.raises(ExprError):
        symmetry_class("silu(", affine=True)


def test_classes_are_those_of_the_values() -> None:
    """Against least squares: g is in f's class if and only if a f(x) + b or a f(-x) + b is g at many points."""
    unary = ("x", "x**2", "abs(x)", "exp(x)", "tanh(x)", "sigmoid(x)", "relu(x)", "softplus(x)", "log_sigmoid(x)")
    texts = [*unary, *(f"{a} - {b}" for a in unary for b in unary if a != b), *(f"max({a}, x)" for a in unary[1:])]
    points = np.linspace(-3.03, 3.01, 61)
    values = [np.broadcast_to(evaluate(lower(to_expr(text)), points), points.shape) for text in texts]
    mirrored = [np.broadcast_to(evaluate(lower(to_expr(text)), -points), points.shape) for text in texts]
    names = [symmetry_class(text, affine=True) for text in texts]
    for i in range(len(texts)):
        for j in range(i):
            same = min(_distance(values[j], values[i]), _distance(mirrored[j], values[i])) < 1e-9
            assert same == (names[i] == names[j]), (texts[i], texts[j])


def _distance(f: np.ndarray, g: np.ndarray) -> float:
    """Return the largest error of the best a f + b, relative to the spread of g."""
    f, g = (f - f.mean()) / f.std(), (g - g.mean()) / g.std()
    return float(np.abs(g - np.sign(f @ g) * f).max())


def test_points_and_probes_are_mirror_images() -> None:
    from actsearch.expr.symmetry import _POINTS, _PROBES

    assert set(_POINTS[_PROBES]) == {-p for p in _POINTS[_PROBES]}
    assert set(np.abs(_POINTS)) == set(np.abs(SAMPLE_POINTS))
