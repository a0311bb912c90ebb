"""make: one door to catalog names, texts, expressions and adaptive families; normalisation."""

import math

import pytest
import sympy
import torch
from torch import nn

from actsearch.errors import ActivationError, ActsearchError, ExprError
from actsearch.expr.moments import moments
from actsearch.expr.parameters import Parameter
from actsearch.expr.text import parse
from actsearch.nn import adaptive
from actsearch.nn.activation import Activation
from actsearch.nn.make import families, make
from actsearch.nn.normalise import normalised

X = torch.linspace(-3, 3, 31)

FAMILY = '''
"""Scales by the mean."""

from torch import nn


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


def make(factor=2.0, n_channels=None):
    return Scaled(factor if n_channels is None else n_channels)
'''


@pytest.fixture
def family(tmp_path, monkeypatch):
    (tmp_path / "scaled_by.py").write_text(FAMILY)
    monkeypatch.setattr(adaptive, "__path__", [*adaptive.__path__, str(tmp_path)])
    return "scaled_by"


def test_names_texts_and_expressions_give_one_function():
    x = sympy.Symbol("x")
    for spec in ("silu", "swish", " silu ", "x * sigmoid(x)", "x / (1 + exp(-x))", x / (1 + sympy.exp(-x))):
        assert torch.allclose(make(spec)(X), nn.functional.silu(X))


def test_a_parameter_object_is_learnable():
    beta = Parameter("beta", 2.0)
    module = make(sympy.tanh(beta * sympy.Symbol("x", real=True)))
    assert module.beta.item() == 2.0
    assert torch.allclose(module(X), torch.tanh(2 * X))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sillu", "did you mean 'silu'"),
        ("scaled_bi", "did you mean 'scaled_by'"),
        ("x +", "x \\+"),
        ("__import__('os')", "__import__"),
        (nn.ReLU(), "ReLU"),
        (None, "None"),
    ],
)
def test_what_is_no_activation_is_told_with_the_nearest_name(spec, message, family):
    with pytest.raises(ActsearchError, match=message):
        make(spec)


def test_a_family_is_a_file_with_settings(family):
    assert family in families()
    assert torch.equal(make(family)(X), 2 * X)
    assert torch.equal(make(family, factor=3.0)(X), 3 * X)
    assert torch.equal(make(family, n_channels=5)(X), 5 * X)
    with pytest.raises(ActivationError, match="scaled_by has no setting 'faktor'; did you mean 'factor'"):
        make(family, faktor=1.0)
    with pytest.raises(ActivationError, match="no setting 'normalise'"):
        make(family, normalise=True)


def test_a_formula_has_no_settings():
    with pytest.raises(ActivationError, match="no setting 'normalize'; did you mean 'normalise'"):
        make("silu", normalize=True)


@pytest.mark.parametrize("spec", ["relu", "silu", "softplus", "tanh", "cos(x) - x", "x * sigmoid(beta[2.0] * x)"])
def test_normalised_activations_have_mean_0_and_variance_1(spec):
    module = make(spec, normalise=True)
    assert isinstance(module, Activation)
    result = moments(module.expr)
    assert result.mean == pytest.approx(0, abs=1e-9)
    assert result.mean_square == pytest.approx(1, abs=1e-9)
    before = moments(spec)
    plain = make(spec).double()(X.double())
    expected = (plain - before.mean) / math.sqrt(before.variance)
    assert torch.allclose(module.double()(X.double()), expected, atol=1e-12)
    assert parse(module.text) == module.expr


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("0 * x + 3", r"constant \(about 3\)"),
        ("x - x", "constant"),
        ("1 / x", "mean square is infinite"),
        ("exp(x**2)", "mean square is infinite"),
        ("log(x)", "not finite everywhere"),
    ],
)
def test_functions_that_cannot_be_normalised_say_why(spec, reason):
    with pytest.raises(ActivationError, match=reason):
        make(spec, normalise=True)
    with pytest.raises(ActivationError, match="cannot be normalised"):
        normalised(spec)


def test_a_text_outside_the_grammar_is_an_expr_error():
    with pytest.raises(ExprError):
        make("x @ x")
