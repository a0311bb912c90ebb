"""Activation functions as SymPy functions that stay whole, and the real symbol ``x``.

Each class says how it reads in SymPy's own functions (``expr.rewrite("elementary")``), its derivative, and how mpmath
computes it without cancellation. What SymPy has itself (erf, erfc, sinc, tanh, asinh, Max, Min, Abs) stays SymPy's.

Example:
    >>> silu(x).diff(x)
    (x*sigmoid(-x) + 1)*sigmoid(x)
    >>> sigmoid(x).rewrite("elementary")
    1/(1 + exp(-x))
    >>> sigmoid(-1000).evalf(30)
    5.07595889754945676529180947957e-435
"""

from __future__ import annotations

from typing import Any

import mpmath
import sympy
from sympy import Abs, Eq, Max, Min, Piecewise, Rational, S, cosh, erfc, exp, log, pi, sqrt, tanh

from actsearch.expr.whole import Whole

x = sympy.Symbol("x", real=True)
"""The variable of every expression."""

SELU_SCALE = 1.0507009873554805
"""lambda of SELU. Reference: Klambauer et al. 2017, arXiv:1706.02515."""
SELU_ALPHA = 1.6732632423543772
"""alpha of SELU. Reference: Klambauer et al. 2017, arXiv:1706.02515."""


class sigmoid(Whole):
    """1 / (1 + exp(-t))."""

    latex_name = r"\sigma"
    at_zero = S.Half
    sign_of_values = "positive"

    @staticmethod
    def _elementary(t: Any) -> Any:
        return 1 / (1 + exp(-t))

    @staticmethod
    def _slope(t: Any) -> Any:
        return sigmoid(t) * sigmoid(-t)

    @staticmethod
    def _exact(t: Any) -> Any:
        return 1 / (1 + mpmath.exp(-t))


class softplus(Whole):
    """log(1 + exp(t))."""

    latex_name = r"\operatorname{softplus}"
    at_zero = log(2)
    sign_of_values = "positive"

    @staticmethod
    def _elementary(t: Any) -> Any:
        return log(1 + exp(t))

    @staticmethod
    def _slope(t: Any) -> Any:
        return sigmoid(t)

    @staticmethod
    def _exact(t: Any) -> Any:
        return max(t, mpmath.mpf(0)) + mpmath.log1p(mpmath.exp(-abs(t)))


class log_sigmoid(Whole):
    """log(sigmoid(t)) = -softplus(-t)."""

    latex_name = r"\operatorname{log\,sigmoid}"
    at_zero = -log(2)
    sign_of_values = "negative"

    @staticmethod
    def _elementary(t: Any) -> Any:
        return -log(1 + exp(-t))

    @staticmethod
    def _slope(t: Any) -> Any:
        return sigmoid(-t)

    @staticmethod
    def _exact(t: Any) -> Any:
        return -softplus._exact(-t)


class silu(Whole):
    """t * sigmoid(t).

    Reference: Ramachandran, Zoph, Le 2017, arXiv:1710.05941; Elfwing et al. 2017, arXiv:1702.03118.
    """

    latex_name = r"\operatorname{SiLU}"
    at_zero = S.Zero

    @staticmethod
    def _elementary(t: Any) -> Any:
        return t / (1 + exp(-t))

    @staticmethod
    def _slope(t: Any) -> Any:
        return sigmoid(t) * (1 + t * sigmoid(-t))

    @staticmethod
    def _exact(t: Any) -> Any:
        return t * sigmoid._exact(t)


class normal_cdf(Whole):
    """Phi(t), the standard normal distribution function, erfc(-t/sqrt(2))/2.

    SymPy would turn that erfc into 1 - erfc(t/sqrt(2))/2 and lose the left tail.
    """

    latex_name = r"\Phi"
    at_zero = S.Half
    sign_of_values = "positive"

    @staticmethod
    def _elementary(t: Any) -> Any:
        return erfc(-t / sqrt(2)) / 2

    @staticmethod
    def _slope(t: Any) -> Any:
        return exp(-(t**2) / 2) / sqrt(2 * pi)

    @staticmethod
    def _exact(t: Any) -> Any:
        return _far_left_tail(t) if t < -(2**60) else mpmath.erfc(-t / mpmath.sqrt(2)) / 2


