"""The functions that C lacks, printed for float and for double: polynomials, exp, scaled erfc and Bessel functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import mpmath


def _head(double: bool) -> str:
    """Return the function that keeps the upper half of the significant bits."""
    whole, mask = ("int64_t", "-(1LL << 27)") if double else ("int32_t", "-(1 << 12)")
    return f"INLINE real head(real x) {{ union {{ real f; {whole} i; }} u = {{ x }}; u.i &= {mask}; return u.f; }}"


def chebyshev(function: Callable[[mpmath.mpf], mpmath.mpf], tolerance: float) -> tuple[mpmath.mpf, ...]:
    """Return the Chebyshev coefficients of ``function`` on [-1, 1], down to ``tolerance`` of the largest."""
    n = 64
    with mpmath.workdps(30):
        angles = [mpmath.pi * (k + mpmath.mpf(1) / 2) / n for k in range(n)]
        values = [function(mpmath.cos(angle)) for angle in angles]
        coefficients = [
            2 * mpmath.fsum(v * mpmath.cos(j * a) for v, a in zip(values, angles, strict=True)) / n for j in range(n)
        ]
    coefficients[0] /= 2
    largest = max(map(abs, coefficients))
    keep = max(j for j, c in enumerate(coefficients) if abs(c) > tolerance * largest)
    return tuple(coefficients[: keep + 1])


def _polynomial(
    name: str,
    function: Callable[[mpmath.mpf], mpmath.mpf],
    double: bool,
    scale: float = 1.0,
    spare: int = 0,
    times: float = 1.0,
) -> str:
    """Return a C function that is ``times`` (a power of two) ``function(t)`` on ``|t| <= scale``.

    It is a polynomial, which may lack ``spare`` bits.
    """
    with mpmath.workdps(30):
        series = chebyshev(lambda t: function(t * mpmath.mpf(scale)), 2.0 ** (spare - (55 if double else 27)))
        coefficients = [c / mpmath.mpf(scale) ** k for k, c in enumerate(_monomials(series))]
    suffix = "" if double else "f"
    first, *rest = [f"{float(c) * times!r}{suffix}" for c in reversed(coefficients)]
    lines = [f"INLINE real {name}(real t) {{", f"  real s = {first};"]
    return "\n".join([*lines, *(f"  s = MADD(s, t, {c});" for c in rest), "  return s;", "}"])


def _monomials(series: Sequence[mpmath.mpf]) -> list[mpmath.mpf]:
    """Return the coefficients of a Chebyshev series in powers, lowest first."""
    result = [mpmath.mpf(0)] * len(series)
    last, current = [mpmath.mpf(0)], [mpmath.mpf(1)]
    for k, c in enumerate(series):
        for i, t in enumerate(current):
            result[i] += c * t
        following = [mpmath.mpf(0), *(t if k == 0 else 2 * t for t in current)]
        for i, t in enumerate(last if k else []):
            following[i] -= t
        last, current = current, following
    return result


def _decay(double: bool) -> str:
    """Return exp of an argument that is not positive: ``2**n (1 + r + r**2 q(r))``, ``|r| <= log(2) / 2``, in 1 ulp.

    ``n`` is rounded by adding 1.5 * 2**(p - 1), the exponent's bias and ``lift``, so that the last bits are those of
    ``2**(n + lift)``, by which the polynomial has been divided; results may be subnormal, and are 0 where those are.
    """
    whole, bits, bias, lift, f = ("int64_t", 52, 1023, 54, "") if double else ("int32_t", 23, 127, 24, "f")
    high, low = _two_parts_of_log2(double)
    least = -round((bias + lift + 0.05) * math.log(2), 1)
    return "\n".join(
        [
            _polynomial("decay_factor", _exp_factor, double, math.log(2) / 2, 6, 2.0**-lift),
            "INLINE real decay(real x) {",
            f"  const real magic = 0x1.8p{bits}{f} + {bias + lift}, one = 0x1p-{lift}{f};",
            f"  const real a = x < {least}{f} ? {least}{f} : x;  // NaN stays",
            f"  union {{ real f; u{whole} i; }} t = {{ MADD(a, {1 / math.log(2)!r}{f}, magic) }}, power;",
            "  const real n = t.f - magic;",
            f"  const real r = MADD(n, {-low!r}{f}, MADD(n, {-high!r}{f}, a));",
            f"  power.i = t.i << {bits};",
            "  return MADD(r, MADD(r, decay_factor(r), one), one) * power.f;",
            "}",
        ]
    )


def _exponential(double: bool) -> str:
    """Return exp as ``2**n 2**n (1 + r + r**2 q(r))``, ``|r| <= log(2)``: within 2 ulp, inline, without a branch.

    As :func:`_decay`, but the power goes in twice, so that it covers both ends of the range.
    """
    whole, bits, bias, limit, f = ("int64_t", 52, 1023, 1100, "") if double else ("int32_t", 23, 127, 120, "f")
    high, low = _two_parts_of_log2(double)
    return "\n".join(
        [
            _polynomial("exponential_factor", _exp_factor, double, math.log(2)),
            "INLINE real exponential(real x) {",
            f"  const real magic = 0x1.8p{bits}{f} + {bias};",
            f"  const real b = x > {limit} ? (real){limit} : x, a = b < -{limit} ? -(real){limit} : b;  // NaN stays",
            f"  union {{ real f; u{whole} i; }} t = {{ MADD(a, {0.5 / math.log(2)!r}{f}, magic) }}, power;",
            "  const real n = t.f - magic;",
            f"  const real r = MADD(n, {-2 * low!r}{f}, MADD(n, {-2 * high!r}{f}, a));",
            f"  power.i = t.i << {bits};",
            "  return (MADD(r * r, exponential_factor(r), r) + 1) * power.f * power.f;",
            "}",
        ]
    )


def _exp_factor(r: mpmath.mpf) -> mpmath.mpf:
    """Return ``(exp(r) - 1 - r) / r**2``."""
    return mpmath.fsum(r**k / mpmath.factorial(k + 2) for k in range(30))


def _two_parts_of_log2(double: bool) -> tuple[float, float]:
    """Return log(2) as a number whose product with an exponent is exact, and the rest."""
    keep = 32 if double else 15
    with mpmath.workdps(40):
        high = mpmath.floor(mpmath.log(2) * 2**keep) / 2**keep
        return float(high), float(mpmath.log(2) - high)


def _rest(double: bool) -> str:
    return "\n".join(
        [
            _head(double).replace(" head(", " rest_head("),
            "INLINE real rest(real a, real b, real p) {",
            "#ifdef FUSED",
            "  return MADD(a, b, -p);",
            "#else",
            "  const real a1 = rest_head(a), a2 = a - a1, b1 = rest_head(b), b2 = b - b1;",
            "  return ((a1 * b1 - p) + (a1 * b2 + a2 * b1)) + a2 * b2;",
            "#endif",
            "}",
        ]
    )


_SPLIT = 2.5  # the scaled erfc's polynomial is shortest about here, and its terms do not cancel


def _erfcx_scaled(t: mpmath.mpf) -> mpmath.mpf:
    """Return ``(u + k) erfcx(u)`` at ``t = (u - k) / (u + k)`` (Shepherd and Laframboise, Math. Comp. 36, 1981)."""
    if t > 1 - mpmath.mpf(10) ** -25:
        return 1 / mpmath.sqrt(mpmath.pi)
    u = _SPLIT * (1 + t) / (1 - t)
    if u > 100:  # asymptotic series: exp(u**2) would need thousands of digits
        s = mpmath.nsum(lambda k: (-1) ** int(k) * mpmath.fac2(2 * int(k) - 1) / (2 * u * u) ** int(k), [0, 8])
        return (u + _SPLIT) * s / (u * mpmath.sqrt(mpmath.pi))
    return (u + _SPLIT) * mpmath.exp(u * u) * mpmath.erfc(u)


def _erfcx(double: bool) -> str:
    return "\n".join(
        [
            _polynomial("erfcx_series", _erfcx_scaled, double),
            "INLINE real erfcx(real k, real x) {  // of k x",
            f"  const real r = 1 / MADD(k, x, {_SPLIT}{'' if double else 'f'});",
            f"  return erfcx_series(MADD({-2 * _SPLIT}{'' if double else 'f'}, r, 1)) * r;",
            "}",
        ]
    )


def _bessel(order: int, double: bool) -> str:
    """Return ``exp(-|x|) I_order(x)``: a series on |x| <= 8, and one in 16 / |x| - 1 for sqrt(|x|) times it beyond."""

    def near(t: mpmath.mpf) -> mpmath.mpf:
        u = 4 * (1 + t)
        value = mpmath.besseli(order, u) * mpmath.exp(-u)
        return value if order == 0 else (value / u if u else mpmath.mpf(1) / 2)

    def far(t: mpmath.mpf) -> mpmath.mpf:
        if t < -1 + mpmath.mpf(10) ** -25:
            return 1 / mpmath.sqrt(2 * mpmath.pi)
        u = 16 / (t + 1)
        return mpmath.sqrt(u) * mpmath.besseli(order, u) * mpmath.exp(-u)

    name, suffix = f"i{order}e", "" if double else "f"
    odd = "" if order == 0 else " * x"
    sign = "" if order == 0 else "x < 0 ? -far : "
    return "\n".join(
        [
            _polynomial(f"{name}_near", near, double),
            _polynomial(f"{name}_far", far, double),
            f"INLINE real {name}(real x) {{",
            f"  real a = fabs{suffix}(x), low = a < 8 ? a : 8, high = a < 8 ? 8 : a;",
            f"  real far = {name}_far(16 / high - 1) / sqrt{suffix}(high);",
            f"  real near = {name}_near(low / 4 - 1){odd};",
            f"  return a != a ? x : a < 8 ? near : {sign}far;",
            "}",
        ]
    )


#: From a word of a template to what prints its definition, for double or not.
SPECIAL: Mapping[str, Callable[[bool], str]] = {
    "head": _head,
    "rest": _rest,
    "decay": _decay,
    "exponential": _exponential,
    "erfcx": _erfcx,
    "i0e": lambda double: _bessel(0, double),
    "i1e": lambda double: _bessel(1, double),
}
