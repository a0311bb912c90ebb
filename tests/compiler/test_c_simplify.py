"""The cheaper programs that C is printed from: how many exponentials and divisions are left, and every op printable."""

from __future__ import annotations

from collections import Counter

import pytest

from actsearch.compiler.c_backend import printable
from actsearch.compiler.c_simplify import simplify
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
        assert (found["raw_erfcx"], found["raw_erfc"], found["rest"], found["head"]) == (1, 0, 1, 0)


def test_gelu_written_out_is_as_cheap_in_float32() -> None:
    """The square of the float next to the root of a half is not a half, which float64 alone has to correct."""
    program = lower(parse("x * (1 + erf(x / 2**0.5)) / 2"))
    for part in (program, gradient(program)):
        found = Counter(node.op for node in simplify(expand(part), double=False).nodes)
        assert (found["raw_exp"] + found["decay"], found["raw_erfcx"], found["raw_erfc"]) == (1, 1, 0)


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
