"""The functions that Triton's language lacks, written out in it: within about 3 ulp, NaN and infinity as in IEEE 754.

Nothing here may be contracted to fused steps behind our back (kernels run with ``enable_fp_fusion=False``): exact
arithmetic on words and halves relies on it. ``$name`` is a number of the type, see :func:`_numbers`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from string import Template

import mpmath

from actsearch.compiler.triton_polynomials import POLYNOMIALS

_EXACT = """
def head(u):  # the upper half of the significant bits: products of such halves are exact
    return (u.to($whole, bitcast=True) & $half_bits).to($real, bitcast=True)

def rest(a, b, p):  # Dekker 1971
    a1 = head(a)
    a2 = a - a1
    b1 = head(b)
    b2 = b - b1
    return ((a1 * b1 - p) + (a1 * b2 + a2 * b1)) + a2 * b2

def square_root(x):
    return $sqrt(x)

def sign(x):
    return tl.where(x > 0, 1.0, tl.where(x < 0, -1.0, x))

def rounded(x):  # halves to even
    a = tl.abs(x)
    whole = tl.where(a < $whole_from, (a + $whole_from) - $whole_from, a)
    return tl.where(x < 0, -whole, whole)
"""

# The last bits of t become the exponent of 2**n, or of 2**(n + lift), as results may be subnormal; exp(r) - 1 = p
_EXPONENTIALS = """
def decay(x):  # exp(x) for x <= 0; |r| <= log(2) / 2
    a = tl.where(x < $least_decay, $least_decay, x)
    t = a * $one_by_log2 + $magic_bias_lift
    n = t - $magic_bias_lift
    r = (a - n * $log2_high) - n * $log2_low
    p = (r * r) * exponential_factor(r) + r
    return (p + 1.0) * (t.to($whole, bitcast=True) << $bits).to($real, bitcast=True) * $two_to_minus_lift

def scaled_exponential(x, scale):  # exp(x) scale; |r| <= log(2), as the power goes in twice: it covers both ends
    t = x * $half_by_log2 + $magic_bias
    n = t - $magic_bias
    r = (x - n * $double_log2_high) - n * $double_log2_low
    p = (r * r) * exponential_factor(r) + r
    power = (t.to($whole, bitcast=True) << $bits).to($real, bitcast=True)
    return (p + 1.0) * power * (power * scale)

def exponential(x):
    a = tl.where(x > $limit, $limit, x)
    return scaled_exponential(tl.where(a < -$limit, -$limit, a), 1.0)

def half_exponential(a):  # exp(a) / 2, also where exp(a) is beyond the largest number
    return scaled_exponential(tl.where(a > $limit, $limit, a), 0.5)

def expm1(x):
    a = tl.where(x < $least, $least, tl.where(x > $most, $most, x))
    t = a * $one_by_log2 + $magic_bias_less
    n = t - $magic_bias_less
    r = (a - n * $log2_high) - n * $log2_low
    p = (r * r) * exponential_factor(r) + r
    half = (t.to($whole, bitcast=True) << $bits).to($real, bitcast=True)  # 2**(n - 1)
    return (p * half + (half - 0.5)) * 2.0

def sinh(x):
    a = tl.abs(x)
    e = expm1(tl.where(a > 1.0, 1.0, a))
    half = half_exponential(a)
    y = tl.where(a < 1.0, 0.5 * (e + e / (e + 1.0)), half - 0.25 / half)
    return tl.where(x < 0, -y, y)

def cosh(x):
    half = half_exponential(tl.abs(x))
    return half + 0.25 / half

def tanh(x):
    e = expm1(-2.0 * tl.abs(x))
    y = -e / (e + 2.0)
    return tl.where(x < 0, -y, y)
"""

_LOGARITHMS = """
def positive_log(x):  # of a positive number: n log(2) + log(1 + f), sqrt(1/2) <= 1 + f < sqrt(2) (as in fdlibm)
    bits = tl.where(x < $tiny, x * $up, x).to($whole, bitcast=True)
    n = (bits - $root_half) >> $bits
    f = (bits - (n << $bits)).to($real, bitcast=True) - 1.0
    n = n.to($real) - tl.where(x < $tiny, $up_bits, 0.0)
    s = f / (2.0 + f)
    z = s * s
    half = 0.5 * f * f
    return n * $log2_high - ((half - (s * (half + z * log_series(z)) + n * $log2_low)) - f)

def log(x):
    at_zero = tl.where(x == 0, -$infinity, $nan)
    return tl.where(x > 0, tl.where(x < $infinity, positive_log(x), x), at_zero)

