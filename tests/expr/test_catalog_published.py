"""Rows against the formulas as they were published, written here in NumPy: the catalog has many in a stabler form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf, expit, ndtr

from actsearch.expr import catalog, parameters_of
from actsearch.expr.program import evaluate, lower

X = np.linspace(-6, 6, 241) + 0.0123
exp, log, sqrt, tanh, cosh, sin, cos, atan = np.exp, np.log, np.sqrt, np.tanh, np.cosh, np.sin, np.cos, np.arctan
where, maximum, minimum, sign, clip = np.where, np.maximum, np.minimum, np.sign, np.clip
LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772
EPS = 0.01  # of the mollified functions


def softplus(x):
    return np.logaddexp(0, x)


def soft_abs(x):
    return sqrt(x * x + EPS)


def relu(x):
    return maximum(x, 0)


def silu(x):
    return x * expit(x)


def gelu(x):
    return x * ndtr(x)


def elu(x):
    return where(x >= 0, x, exp(x) - 1)


def mish(x):
    return x * tanh(softplus(x))


PUBLISHED = {
    "scaled_sigmoid": lambda x: 4 * expit(x) - 2,
    "bipolar_sigmoid": lambda x: 2 * expit(x) - 1,
    "soft_root_sign": lambda x: x / (x / 2 + exp(-x / 3)),
    "soft_clipping": lambda x: log((1 + exp(50 * x)) / (1 + exp(50 * (x - 1)))) / 50,
    "improved_logistic_sigmoid": lambda x: where(
        x >= 2, 0.2 * (x - 2) + expit(2), where(x <= -2, 0.2 * (x + 2) + expit(-2), expit(x))
    ),
    "sigmoid_algebraic": lambda x: 1 / (1 + exp(-x * (1 + abs(x)) / (1 + abs(x) * (1 + abs(x))))),
    "smooth_step": lambda x: where(x >= 1, 1, where(x <= -1, 0, -2 / 8 * x**3 + 3 / 4 * x + 0.5)),
    "elliott": lambda x: 0.5 * x / (1 + abs(x)) + 0.5,
    "new_sigmoid": lambda x: (exp(x) - exp(-x)) / sqrt(2 * (exp(2 * x) + exp(-2 * x))),
    "root2sigmoid": lambda x: (2 ** (x / 2) - 2 ** (-x / 2)) / (2 * sqrt(2) * sqrt(2 * (2**x + 2**-x))),
    "cloglog": lambda x: 1 - exp(-exp(-x)),
    "sym_msaf": lambda x: -1 + expit(x) + expit(x - 2),
    "rootsig": lambda x: x / (1 + sqrt(1 + x * x)),
    "sqnl": lambda x: where(x > 2, 1, where(x >= 0, x - x * x / 4, where(x >= -2, x + x * x / 4, -1))),
    "logsqnl": lambda x: where(
        x > 2, 1, where(x >= 0, (x - x * x / 4) / 2 + 0.5, where(x >= -2, (x + x * x / 4) / 2 + 0.5, 0))
    ),
    "aranda_ordaz": lambda x: 1 - (1 + 2 * exp(x)) ** -0.5,
    "mishra": lambda x: 0.5 * (x / (1 + abs(x))) ** 2 + 0.5 * x / (1 + abs(x)),
    "shape_autotuning_sigmoid": lambda x: 2 * (1 - exp(-x)) / (1 + exp(-x)),
    "generalized_tanh": lambda x: (1 - exp(-x)) / (1 + exp(-x)),
    "stac_tanh": lambda x: where(x < -1, tanh(-1) + 0.1 * (x + 1), where(x > 1, tanh(1) + 0.1 * (x - 1), tanh(x))),
    "agumb": lambda x: 1 - (1 + exp(x)) ** -1.0,
    "psf": lambda x: 1 / (1 + exp(-x)),
    "symlog": lambda x: sign(x) * log(1 + abs(x)),
    "symexp": lambda x: sign(x) * (exp(abs(x)) - 1),
    "calu": lambda x: x * (atan(x) / np.pi + 0.5),
    "colu": lambda x: x / (1 - x * exp(-(x + exp(x)))),
    "exponential_swish": lambda x: exp(-x) * expit(x),
    "sigmoid_derivative": lambda x: exp(-x) * expit(x) ** 2,
    "gish": lambda x: x * log(2 - exp(-exp(x))),
    "loglogish": lambda x: x * (1 - exp(-exp(x))),
    "suish": lambda x: maximum(x, x * exp(-abs(x))),
    "tbsrelu": lambda x: x * tanh((1 - exp(-x)) / (1 + exp(-x))),
    "dsilu": lambda x: expit(x) * (1 + x * (1 - expit(x))),
    "eanaf": lambda x: x * exp(x) / (exp(x) + 2),
    "sinsig": lambda x: x * sin(np.pi / 2 * expit(x)),
    "sielu": lambda x: x / (1 + exp(-2 * sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "pflu": lambda x: x * (1 + x / sqrt(1 + x * x)) / 2,
    "fpflu": lambda x: where(x >= 0, x, x + x * x / sqrt(1 + x * x)),
    "aria2": lambda x: x * (1 + exp(-2 * x)) ** -1.5,
    "aptx": lambda x: (1 + tanh(x)) * x / 2,
    "pstanh": lambda x: x * 0.5 * (1 + tanh(x)),
    "rmaf": lambda x: x / (0.25 * (1 + exp(-x)) + 0.75),
    "eis_1": lambda x: x * softplus(x) / (x + exp(-x)),
    "eis_3": lambda x: x / (1 + exp(-x)),
    "falu": lambda x: silu(x) + 0.5 * expit(x) * (1 - silu(x)),
    "tanh_soft_3": lambda x: log(1 + exp(x) * tanh(0.85 * x)),
    "hard_mish": lambda x: 0.5 * x * clip(x + 2, 0, 2),
    "slu": lambda x: where(x >= 0, x, 2 * log((exp(x) + 1) / 2)),
    "psoftplus": lambda x: 1.5 * (log(exp(x) + 1) - log(2)),
    "soft_plus_plus": lambda x: log(1 + exp(x)) + x / 2 - log(2),
    "sqsoftplus": lambda x: where(x > 0.5, x, where(x >= -0.5, x + (x - 0.5) ** 2 / 2, 0)),
    "hclsh": lambda x: where(x >= 0, log(maximum(cosh(x) + x * cosh(x / 2), 1e-9)), log(cosh(x)) + x),
    "smu": lambda x: (1.25 * x + 0.75 * x * erf(25 * 0.75 * x)) / 2,
    "pilu": lambda x: where(x >= 0, x, 0.01 * x),
    "srelu": lambda x: where(x >= 1, 1 + (x - 1), where(x <= 0, 0.2 * x, x)),
    "n_activation": lambda x: where(x < -0.5, x + 1, where(x > 0.5, x - 1, -x)),
    "alisa": lambda x: where(x >= 1, x, where(x > 0, x, 0.1 * x)),
    "plu": lambda x: maximum(0.1 * (x + 1) - 1, minimum(0.1 * (x - 1) + 1, x)),
    "lsptlu": lambda x: where(x < 0, 0.2 * x, where(x <= 1, x, where(x <= 2, 2 - x, 0))),
    "delu": lambda x: where(x >= 0, 1.5 * x + abs(exp(-x) - 1), silu(x)),
    "grelu": lambda x: log(1 + 2.0**x) / log(2),
    "aqulu": lambda x: where(x >= 2, x, where(x >= -2, x * x / 4 + x / 2, 0)),
    "mmelu": lambda x: 0.5 * relu(1 - abs(x)) + 0.5 * relu(x),
    "puaf": lambda x: x * (10 + x) ** 5 / ((10 + x) ** 5 + (10 - x) ** 5),
    "polylu": lambda x: where(x >= 0, x, 1 / (1 - x) - 1),
    "polu": lambda x: where(x >= 0, x, (1 - x) ** -2 - 1),
    "eacu": lambda x: where(x >= 0, x, mish(x)),
    "lselu": lambda x: where(x >= 0, LAMBDA * x, LAMBDA * ALPHA * (exp(x) - 1) + 0.1 * LAMBDA * x),
    "reltanh": lambda x: where(
        x <= -1.5, 4 / (exp(1.5) + exp(-1.5)) ** 2 * (x + 1.5) + tanh(-1.5), where(x < 0, tanh(x), x)
    ),
    "p_e2_relu": lambda x: 0.4 * relu(x) + 0.3 * elu(x) + 0.3 * -elu(-x),
    "p_e2_id": lambda x: 0.5 * x + 0.5 * (elu(x) - elu(-x)),
    "felu": lambda x: where(x >= 0, x, 2 ** (x / log(2)) - 1),
    "pdelu": lambda x: where(x >= 0, x, (1 + 0.1 * x) ** 10 - 1),
    "pfplus": lambda x: where(x >= 0, x, x / (1 - x)),
    "gated_prelu_pelu": lambda x: expit(x) * where(x >= 0, x, 0.25 * x) + (1 - expit(x)) * elu(x),
    "m_arcsinh": lambda x: np.arcsinh(x) * sqrt(abs(x)) / 12,
    "ssu": lambda x: np.pi * sin(x - np.pi) / (x - np.pi),
    "dsu": lambda x: np.pi / 2 * (sin(x - np.pi) / (x - np.pi) - sin(x + np.pi) / (x + np.pi)),
    "cosine": lambda x: 1 - cos(x),
    "pmaf": lambda x: 2 / sqrt(3) * np.pi**-0.25 * where(
        x < 0, (1 - (x + 4) ** 2) * exp(-((x + 4) ** 2) / 2), (1 - (x - 4) ** 2) * exp(-((x - 4) ** 2) / 2)
    ),
    "laplace_mega": lambda x: 0.5 * (1 + erf((x - 0.7071067811865476) / (0.28209479177387814 * sqrt(2)))),
    "step_plus": lambda x: (1 + x / soft_abs(x)) / 2,
    "lrelu_plus": lambda x: (x + 0.01 * x + sqrt((0.99 * x) ** 2 + EPS)) / 2,
    "softshrink_plus": lambda x: x + (soft_abs(x - 0.5) - soft_abs(x + 0.5)) / 2,
    "pan_plus": lambda x: -1 + (soft_abs(x - 1) + soft_abs(x + 1)) / 2,
    "brelu_plus": lambda x: (1 + soft_abs(x) - soft_abs(x - 1)) / 2,
    "hard_tanh_plus": lambda x: (soft_abs(x + 1) - soft_abs(x - 1)) / 2,
    "srelu_plus": lambda x: 0.1 * x + (0.1 - 1) / 2 * (soft_abs(x - 1) - soft_abs(x + 1)),
    "hardshrink_plus": lambda x: x * (1 + ((x - 0.5) / soft_abs(x - 0.5) - (x + 0.5) / soft_abs(x + 0.5)) / 2),
    "phi_plus": lambda x: (1 - soft_abs(x) + soft_abs(1 - soft_abs(x))) / 2,
    "elu_plus": lambda x: (x + soft_abs(x)) / 2 + (exp(x) - 1 - soft_abs(exp(x) - 1)) / 2,
    "swish_plus": lambda x: (x + x * x / soft_abs(x)) / 2,
    "mish_plus": lambda x: x * (x / soft_abs(x)) / soft_abs(x / soft_abs(x)),
    "logish_plus": lambda x: x * log(1 + (1 + x / soft_abs(x)) / 2),
    "sign_relu_plus": lambda x: (x + soft_abs(x)) / 2 + (x - soft_abs(x)) / (2 * soft_abs(1 - x)),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_row_is_what_was_published(name: str) -> None:
    expr = catalog.get(name).expr
    starts = tuple(parameter.start for parameter in parameters_of(expr))
    with np.errstate(all="ignore"):
        expected = PUBLISHED[name](X)
    inside = np.isfinite(expected)
    assert inside.sum() > len(X) / 2
    np.testing.assert_allclose(evaluate(lower(expr), X, starts)[inside], expected[inside], rtol=1e-8, atol=1e-9)
