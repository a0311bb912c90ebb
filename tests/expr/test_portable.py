"""Operations that a library may lack, against SciPy's and NumPy's own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from actsearch.expr.evaluate import evaluate
from actsearch.expr.portable import DEFINED, definition, needed
from actsearch.expr.program import lower
from actsearch.expr.resolve import to_expr

REFERENCES = {
    "erf": special.erf,
    "raw_erfc": special.erfc,
    "raw_erfcx": special.erfcx,
    "raw_i0e": special.i0e,
    "raw_i1e": special.i1e,
    "raw_expm1": np.expm1,
    "log1p": np.log1p,
}
POINTS = np.concatenate([np.linspace(-12, 12, 1201), *(sign * np.logspace(-300, 300, 301) for sign in (-1, 1)), [0.0]])
ENDS = np.array([np.inf, -np.inf, np.nan])


def test_every_definition_has_a_reference() -> None:
    assert frozenset(REFERENCES) == DEFINED


@pytest.mark.parametrize("op", sorted(DEFINED))
def test_definitions_keep_within_a_few_ulp(op: str) -> None:
    x = np.concatenate([POINTS, ENDS])
    x = x[~(x < 0)] if op == "raw_erfcx" else x  # never called below 0
    with np.errstate(all="ignore"):
        expected, actual = REFERENCES[op](x), evaluate(definition(op), x)
        normal = np.isfinite(expected) & (np.abs(expected) > 1e-300)
        error = np.abs(actual - expected)[normal] / np.spacing(np.abs(expected[normal]))
    assert error.max() < 16
    assert np.allclose(actual[~normal], expected[~normal], rtol=0, atol=1e-300, equal_nan=True)


def test_what_others_are_defined_by_comes_first() -> None:
    programs = {"f": lower(to_expr("x*erf(softplus(x)) + erfc(x)"))}
    found = needed(programs, frozenset({"erf", "raw_erfc", "raw_erfcx", "log1p", "raw_i0e"}))
    assert set(found) == {"log1p", "erf", "raw_erfc", "raw_erfcx"}
    assert found.index("raw_erfcx") < found.index("erf") < found.index("raw_erfc")
