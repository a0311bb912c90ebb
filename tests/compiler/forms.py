"""Textbook forms that overflow, cancel or divide by zero when computed as written."""

from __future__ import annotations

import sympy
from sympy import Abs, Max, Min, Ne, Piecewise, cos, cosh, erf, erfc, exp, log, sin, sinh, sqrt, tanh

from actsearch.expr.functions import x

FORMS: dict[str, sympy.Expr] = {
    "silu": x / (1 + exp(-x)),
    "silu_of_2x": x / (1 + exp(-2 * x)),
    "softplus": log(1 + exp(x)),
    "sigmoid": 1 / (1 + exp(-x)),
    "sigmoid_by_exp": exp(x) / (1 + exp(x)),
    "log_of_sigmoid": log(1 / (1 + exp(-x))),
    "mish": x * tanh(log(1 + exp(x))),
    "sinc": sin(x) / x,
    "sinc_guarded": Piecewise((sin(x) / x, Ne(x, 0)), (1, True)),
    "x_by_one_minus_exp": x / (1 - exp(-x)),
    "bernoulli": x / (exp(x) - 1),
    "exp_minus_one_by_x": (exp(x) - 1) / x,
    "sinh_by_x": sinh(x) / x,
    "log_cosh": log(cosh(x)),
    "log_of_two_exp": log(exp(x) + exp(-x)),
    "tanh_of_half": (1 - exp(-x)) / (1 + exp(-x)),
    "tanh": (exp(x) - exp(-x)) / (exp(x) + exp(-x)),
    "one_minus_tanh": 1 - tanh(x),
    "sech": 1 / cosh(x),
    "x_by_cosh": x / cosh(x),
    "root_minus_one": sqrt(x**2 + 1) - 1,
    "squareplus": (x + sqrt(x**2 + 4)) / 2,
    "isru": x / sqrt(1 + x**2),
    "softsign": x / (1 + Abs(x)),
    "log_one_plus_square": log(1 + x**2),
    "exp_of_square_minus_one": exp(x**2) - 1,
    "one_minus_cos": 1 - cos(x),
    "x_minus_sin": x - sin(x),
    "gaussian": exp(-(x**2)),
    "gaussian_half": exp(-(x**2) / 2),
    "x_gaussian": x * exp(-(x**2)),
    "x_exp": x * exp(x),
    "softmax_of_two": exp(2 * x) / (exp(2 * x) + exp(x)),
    "log_add_exp": log(exp(x) + exp(x / 2)),
    "erfcx": erfc(x) * exp(x**2),
    "gelu": x * (1 + erf(x / sqrt(2))) / 2,
    "one_minus_erf": 1 - erf(x),
    "inverse_of_one_plus_square": 1 / (1 + x**2),
    "cube": x**3,
    "root_guarded": Piecewise((sqrt(x), x > 0), (0, True)),
    "exp_guarded": Piecewise((exp(x), x < 0), (1 + x, True)),
    "nested_max_min": Max(-x, Min(2, x**2)),
}
