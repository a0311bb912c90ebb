"""Named activations, one row each: a name, a text, a source. To add one, add a row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import inf

import sympy

from actsearch.errors import ExprError, suggest


@dataclass(frozen=True, slots=True)
class Entry:
    """One named activation.

    Attributes:
        name: what users write.
        text: the formula, in the text grammar.
        source: who published it and where.
        aliases: other names of the same row.
        note: what a user of the formula should know.
        ulps: the error that compiled values and their first two derivatives keep within, in units in the last place;
            infinite where nothing is promised.
    """

    name: str
    text: str
    source: str
    aliases: tuple[str, ...] = ()
    note: str = ""
    ulps: float = 16.0

    @property
    def expr(self) -> sympy.Expr:
        """The formula as a SymPy expression in ``x``; parsed when first asked for."""
        return _parsed(self.text)


_SWISH = "Ramachandran, Zoph, Le 2017, arXiv:1710.05941"
_MINING = "Vitvitskyi et al. 2026, arXiv:2602.05688"
_TORCH = "as in torch.nn.functional"

_ROWS = (
    # saturating and linear
    Entry("identity", "x", "elementary", ("linear",)),
    Entry("sigmoid", "sigmoid(x)", "elementary", ("logistic",)),
    Entry("log_sigmoid", "log_sigmoid(x)", _TORCH, ("logsigmoid",)),
    Entry("hard_sigmoid", "hard_sigmoid(x)", "Howard et al. 2019, arXiv:1905.02244", ("hardsigmoid",),
          note="torch's slope 1/6; Keras has 1/5"),
    Entry("tanh", "tanh(x)", "elementary"),
    Entry("lecun_tanh", "1.7159*tanh(2*x/3)", "LeCun, Bottou, Orr, Mueller 1998, Efficient BackProp"),
    Entry("hard_tanh", "clip(x, -1, 1)", _TORCH, ("hardtanh",)),
    Entry("tanhshrink", "x - tanh(x)", _TORCH),
    Entry("softsign", "softsign(x)", "Bergstra et al. 2009; " + _TORCH),
    Entry("erf", "erf(x)", "elementary"),
    Entry("atan", "atan(x)", "elementary", ("arctan",)),
    Entry("asinh", "asinh(x)", "elementary", ("arcsinh",)),
    Entry("isru", "x/sqrt(1 + x**2)", "Carlile et al. 2017, arXiv:1710.09967"),
    # piecewise linear
    Entry("relu", "relu(x)", "Nair, Hinton 2010"),
    Entry("relu6", "clip(x, 0, 6)", "Krizhevsky 2010; " + _TORCH),
    Entry("leaky_relu", "max(x, 0) + 0.01*min(x, 0)", "Maas, Hannun, Ng 2013"),
    Entry("prelu", "max(x, 0) + a[0.25, channel]*min(x, 0)", "He et al. 2015, arXiv:1502.01852"),
    Entry("hard_swish", "x*hard_sigmoid(x)", "Howard et al. 2019, arXiv:1905.02244", ("hardswish",)),
    Entry("softshrink", "x - clip(x, -0.5, 0.5)", _TORCH),
    Entry("hardshrink", "x if x > 0.5 or x < -0.5 else 0", _TORCH),
    # rectifiers with an exponential, square or logarithmic part
    Entry("elu", "elu(x)", "Clevert, Unterthiner, Hochreiter 2015, arXiv:1511.07289"),
    Entry("celu", "max(x, 0) + alpha[1.0, positive]*expm1(min(x, 0)/alpha[1.0, positive])",
          "Barron 2017, arXiv:1704.07483", note="alpha is learned; at its start 1 it is elu"),
    Entry("selu", "selu(x)", "Klambauer et al. 2017, arXiv:1706.02515"),
    Entry("isrlu", "x if x > 0 else x/sqrt(1 + x**2)", "Carlile et al. 2017, arXiv:1710.09967"),
    Entry("nlrelu", "log1p(relu(x))", "Liu et al. 2019, arXiv:1908.03682"),
    Entry("relu_squared", "relu(x)**2", "So et al. 2021 (Primer), arXiv:2109.08668", ("squared_relu",)),
    Entry("star_relu", "0.8944*relu(x)**2 - 0.4472", "Yu et al. 2022, arXiv:2210.13452",
          note="scale and shift fixed at the values that give mean 0 and variance 1"),
    Entry("smelu", "0 if x <= -1 else x if x >= 1 else (x + 1)**2/4", "Shamir et al. 2022, arXiv:2202.06499"),
    Entry("xielu",
          "alpha_p[0.8, positive]*x**2 + 0.5*x if x > 0"
          " else alpha_n[0.8, positive]*(expm1(x) - x) + 0.5*x",
          "Huang 2024, arXiv:2411.13010", note="used in Apertus; there alpha_n also has a floor of 0.5"),
    # smooth, self-gated
    Entry("softplus", "softplus(x)", "Dugas et al. 2000"),
    Entry("squareplus", "(sqrt(x**2 + 4) + x)/2 if x > 0 else 2/(sqrt(x**2 + 4) - x)",
          "Barron 2021, arXiv:2112.11687", note="(x + sqrt(x**2 + 4))/2, written so that nothing cancels"),
    Entry("gelu", "gelu(x)", "Hendrycks, Gimpel 2016, arXiv:1606.08415"),
    Entry("gelu_tanh", "x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x**3)))/2", "Hendrycks, Gimpel 2016, arXiv:1606.08415"),
    Entry("gelu_sigmoid", "x*sigmoid(1.702*x)", "Hendrycks, Gimpel 2016, arXiv:1606.08415", ("quick_gelu",)),
    Entry("silu", "silu(x)", _SWISH, ("swish", "swish_1"), note="Elfwing et al. 2017, arXiv:1702.03118"),
    Entry("swish_beta", "x*sigmoid(beta[1.0, channel]*x)", _SWISH),
    Entry("mish", "mish(x)", "Misra 2019, arXiv:1908.08681"),
    Entry("serf", "x*erf(softplus(x))", "Nag, Bhattacharyya 2021, arXiv:2108.09598"),
    Entry("telu", "x*tanh(exp(x))", "Fernandez, Mali 2024, arXiv:2402.02790", ("tanh_exp",),
          note="Liu, Di 2020, arXiv:2003.09855, call it TanhExp",
          ulps=128.0),  # the second derivative has exp(-2 exp(x)), and exp(x) is rounded
    Entry("lisht", "x*tanh(x)", "Roy et al. 2019, arXiv:1901.05894"),
    Entry("elish", "silu(x) if x > 0 else expm1(x)*sigmoid(x)", "Basirat, Roth 2018, arXiv:1808.00783"),
    Entry("sigmoid_erf", "sigmoid(x)*erf(x)", "Bingham et al. 2020, arXiv:2002.07224"),
    # periodic and bell-shaped
    Entry("sine", "sin(x)", "elementary", ("sin",)),
    Entry("gaussian", "exp(-x**2)", "elementary"),
    Entry("snake", "x + sin(a[1.0, positive, channel]*x)**2/a[1.0, positive, channel]",
          "Ziyin, Hartwig, Ueda 2020, arXiv:2006.08195"),
    Entry("gelu_sine", "gelu(x) + 0.1*sin(x)", _MINING),
    Entry("gelu_sinc", "gelu(x)*(1 + 0.5*sinc(pi*x))", _MINING),
    Entry("gmtu", "tanh(1.5*x)*exp(-0.2*x**2) + 0.2*x", _MINING),
    # found by search: Ramachandran et al., tables 1 and 2
    Entry("max_x_sigmoid", "max(x, sigmoid(x))", _SWISH),
    Entry("cos_minus_x", "cos(x) - x", _SWISH),
    Entry("min_x_sin", "min(x, sin(x))", _SWISH),
    Entry("atan_squared_minus_x", "atan(x)**2 - x", _SWISH),
    Entry("max_x_tanh", "max(x, tanh(x))", _SWISH),
    Entry("sinc_plus_x", "sinc(x) + x", _SWISH),
    Entry("x_asinh_squared", "x*asinh(x)**2", _SWISH),
    Entry("aquasurf_prod", "-x*sigmoid(x)*clip(0.2*x + 0.5, 0, 1)", "Bingham, Miikkulainen 2023, arXiv:2301.05785",
          note="best of the four-node space for All-CNN-C on CIFAR-100"),
    # with several learned parameters
    Entry("acon_c",
          "(p1[1.0, channel] - p2[0.0, channel])*x"
          "*sigmoid(beta[1.0, channel]*(p1[1.0, channel] - p2[0.0, channel])*x) + p2[0.0, channel]*x",
          "Ma et al. 2021, arXiv:2009.04759", note="the authors draw p1 and p2 from N(0, 1); here it starts as silu"),
    Entry("rational_3_2",
          "(a3[1.1915]*x**3 + a2[1.5957]*x**2 + a1[0.5]*x + a0[0.0218])/(b2[2.383]*x**2 + b1[0.0]*x + 1)",
          "Boulle, Nakatsukasa, Townsend 2020, arXiv:2004.01902",
          note="starts near relu; the denominator is unprotected",
          ulps=inf),  # numerators of derivatives cancel
    Entry("pau",
          "(a0[0.03356] + a1[0.5050]*x + a2[1.6534]*x**2 + a3[2.0100]*x**3 + a4[0.9319]*x**4 + a5[0.1524]*x**5)"
          "/(1 + abs(b1[3e-06]*x) + abs(b2[3.980]*x**2) + abs(b3[5e-07]*x**3) + abs(b4[0.3018]*x**4))",
          "Molina, Schramowski, Kersting 2020, arXiv:1907.06732", ("pade",),
          note="order (5, 4), version A, starts near leaky relu; give its parameters a learning rate of their own",
          ulps=inf),  # numerators of derivatives cancel
)  # fmt: skip


def names(aliases: bool = False) -> list[str]:
    """Return the names of all rows, sorted; with their aliases when asked."""
    return sorted(_BY_NAME) if aliases else sorted(row.name for row in _ROWS)


def get(name: str) -> Entry:
    """Return the row of a name or alias.

    Raises:
        ExprError: there is none; the message has the nearest name.

    Example:
        >>> get("swish").name
        'silu'
    """
    row = _BY_NAME.get(name)
    if row is None:
        raise ExprError(f"unknown activation {name!r}{suggest(name.lower(), _BY_NAME)}")
    return row


@cache
def _parsed(text: str) -> sympy.Expr:
    from actsearch.expr.text import parse  # a text may call catalog names, so text.py imports this module

    return parse(text)


_BY_NAME = {name: row for row in _ROWS for name in (row.name, *row.aliases)}
