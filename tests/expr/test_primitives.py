import math

import mpmath
import pytest
import sympy

from actsearch.expr import parse, x
from actsearch.expr.primitives import PRIMITIVES
from actsearch.expr.program import lower

ROWS = list(PRIMITIVES.values())
NAMES = "abcdef"


def n_arguments(row):
    return row.arity or 3


def inside(row):
    """A few arguments at which the function is real, none of them special."""
    low, high = row.domain
    return [sympy.Rational(str(t)) for t in (-2.3, -0.45, 0.3, 0.85, 1.7) if low < t < high]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
class TestEveryRow:
    def test_the_arity_is_what_build_takes(self, row):
        for n in (row.arity,) if row.arity else (2, 5):
            arguments = sympy.symbols(f"a:{n}", real=True)
            assert row.build(*arguments).free_symbols == set(arguments)

    def test_values_inside_the_domain_are_real(self, row):
        assert inside(row) or row.name == "acosh"
        for point in inside(row):
            value = row.build(*[point + i for i in range(n_arguments(row))]).evalf(20)
            assert value.is_Float or value.is_Integer or value.is_Rational
            assert value.is_real

    def test_outside_the_domain_there_is_no_real_value(self, row):
        outside = [end + step for end, step in zip(row.domain, (-1, 1), strict=True) if math.isfinite(end)]
        for point in outside:
            assert row.build(sympy.Float(point)).evalf().is_real is not True

    def test_it_reads_back_from_a_text(self, row):
        arguments = ["x", "2*x", "x**2", "x - 1"][: n_arguments(row)]
        built = row.build(*map(parse, arguments))
        assert parse(f"{row.name}({', '.join(arguments)})") == built

    def test_it_can_be_lowered(self, row):
        lower(row.build(*[x + i for i in range(n_arguments(row))]))

    def test_it_says_what_it_is(self, row):
        assert PRIMITIVES[row.name] is row
        assert row.definition
        assert row.source

    def test_a_definition_in_the_grammar_is_the_same_function(self, row):
        try:
            names = {name: x + sympy.Rational(1, 10) * i for i, name in enumerate(NAMES[: n_arguments(row)])}
            definition = parse(row.definition, names)
        except ValueError:
            assert row.name in WORDED
            return
        assert row.name not in WORDED
        for point in inside(row):
            built = row.build(*names.values()).subs(x, point).evalf(30)
            assert abs(definition.subs(x, point).evalf(30) - built) < 1e-14


WORDED = {
    *("sign", "floor", "log", "sin", "cos", "sinc", "asin", "acos", "atan", "asinh", "acosh", "atanh", "erf"),
    *("bessel_i0e", "bessel_i1e", "max", "min"),
}


@pytest.mark.parametrize("row", [row for row in ROWS if row.arity == 1], ids=lambda row: row.name)
def test_smooth_rows_have_no_jump_in_value_or_slope(row):
    with mpmath.workdps(30):
        f = sympy.lambdify(x, row.build(x).rewrite("elementary"), "mpmath")
        low, high = row.domain
        jumps = [t for t in (-3, -1, 0, 1, mpmath.pi / 2, 3) if low < t < high and jumps_at(f, mpmath.mpf(t))]
    assert bool(jumps) != row.smooth, jumps


def jumps_at(f, t):
    h = mpmath.mpf(10) ** -8
    left, middle, right = f(t - h), f(t), f(t + h)
    return abs(right - left) > 1e-5 or abs((right - middle) - (middle - left)) > 1e-3 * h


def test_step_has_torchs_value_at_zero():
    assert parse("step(0)") == 0
    assert parse("step(1e-300)") == 1
    assert parse("step(x)").subs(x, 0) == 0


def test_sinc_is_not_normalised():
    assert abs(parse("sinc(x)").subs(x, 2).evalf(20) - sympy.sin(2) / 2) < 1e-18
    assert parse("sinc(0)") == 1


def test_max_and_min_are_sympys():
    assert parse("max(x, 0)") == sympy.Max(x, 0)
    assert parse("min(x, 3, max(0, x + 1))") == sympy.Min(x, 3, sympy.Max(0, x + 1))
    assert parse("max(max(x, 1), 2)") == sympy.Max(x, 2)
    assert parse("max(2, 3)") == 3
    assert parse("clip(x, 0, 6)") == sympy.Min(sympy.Max(x, 0), 6)


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        PRIMITIVES["new"] = PRIMITIVES["sin"]