def log1p(x):
    u = 1.0 + x
    lost = tl.where(x < 1.0, x - (u - 1.0), 1.0 - (u - x))
    return tl.where((u > 0) & (u < $infinity), log(u) + lost / u, log(u))

def asinh(x):
    a = tl.abs(x)
    b = tl.where(a < $far, a, 1.0)
    near = log1p(b + b * b / (1.0 + square_root(1.0 + b * b)))
    y = tl.where(a < $far, near, log(a) + $log2)
    return tl.where(x < 0, -y, y)

def acosh(x):
    t = tl.where(x < $far, x, 1.0) - 1.0
    y = tl.where(x < $far, log1p(t + square_root(2.0 * t + t * t)), log(x) + $log2)
    return tl.where(x < 1.0, $nan, y)

def atanh(x):
    a = tl.abs(x)
    t = 2.0 * a
    y = 0.5 * log1p(tl.where(a < 0.5, t + t * a / (1.0 - a), t / (1.0 - a)))
    return tl.where(x < 0, -y, y)
"""

_ARCS = """
def tan(x):
    return tl.sin(x) / tl.cos(x)

def atan(x):
    a = tl.abs(x)
    b = tl.where(a > 1.0, 1.0 / a, a)
    turned = b > $tan_of_eighth
    t = tl.where(turned, (b - 1.0) / (b + 1.0), b)
    y = t + t * (t * t) * atan_series(t * t)
    y = tl.where(turned, $quarter_pi + (y + $quarter_pi_low), y)
    y = tl.where(a > 1.0, $half_pi - (y - $half_pi_low), y)
    return tl.where(x < 0, -y, y)

def asin(x):
    a = tl.abs(x)
    z = tl.where(a > 0.5, 0.5 * (1.0 - a), a * a)
    t = tl.where(a > 0.5, square_root(z), a)
    y = t + t * z * asin_series(z)
    y = tl.where(a > 0.5, $half_pi - (2.0 * y - $half_pi_low), y)
    return tl.where(x < 0, -y, y)

def acos(x):
    a = tl.abs(x)
    z = tl.where(a > 0.5, 0.5 * (1.0 - a), a * a)
    t = tl.where(a > 0.5, square_root(z), x)
    y = t + t * z * asin_series(z)
    far = tl.where(x < 0, $pi - (2.0 * y - $pi_low), 2.0 * y)
    return tl.where(a > 0.5, far, $half_pi - (y - $half_pi_low))
"""

_SPECIAL = """
def erfcx(x):  # of a positive number
    u = tl.where(x > 1e15, 1e15, x)
    below = 1.0 + 2.0 * u
    r = 1.0 / ((u + 4.0) * below)
    y = erfcx_series((u - 4.0) * (r * below)) * (r * (u + 4.0))
    return tl.where(x > 1e15, $one_by_root_pi / x, y)

def erfc(x):
    a = tl.abs(x)
    b = tl.where(a > 30.0, 30.0, a)  # where it is 0
    square = b * b
    half = decay(-0.5 * square)
    y = (erfcx(b) * (1.0 - rest(b, b, square)) * half) * half
    return tl.where(a < 0.5, 1.0 - tl.erf(x), tl.where(x < 0, 2.0 - y, y))

def i0e(x):
    a = tl.abs(x)
    low = tl.where(a < 8.0, a, 8.0)
    high = tl.where(a < 8.0, 8.0, a)
    y = tl.where(a < 8.0, i0e_near(low / 4.0 - 1.0), i0e_far(16.0 / high - 1.0) / square_root(high))
    return tl.where(a < $infinity, y, 1.0 / a)

def i1e(x):
    a = tl.abs(x)
    low = tl.where(a < 8.0, a, 8.0)
    high = tl.where(a < 8.0, 8.0, a)
    y = tl.where(a < 8.0, i1e_near(low / 4.0 - 1.0) * a, i1e_far(16.0 / high - 1.0) / square_root(high))
    y = tl.where(a < $infinity, y, 1.0 / a)
    return tl.where(x < 0, -y, y)

def power(a, b):  # float32 by float64, whose exp and log are CUDA's own
    a = a.to(tl.float32)  # a number comes as float64
    y = tl.exp(b.to(tl.float64) * tl.log(tl.abs(a).to(tl.float64))).to(tl.float32)
    is_whole = tl.floor(b) == b
    is_odd = is_whole & (tl.floor(0.5 * b) * 2.0 != b)
    is_negative = a.to(tl.int32, bitcast=True) < 0
    y = tl.where(is_negative & is_odd, -y, y)
    y = tl.where((a < 0) & (a > -$infinity) & ~is_whole, $nan, y)
    return tl.where((b == 0) | (a == 1.0), 1.0, y)
