"""The polynomials in Triton's helper functions: fitted when first needed, printed by Horner's rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import mpmath

from actsearch.expr.ops.fit import interpolate

_TERMS = 110  # of a series on |z| <= 1/4: what is left out is below 1e-60


@dataclass(frozen=True)
class Polynomial:
    """A function to be fitted on ``|t| <= scale``.

    Attributes:
        function: From mpmath to mpmath.
        degrees: In float32 and in float64: what is left out is below a quarter of an ulp.
        scale: Half the width of the interval.
    """

    function: Callable[[mpmath.mpf], mpmath.mpf]
    degrees: tuple[int, int]
    scale: float = 1.0

    def source(self, name: str, double: bool) -> str:
        """Return the Python source of ``name(t)``."""
        scale = mpmath.mpf(self.scale)
        fitted = interpolate(lambda t: self.function(t * scale), self.degrees[double])
        first, second, *rest = [repr(float(c / scale**k)) for k, c in reversed(list(enumerate(fitted)))]
        # a fused step takes its numbers for float32
        step = "s * t + {}" if double else "tl.fma(s, t, {})"
        lines = [f"s = {first} * t + {second}", *(f"s = {step.format(c)}" for c in rest), "return s"]
        return "\n".join([f"def {name}(t):", *(f"    {line}" for line in lines)])


def _series(coefficient: Callable[[int], mpmath.mpf]) -> Callable[[mpmath.mpf], mpmath.mpf]:
    return lambda z: mpmath.fsum(coefficient(k) * z**k for k in range(_TERMS))


def _erfcx(t: mpmath.mpf) -> mpmath.mpf:
    """Return ``(1 + 2 u) erfcx(u)`` at ``t = (u - 4) / (u + 4)`` (Shepherd and Laframboise, Math. Comp. 36, 1981)."""
    u = 4 * (1 + t) / (1 - t)
    if u > 100:  # asymptotic series: exp(u**2) would need thousands of digits
        s = mpmath.fsum((-1) ** k * mpmath.fac2(2 * k - 1) / (2 * u * u) ** k for k in range(9))
        return (1 + 2 * u) * s / (u * mpmath.sqrt(mpmath.pi))
    return (1 + 2 * u) * mpmath.exp(u * u) * mpmath.erfc(u)


def _bessel_near(order: int) -> Callable[[mpmath.mpf], mpmath.mpf]:
    """Return ``exp(-u) I_order(u) / u**order`` on ``u = 4 + 4 t``."""

    def function(t: mpmath.mpf) -> mpmath.mpf:
        u = 4 * (1 + t)
        return mpmath.besseli(order, u) * mpmath.exp(-u) / u**order

    return function


def _bessel_far(order: int) -> Callable[[mpmath.mpf], mpmath.mpf]:
    """Return ``sqrt(u) exp(-u) I_order(u)`` at ``t = 16 / u - 1``, for ``u >= 8``."""

    def function(t: mpmath.mpf) -> mpmath.mpf:
        u = 16 / (t + 1)
        return mpmath.sqrt(u) * mpmath.besseli(order, u) * mpmath.exp(-u)

    return function


POLYNOMIALS: Mapping[str, Polynomial] = {
    # (exp(r) - 1 - r) / r**2
    "exponential_factor": Polynomial(_series(lambda k: 1 / mpmath.factorial(k + 2)), (6, 13), 0.6932),
    # (atanh(s) / s - 1) 2 / z, z = s**2: the log of (1 + s) / (1 - s) without its first term
    "log_series": Polynomial(_series(lambda k: mpmath.mpf(2) / (2 * k + 3)), (3, 7), 0.0295),
    # (atan(s) / s - 1) / z and (asin(s) / s - 1) / z, z = s**2
    "atan_series": Polynomial(_series(lambda k: mpmath.mpf(-1) ** (k + 1) / (2 * k + 3)), (6, 14), 0.1716),
    "asin_series": Polynomial(
        _series(lambda k: mpmath.binomial(2 * k + 2, k + 1) / mpmath.mpf(4) ** (k + 1) / (2 * k + 3)), (7, 17), 0.25
    ),
    "erfcx_series": Polynomial(_erfcx, (12, 25)),
    "i0e_near": Polynomial(_bessel_near(0), (17, 28)),
    "i0e_far": Polynomial(_bessel_far(0), (6, 24)),
    "i1e_near": Polynomial(_bessel_near(1), (17, 28)),
    "i1e_far": Polynomial(_bessel_far(1), (6, 24)),
}