class gelu(Whole):
    """t * Phi(t), Phi the standard normal distribution function; the exact form, not an approximation.

    Reference: Hendrycks, Gimpel 2016, arXiv:1606.08415.
    """

    latex_name = r"\operatorname{GELU}"
    at_zero = S.Zero

    @staticmethod
    def _elementary(t: Any) -> Any:
        return t * erfc(-t / sqrt(2)) / 2

    @staticmethod
    def _slope(t: Any) -> Any:
        return normal_cdf(t) + t * exp(-(t**2) / 2) / sqrt(2 * pi)

    @staticmethod
    def _exact(t: Any) -> Any:
        return t * normal_cdf._exact(t)


class relu(Whole):
    """max(t, 0); the slope at 0 is 0, as in torch."""

    latex_name = r"\operatorname{ReLU}"
    at_zero = S.Zero
    sign_of_values = "nonnegative"

    @staticmethod
    def _elementary(t: Any) -> Any:
        return Max(t, 0)

    @staticmethod
    def _slope(t: Any) -> Any:
        return Piecewise((1, t > 0), (0, True))

    @staticmethod
    def _exact(t: Any) -> Any:
        return max(t, mpmath.mpf(0))


class elu(Whole):
    """t for t > 0, else exp(t) - 1.

    Reference: Clevert, Unterthiner, Hochreiter 2015, arXiv:1511.07289 (alpha = 1).
    """

    latex_name = r"\operatorname{ELU}"
    at_zero = S.Zero

    @staticmethod
    def _elementary(t: Any) -> Any:
        return Piecewise((t, t > 0), (exp(t) - 1, True))

    @staticmethod
    def _slope(t: Any) -> Any:
        return Piecewise((1, t > 0), (exp(t), True))

    @staticmethod
    def _exact(t: Any) -> Any:
        return t if t > 0 else mpmath.expm1(t)


class selu(Whole):
    """SELU_SCALE * (t for t > 0, else SELU_ALPHA * (exp(t) - 1)).

    Reference: Klambauer et al. 2017, arXiv:1706.02515.
    """

    latex_name = r"\operatorname{SELU}"
    at_zero = S.Zero

    @staticmethod
    def _elementary(t: Any) -> Any:
        return SELU_SCALE * Piecewise((t, t > 0), (SELU_ALPHA * (exp(t) - 1), True))

    @staticmethod
    def _slope(t: Any) -> Any:
        return SELU_SCALE * Piecewise((1, t > 0), (SELU_ALPHA * exp(t), True))

    @staticmethod
    def _exact(t: Any) -> Any:
        return SELU_SCALE * (t if t > 0 else SELU_ALPHA * mpmath.expm1(t))


class softsign(Whole):
    """t / (1 + |t|)."""

    latex_name = r"\operatorname{softsign}"
    at_zero = S.Zero

    @staticmethod
    def _elementary(t: Any) -> Any:
        return t / (1 + Abs(t))

    @staticmethod
    def _slope(t: Any) -> Any:
        return (1 + Abs(t)) ** -2

    @staticmethod
    def _exact(t: Any) -> Any:
        return t / (1 + abs(t))


class hard_sigmoid(Whole):
    """t/6 + 1/2 cut to [0, 1], as torch has it (Keras uses the slope 1/5); the slope at both kinks is 0, as in torch.

    Reference: Howard et al. 2019, arXiv:1905.02244.
    """

    latex_name = r"\operatorname{hard\,sigmoid}"
    at_zero = S.Half
    sign_of_values = "nonnegative"

    @staticmethod
    def _elementary(t: Any) -> Any:
        return Min(Max(t / 6 + S.Half, 0), 1)

    @staticmethod
    def _slope(t: Any) -> Any:
        return Piecewise((Rational(1, 6), (t > -3) & (t < 3)), (0, True))

    @staticmethod
    def _exact(t: Any) -> Any:
        return min(max(t / 6 + 0.5, mpmath.mpf(0)), mpmath.mpf(1))


