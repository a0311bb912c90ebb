"""Families in texts: a name and settings, written and read back."""

import pickle

import pytest
import sympy

from actsearch.errors import ExprError
from actsearch.expr.family import Family, read_family, read_setting
from actsearch.expr.program import lower
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import format, parse

TEXTS = [
    "rational(degrees=(5, 4), version=A, start=gelu)",
    "apl()",
    "mixture(bases=(relu, x*tanh(x)), weights=(0.5, -0.25))",
    "f(a=True, b=None_, c='two words', d='1.5', e=(1,), g=(), h=1e-06)",
]


@pytest.mark.parametrize("text", TEXTS)
def test_written_and_read_back(text):
    family = read_family(text)
    assert read_family(family.text) == family == to_expr(text) == pickle.loads(pickle.dumps(family))
    assert format(family) == str(family) == family.text


def test_settings_have_types():
    found = read_family("f(a=1, b=1.0, c=True, d=word, e=(2, (x + 1,)), g='1', h=-3)").settings
    assert found == {"a": 1, "b": 1.0, "c": True, "d": "word", "e": (2, ("x + 1",)), "g": "1", "h": -3}
    assert [type(value) for value in found.values()][:4] == [int, float, bool, str]


def test_order_of_settings_is_no_part_of_it_and_types_are():
    assert Family("f", {"a": 1, "b": 2}) == Family("f", {"b": 2, "a": 1})
    assert hash(Family("f", {"a": 1, "b": 2})) == hash(Family("f", {"b": 2, "a": 1}))
    assert (
        len({Family("f", {"a": 1}), Family("f", {"a": 1.0}), Family("f", {"a": True}), Family("f"), Family("g")}) == 5
    )


@pytest.mark.parametrize("text", ["tanh(x)", "x", "f(x, a=1)", "f(a=1) + x", "f(a=", "", "f.g(a=1)", "(" * 300])
def test_other_texts_are_none(text):
    assert read_family(text) is None


def test_what_is_no_setting():
    with pytest.raises(ExprError, match="name=value"):
        read_family("f(**a)")
    with pytest.raises(ExprError, match="no value of a setting"):
        read_setting("(5, 4")


def test_it_is_an_atom_and_no_formula():
    family = Family("rational", {"degrees": (5, 4)})
    assert not family.free_symbols
    assert not family.is_number
    assert (family + sympy.Symbol("x")).has(family)
    with pytest.raises(ExprError, match=r"rational\(degrees=\(5, 4\)\)"):
        lower(family)
    with pytest.raises(ExprError):
        parse("rational(degrees=(5, 4))")
