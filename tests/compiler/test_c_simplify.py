"""The cheaper programs that C is printed from: how many exponentials and divisions are left, and every op printable."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from actsearch.compiler.c_backend import printable
from actsearch.compiler.c_body import body_of
from actsearch.compiler.c_simplify import simplify
from actsearch.compiler.c_slopes import slopes as slopes_of
from actsearch.compiler.c_templates import TEMPLATES
from actsearch.expr import catalog, parse
from actsearch.expr.differentiate import gradient
from actsearch.expr.expand import expand
from actsearch.expr.ops import OPS
from actsearch.expr.program import lower

EXPONENTIALS = ("raw_exp", "decay")


def counted(text: str, slopes: bool = False) -> Counter[str]:
    program = lower(parse(text))
    return Counter(node.op for node in simplify(expand(gradient(program) if slopes else program), double=True).nodes)


@pytest.mark.parametrize("slopes", [False, True])
@pytest.mark.parametrize("text", ["silu(x)", "sigmoid(x)", "gelu(x)", "mish(x)", "x * sigmoid(2 * x)"])
def test_one_exponential_is_left(text: str, slopes: bool) -> None:
    assert sum(counted(text, slopes)[op] for op in EXPONENTIALS) == 1


def test_divisions_and_error_functions_are_shared() -> None:
    assert counted("mish(x)")["div"] == 1
    assert counted("mish(x)", slopes=True)["div"] == 2
    for slopes in (False, True):
        found = counted("gelu(x)", slopes)
        assert (found["scaled_erfcx"], found["raw_erfc"], found["rest"], found["head"]) == (1, 0, 1, 0)


def test_gelu_written_out_is_as_cheap_in_float32() -> None:
    """The square of the float next to the root of a half is not a half, which float64 alone has to correct."""
    program = lower(parse("x * (1 + erf(x / 2**0.5)) / 2"))
    for part in (program, gradient(program)):
        found = Counter(node.op for node in simplify(expand(part), double=False).nodes)
        assert (found["raw_exp"] + found["decay"], found["scaled_erfcx"], found["raw_erfc"]) == (1, 1, 0)


def test_quotients_by_one_number_of_at_least_1_divide_once() -> None:
    parameters = ("a[0.5]", "b[0.5]", "c[0.5]")
    above = f"{parameters[0]} + {parameters[1]} * x + {parameters[2]} * x**2"
    assert counted(f"({above}) / (1 + x**2)", slopes=True)["div"] == 1
    assert counted(f"({above}) / (x + x**2)", slopes=True)["div"] > 1  # the reciprocal could be infinite


def test_exponentials_far_apart_stay_apart() -> None:
    """A power has a multiple of the error: exp(-8|x|) is not made of exp(-|x|/2)."""
    assert sum(counted("sigmoid(x) + sigmoid(8 * x)")[op] for op in EXPONENTIALS) == 2


def test_every_basic_operation_has_a_template() -> None:
    basic = {name for name, row in OPS.items() if row.torch is not None}
    assert basic
    assert basic <= set(TEMPLATES)


def test_every_named_activation_can_be_printed() -> None:
    for name in catalog.names():
        assert printable(lower(catalog.get(name).expr)), name


def test_quotients_by_a_sum_of_powers_divide_once_after_scaling() -> None:
    """As in a rational written in 1 / x, whose denominator there may be tiny: one division, and that by x."""
    plain = slopes_of(lower(parse("pau(x)")))
    assert Counter(node.op for node in expand(plain).nodes)["div"] > 10
    assert Counter(node.op for node in simplify(expand(plain), double=False).nodes)["div"] == 2


@pytest.mark.parametrize("text", ["1 / (x - 3)", "1 / (1 + exp(x))**1.5 + 1 / x"])
def test_the_derivative_of_a_reciprocal_divides_once(text: str) -> None:
    divisions = text.count("/")
    assert counted(text, slopes=True)["div"] == divisions


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a[1.5] + x * (b[2.5] + x * c[3.5])", 2),  # Horner's
        ("a[1.5] * x - b[2.5] * x**2", 0),  # products that may cancel
        ("(a[1.5] * x + 1) * (a[1.5] * x - 1)", 0),  # a product that serves two sums
    ],
)
def test_horners_steps_are_fused(text: str, steps: int) -> None:
    lines = body_of(lower(parse(text)), double=True).lines
    assert sum("MADD(" in line for line in lines) == steps


def test_what_several_gradients_share_is_multiplied_by_the_incoming_one_first() -> None:
    text = "(a[0.5] + b[0.5] * x + c[0.5] * x**2) / (1 + x**2)"
    body = body_of(gradient(lower(parse(text))), double=True, times="gi")
    (name,) = {output.split(" ")[0] for output in body.outputs[1:]}
    assert name != "gi"
    assert any(line.strip().startswith(f"real {name} = gi * ") for line in body.lines)


def test_a_factor_that_hangs_on_parameters_alone_is_not_taken_apart() -> None:
    """Its own factors are computed before the loop, where nothing hands them on."""
    text = "exp(-b[1.0, channel] * abs(a[1.0, channel] * x - x))"
    body = body_of(gradient(lower(parse(text))), double=False, times="gi")
    declared = {match[1] for line in body.lines for match in [re.match(r" *(?:real|int) (\w+) =", line)] if match}
    used = {name for line in [*body.lines, *body.outputs] for name in re.findall(r"\bv\d+\b", line)}
    assert used <= declared
