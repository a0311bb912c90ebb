"""The base of functions that stay whole: SymPy neither expands them nor takes them apart.

A numerically stable form such as ``silu(x)`` survives arithmetic, differentiation and printing only while SymPy treats
it as one function. A subclass gives four short recipes; everything else is derived here.
"""

from __future__ import annotations

from typing import Any, ClassVar

import mpmath
import sympy
from sympy import S
from sympy.core.function import ArgumentIndexError

_GUARD_BITS = 20


class Whole(sympy.Function):
    """One real function of one real argument, kept whole.

    A subclass gives ``_elementary``, ``_slope`` and ``_exact``; it may give ``at_zero`` and ``sign_of_values``.
    """

    nargs = 1
    latex_name: ClassVar[str]
    at_zero: ClassVar[sympy.Expr | None] = None
    """Exact value at 0, which is the only argument at which the function is replaced by a value."""
    sign_of_values: ClassVar[str] = ""
    """What is known of all values: "positive", "negative", "nonnegative", or nothing."""

    @staticmethod
    def _elementary(t: Any) -> Any:
        """Return the function of ``t`` in SymPy's own functions."""
        raise AssertionError("every subclass gives its own")

    @staticmethod
    def _slope(t: Any) -> Any:
        """Return the derivative at ``t``, in functions that are stable and stay whole."""
        raise AssertionError("every subclass gives its own")

    @staticmethod
    def _exact(t: Any) -> Any:
        """Return the value at an mpmath number, to the working precision in the relative sense, tails included."""
        raise AssertionError("every subclass gives its own")

    @classmethod
    def eval(cls, arg: Any) -> Any:
        """Return the value at an exact 0, else None, which leaves the function whole."""
        return cls.at_zero if arg is S.Zero else None

    def fdiff(self, argindex: int = 1) -> Any:
        """Return the derivative in the argument."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return self._slope(self.args[0])

    def _eval_rewrite_as_elementary(self, arg: Any, **hints: Any) -> Any:
        return self._elementary(arg)

    def _eval_rewrite_as_exp(self, arg: Any, **hints: Any) -> Any:
        return self._elementary(arg).rewrite(sympy.exp)

    def _eval_rewrite_as_Piecewise(self, arg: Any, **hints: Any) -> Any:
        return self._elementary(arg).rewrite(sympy.Piecewise)

    def _eval_rewrite_as_tractable(self, arg: Any, limitvar: Any = None, **hints: Any) -> Any:
        # SymPy's limits ask for this form
        return self._elementary(arg).rewrite("tractable", deep=True, limitvar=limitvar)

    def _eval_evalf(self, prec: int) -> Any:
        # a value has up to t**2 times the relative error of its argument t (gelu's tail): twice t's magnitude in bits
        rough = _number(self.args[0], _GUARD_BITS)
        if rough is None:
            return None
        guard = _GUARD_BITS + 2 * max(0, int(mpmath.mag(rough)) if rough else 0)
        argument = _number(self.args[0], prec + guard)
        with mpmath.workprec(prec + guard):
            value = self._exact(mpmath.mpf(argument))
        return sympy.Expr._from_mpmath(value, prec)

    def _eval_is_extended_real(self) -> Any:
        return self.args[0].is_extended_real

    def _eval_is_finite(self) -> Any:
        return True if self.args[0].is_real else None

    def _eval_is_extended_positive(self) -> Any:
        return True if self.sign_of_values == "positive" and self.args[0].is_real else None

    def _eval_is_extended_negative(self) -> Any:
        return True if self.sign_of_values == "negative" and self.args[0].is_real else None

    def _eval_is_extended_nonnegative(self) -> Any:
        return True if self.sign_of_values in ("positive", "nonnegative") and self.args[0].is_real else None

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        power = f"^{{{exp}}}" if exp is not None else ""
        return rf"{self.latex_name}{power}\left({printer._print(self.args[0])}\right)"


def _number(expr: Any, prec: int) -> Any:
    """Return a constant expression as a real mpmath number, or None when it is none."""
    if expr.free_symbols:
        return None
    try:
        value = expr._to_mpmath(prec, allow_ints=False)
    except (TypeError, ValueError, NotImplementedError):
        return None  # SymPy's way to say that an expression without symbols has no number
    return value if isinstance(value, mpmath.mpf) and mpmath.isfinite(value) else None