"""

_TEXTS = "\n".join([_EXACT, _EXPONENTIALS, _LOGARITHMS, _ARCS, _SPECIAL])
_FUNCTIONS = {text.partition("(")[0]: f"def {text.strip()}" for text in re.split(r"^def ", _TEXTS, flags=re.M)[1:]}


def helpers(body: str, double: bool) -> list[str]:
    """Return the source of the functions that ``body`` calls, each after those that it calls itself.

    Args:
        body: Triton source.
        double: For float64, else for float32.

    Example:
        >>> print(*helpers("y = tan(x)", double=False))
        @triton.jit
        def tan(x):
            return tl.sin(x) / tl.cos(x)
    """
    found: dict[str, str] = {}

    def add(text: str) -> None:
        for name in dict.fromkeys(re.findall(r"(?<![.\w])([a-z]\w*)\(", text)):
            if name not in found and (source := _function(name, double)) is not None:
                add(source.partition("\n")[2])  # without the line that defines it
                found[name] = source

    add(body)
    return [f"@triton.jit\n{source}" for source in found.values()]


@lru_cache(maxsize=128)
def _function(name: str, double: bool) -> str | None:
    if name in POLYNOMIALS:
        return POLYNOMIALS[name].source(name, double)
    return Template(_FUNCTIONS[name]).substitute(_numbers(double)) if name in _FUNCTIONS else None


@lru_cache(maxsize=2)
def _numbers(double: bool) -> dict[str, str]:
    """Return the numbers of a type; ``..._low`` is what rounding took from the number before it."""
    bits, bias, whole = (52, 1023, 64) if double else (23, 127, 32)
    magic = 1.5 * 2.0**bits  # added, it rounds to a whole number
    lift = bits + 2  # below the smallest normal number, down to where exp is 0
    with mpmath.workdps(50):
        log2 = mpmath.log(2)
        log2_high = mpmath.floor(log2 * 2 ** (bits - 10)) / 2 ** (bits - 10)  # its product with n is exact
        pi = mpmath.floor(mpmath.pi * 2 ** (bits - 1)) / 2 ** (bits - 1)
        numbers: dict[str, mpmath.mpf] = {
            "magic_bias": magic + bias,
            "magic_bias_less": magic + bias - 1,
            "magic_bias_lift": magic + bias + lift,
            "two_to_minus_lift": 2.0**-lift,
            "least_decay": -(bias + lift) * log2,
            "log2": log2,
            "log2_high": log2_high,
            "log2_low": log2 - log2_high,
            "double_log2_high": 2 * log2_high,
            "double_log2_low": 2 * (log2 - log2_high),
            "one_by_log2": 1 / log2,
            "half_by_log2": 1 / (2 * log2),
            "limit": 1100.0 if double else 120.0,  # exp is 0 or infinite beyond, and its halves are numbers
            "least": -40.0 if double else -20.0,  # expm1 is -1 below
            "most": 710.0 if double else 89.0,  # and infinite above
            "far": 2.0**30 if double else 2.0**14,  # 1 + x**2 is x**2 beyond
            "whole_from": 2.0**bits,  # all larger numbers are whole
            "tiny": 2.0 ** (1 - bias),
            "up": 2.0 ** (bits + 2),
            "up_bits": bits + 2,
            "tan_of_eighth": mpmath.tan(mpmath.pi / 8),
            "one_by_root_pi": 1 / mpmath.sqrt(mpmath.pi),
            **{name: pi / n for name, n in (("pi", 1), ("half_pi", 2), ("quarter_pi", 4))},
            **{f"{name}_low": (mpmath.pi - pi) / n for name, n in (("pi", 1), ("half_pi", 2), ("quarter_pi", 4))},
        }
        half = mpmath.sqrt(mpmath.mpf(1) / 2)
        root_half = ((bias - 1) << bits) + int((2 * half - 1) * 2**bits)  # the bits of sqrt(1/2)
    return {name: repr(float(number)) for name, number in numbers.items()} | {
        "real": f"tl.float{whole}",
        "sqrt": "tl.sqrt" if double else "tl.sqrt_rn",  # float32's plain one is an approximation
        "whole": f"tl.int{whole}",
        "bits": str(bits),
        "root_half": hex(root_half),
        "half_bits": str(-(2**27) if double else -(2**12)),
        "infinity": 'float("inf")',
        "nan": 'float("nan")',
    }
