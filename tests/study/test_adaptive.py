"""Adaptive families as candidates: their identity, the screen, and a search among them."""

import pytest
import torch

import actsearch
from actsearch.errors import ActivationError
from actsearch.expr.resolve import to_expr
from actsearch.study.function import function_of, resolve
from actsearch.study.screen import screen

SPACE = """
name: small
start: unit(x)
rules:
  unit(a): [relu(a), tanh(a)]
families:
  rational:
    start: [gelu, leaky_relu]
    granularity: [layer, shared]
  dynamic_relu:
    variant: [A]
"""


@pytest.mark.parametrize("normalise", [False, True])
def test_a_family_is_known_by_what_differs_from_its_defaults(normalise):
    long = function_of(to_expr("rational(version=A, start=gelu, degrees=(5, 4))"), normalise)
    assert (long.spec, long.fingerprint) == ("rational(start=gelu)", "family:rational(start=gelu)")
    assert function_of(to_expr("rational(start=silu)"), normalise) != long
    assert resolve("rational(start=gelu, version=A)", normalise).fingerprint == long.fingerprint
    assert resolve("dynamic_relu", normalise).fingerprint == resolve("dynamic_relu()", normalise).fingerprint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rational(stat=gelu)", "did you mean 'start'"),
        ("rational(granularity=chanel)", "did you mean 'channel'"),
        ("dynamic_relu(varint=A)", "did you mean 'variant'"),
        ("rationl()", "did you mean 'rational'"),
    ],
)
def test_a_wrong_setting_ends_a_search_with_its_name(text, message):
    with pytest.raises(ActivationError, match=message):
        function_of(to_expr(text), True)


def test_the_screen_lets_families_pass():
    assert screen(to_expr("rational(start=gelu)")) is None


@pytest.mark.slow
def test_formulas_and_families_in_one_search(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SPACE)
    result = actsearch.search(
        str(path), "toy", n_trials=7, sampler="exhaustive", storage=f"sqlite:///{tmp_path}/a.db", seed=0,
        panel=["relu", "rational"], finalists=2, n_replicates=2,
    )  # fmt: skip
    fitted = {trial.user_attrs["expr"]: trial.user_attrs["outcome"] for trial in result.study.trials}
    assert set(fitted) == {
        "relu(x)", "tanh(x)", "rational(start=gelu)", "rational()", "rational(start=gelu, granularity=shared)",
        "rational(granularity=shared)", "dynamic_relu(variant=A)",
    }  # fmt: skip
    assert set(fitted.values()) <= {"finished", "pruned"}
    assert result.best_activation(n_channels=3)(torch.zeros(2, 3)).shape == (2, 3)
