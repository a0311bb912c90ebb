import math

import numpy as np
import pytest
import torch

from actsearch.errors import ExprError
from actsearch.expr import catalog, format, parameters_of, parse
from actsearch.expr.catalog.entry import read_row
from actsearch.expr.fingerprint import is_constant
from actsearch.expr.inventions import count, functions, same_as
from actsearch.expr.primitives import PRIMITIVES
from actsearch.expr.program import evaluate, lower

GRID = np.concatenate([np.linspace(-8, 8, 161), [-100.0, 100.0]])
F = torch.nn.functional

TORCH = {
    "sigmoid": torch.sigmoid,
    "log_sigmoid": F.logsigmoid,
    "hard_sigmoid": F.hardsigmoid,
    "tanh": torch.tanh,
    "hard_tanh": F.hardtanh,
    "tanhshrink": F.tanhshrink,
    "softsign": F.softsign,
    "erf": torch.erf,
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "prelu": lambda t: F.leaky_relu(t, 0.25),
    "hard_swish": F.hardswish,
    "softshrink": F.softshrink,
    "hardshrink": F.hardshrink,
    "elu": F.elu,
    "celu": F.celu,
    "selu": F.selu,
    "softplus": F.softplus,
    "gelu": F.gelu,
    "gelu_tanh": lambda t: F.gelu(t, approximate="tanh"),
    "silu": F.silu,
    "swish_beta": F.silu,
    "acon_c": F.silu,
    "mish": F.mish,
    "squareplus": lambda t: (t + torch.sqrt(t * t + 4)) / 2,
    "xielu": lambda t: torch.where(t > 0, 0.8 * t * t, 0.8 * (torch.expm1(t) - t)) + 0.5 * t,
    "gelu_sinc": lambda t: F.gelu(t) * (1 + 0.5 * torch.sinc(t)),
    "elish": lambda t: torch.where(t > 0, t, torch.expm1(t)) * torch.sigmoid(t),
    "aquasurf_prod": lambda t: torch.sigmoid(t) * -t * torch.clip(0.2 * t + 0.5, 0, 1),
}


def values(name):
    expr = catalog.get(name).expr
    return evaluate(lower(expr), GRID, tuple(parameter.start for parameter in parameters_of(expr)))


@pytest.mark.parametrize("name", TORCH)
def test_rows_that_torch_has_are_torchs(name):
    truth = TORCH[name](torch.tensor(GRID)).numpy()
    # torch's own gelu and softplus lose digits in the left tail
    np.testing.assert_allclose(values(name), truth, rtol=1e-6 if name == "softplus" else 1e-12, atol=1e-12)


def test_rows_near_relu_start_there():
    for name, distance in (("rational_3_2", 0.15), ("pau", 0.1)):
        inside = np.abs(GRID) <= 1
        assert np.abs(values(name) - np.maximum(GRID, 0))[inside].max() < distance


def test_every_row_parses_reads_back_and_has_finite_values():
    for name in catalog.names():
        row = catalog.get(name)
        assert row.name == name
        assert parse(format(row.expr)) == row.expr, name
        assert row.expr is row.expr
        assert np.isfinite(values(name)).all(), name
        assert not is_constant(row.expr), name


def test_every_row_says_where_it_is_from():
    for name in catalog.names():
        row = catalog.get(name)
        assert row.source, name
        assert len(set(row.witnesses)) == len(row.witnesses), name
        assert row.is_confirmed == (len(row.witnesses) >= 2), name


def test_a_wrong_row_is_refused():
    for line in ("gish | x", "gish | x | y | ", "gish | x | y | - | note | 16 ulps | more"):
        with pytest.raises(ExprError, match="a row of the catalog has 4 to 6 fields"):
            read_row(line)
    with pytest.raises(ExprError, match="gish: an accuracy is written '64 ulps, absolute from 2', not '64'"):
        read_row("gish | x | y | - | note | 64")
    with pytest.raises(ExprError, match="'survy' is no witness of the catalog; did you mean 'survey'"):
        read_row("gish | x | y | survy")


def test_a_row_is_one_line():
    row = read_row("f, g, h | 2*x | Somebody 1999 | paper, torch | a note | 64 ulps, absolute from 2")
    assert row == catalog.Entry("f", "2*x", "Somebody 1999", ("g", "h"), ("paper", "torch"), "a note", 64.0, 2)
    assert read_row("f | x | Somebody 1999 | -") == catalog.Entry("f", "x", "Somebody 1999")


def test_what_was_invented_twice_counts_once():
    assert same_as("golu") == ("exp_expish",)
    assert same_as("swish") == ()
    assert set(same_as("maxtanh")) == {"max_x_tanh", "siglu"}
    n_functions, n_confirmed, n_names = count()
    assert n_functions == len(functions()) < n_names == len(catalog.names())
    assert n_confirmed == sum(any(catalog.get(n).is_confirmed for n in names) for names in functions().values())
    assert n_functions >= 300


def test_names_and_aliases_are_used_once():
    everything = [name for key in catalog.names() for name in (key, *catalog.get(key).aliases)]
    assert len(everything) == len(set(everything))
    assert sorted(everything) == catalog.names(aliases=True)
    assert {"silu", "relu_squared", "gelu_sine", "snake"} <= set(catalog.names())


@pytest.mark.parametrize("name", sorted(set(catalog.names(aliases=True)) & set(PRIMITIVES)))
def test_a_name_that_is_also_a_primitive_means_the_same(name):
    assert catalog.get(name).expr == parse(f"{name}(x)")


def test_a_name_can_be_called_in_a_text_and_keeps_its_parameters():
    assert parse("swish(2*x)") == parse("silu(2*x)")
    assert parse("prelu(x - 1)") == parse("max(x - 1, 0) + a[0.25, channel]*min(x - 1, 0)")
    assert [p.name for p in parameters_of(parse("swish_beta(x) + 1"))] == ["beta"]


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ExprError, match="did you mean 'mish'"):
        catalog.get("mihs")
    with pytest.raises(ExprError, match="did you mean 'gelu'"):
        catalog.get("GELU")


def test_star_relu_is_normalised():
    t, w = np.polynomial.hermite_e.hermegauss(200)
    y = evaluate(lower(catalog.get("star_relu").expr), t) / 1.0
    assert abs(y @ w / math.sqrt(2 * math.pi)) < 1e-2
    assert abs((y**2) @ w / math.sqrt(2 * math.pi) - 1) < 1e-2