class mish(Whole):
    """t * tanh(softplus(t)).

    Reference: Misra 2019, arXiv:1908.08681.
    """

    latex_name = r"\operatorname{Mish}"
    at_zero = S.Zero

    @staticmethod
    def _elementary(t: Any) -> Any:
        return t * tanh(log(1 + exp(t)))

    @staticmethod
    def _slope(t: Any) -> Any:
        return tanh(softplus(t)) + t * sigmoid(t) / cosh(softplus(t)) ** 2

    @staticmethod
    def _exact(t: Any) -> Any:
        return t * mpmath.tanh(softplus._exact(t))


class bessel_i0e(Whole):
    """exp(-|t|) I0(t), I0 the modified Bessel function of the first kind.

    Reference: NIST DLMF, section 10.25.
    """

    latex_name = r"\overline{I}_0"
    at_zero = S.One
    sign_of_values = "positive"

    @staticmethod
    def _elementary(t: Any) -> Any:
        return exp(-Abs(t)) * sympy.besseli(0, t)

    @staticmethod
    def _slope(t: Any) -> Any:
        return bessel_i1e(t) - sympy.sign(t) * bessel_i0e(t)

    @staticmethod
    def _exact(t: Any) -> Any:
        return mpmath.besseli(0, t) * mpmath.exp(-abs(t))


class bessel_i1e(Whole):
    """exp(-|t|) I1(t), I1 the modified Bessel function of the first kind.

    Reference: NIST DLMF, section 10.25.
    """

    latex_name = r"\overline{I}_1"
    at_zero = S.Zero

    @staticmethod
    def _elementary(t: Any) -> Any:
        return exp(-Abs(t)) * sympy.besseli(1, t)

    @staticmethod
    def _slope(t: Any) -> Any:
        away_from_zero = bessel_i0e(t) - bessel_i1e(t) / t - sympy.sign(t) * bessel_i1e(t)
        return Piecewise((S.Half, Eq(t, 0)), (away_from_zero, True))

    @staticmethod
    def _exact(t: Any) -> Any:
        return mpmath.besseli(1, t) * mpmath.exp(-abs(t))


class expm1(Whole):
    """exp(t) - 1, without cancellation near 0."""

    latex_name = r"\operatorname{expm1}"
    at_zero = S.Zero

    @staticmethod
    def _elementary(t: Any) -> Any:
        return exp(t) - 1

    @staticmethod
    def _slope(t: Any) -> Any:
        return exp(t)

    @staticmethod
    def _exact(t: Any) -> Any:
        return mpmath.expm1(t)


class log1p(Whole):
    """log(1 + t), without cancellation near 0; real for t > -1."""

    latex_name = r"\operatorname{log1p}"
    at_zero = S.Zero

    @staticmethod
    def _elementary(t: Any) -> Any:
        return log(1 + t)

    @staticmethod
    def _slope(t: Any) -> Any:
        return 1 / (1 + t)

    @staticmethod
    def _exact(t: Any) -> Any:
        return mpmath.log1p(t)

    def _eval_is_extended_real(self) -> Any:
        return True if (self.args[0] + 1).is_extended_nonnegative else None

    def _eval_is_finite(self) -> Any:
        return True if (self.args[0] + 1).is_positive else None


class log_cosh(Whole):
    """log(cosh(t))."""

    latex_name = r"\operatorname{log\,cosh}"
    at_zero = S.Zero
    sign_of_values = "nonnegative"

    @staticmethod
    def _elementary(t: Any) -> Any:
        return log(cosh(t))

    @staticmethod
    def _slope(t: Any) -> Any:
        return tanh(t)

    @staticmethod
    def _exact(t: Any) -> Any:
        # cosh(t) = 1 + 2 sinh(t/2)**2 keeps small t exact
        return mpmath.log1p(2 * mpmath.sinh(t / 2) ** 2)


def _far_left_tail(t: Any) -> Any:
    """Return Phi(t) by its asymptotic series, where mpmath's erfc overflows."""
    term = total = mpmath.exp(-t * t / 2) / (-t * mpmath.sqrt(2 * mpmath.pi))
    order = 1
    while abs(term) > abs(total) * mpmath.eps:
        term *= -order / (t * t)
        total += term
        order += 2
    return total
