"""The accuracy standard (see accuracy.py) for every primitive, textbook form and catalog row."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
import torch
from accuracy import allowance, error, type_of
from forms import FORMS
from truth import true_value

from actsearch.compiler import compile
from actsearch.expr import catalog
from actsearch.expr.functions import x
from actsearch.expr.primitives import PRIMITIVES
from tests.catalog_sample import sample

ROWS: dict[str, sympy.Expr] = {
    **{f"form {name}": expr for name, expr in FORMS.items()},
    **{f"primitive {name}": row.build(x) for name, row in PRIMITIVES.items() if row.arity == 1},
    **{f"catalog {name}": catalog.get(name).expr for name in catalog.names()},
}
CATALOG = tuple(f"catalog {name}" for name in catalog.names())
#: Zero, tails, and ordinary numbers of full length.
FEW = (0.0, 1.2345e-5, -0.7654321, 3.3333333, -9.8765432, 95.4321, -1e4)


def _grid(dtype: torch.dtype, n: int) -> list[float]:
    """Return both signs of log-spaced magnitudes up to 1e4, and more where exponentials live and die."""
    rng = np.random.default_rng(1)
    smallest = -4 if dtype == torch.float16 else -12
    parts = [
        np.logspace(smallest, 4, n) * rng.uniform(0.8, 1.0, n),
        rng.uniform(0, 12, n),
        rng.uniform(12, 120, n // 2),
    ]
    if dtype == torch.float64:
        parts.append(rng.uniform(120, 760, n // 2))
    positive = np.concatenate([*parts, [1e4]])
    return torch.tensor(np.concatenate([positive, -positive, [0.0]])).to(dtype).double().unique().tolist()


def _derivatives(expr: sympy.Expr, points: list[float], dtype: torch.dtype) -> list[list[float]]:
    """Return value, first and second derivative at the points."""
    inputs = torch.tensor(points, dtype=torch.float64).to(dtype).requires_grad_()
    values = [compile(expr, backend="reference")(inputs)]
    for _ in range(2):
        values += torch.autograd.grad(values[-1].sum(), inputs, create_graph=True)
    return [value.tolist() for value in values]


def _promise(name: str) -> tuple[float, int]:
    """Return the ulps that a row keeps within, and the order from which they are those of 1 where |f| is smaller."""
    if name in CATALOG:
        row = catalog.get(name.removeprefix("catalog "))
        return row.ulps, row.absolute
    return 16.0, catalog.entry.NEVER


def _check(name: str, points: list[float], dtype: torch.dtype) -> None:
    expr, (ulps, absolute) = ROWS[name], _promise(name)
    kind = type_of(dtype)
    starts = {parameter: parameter.start for parameter in expr.atoms(sympy.Symbol) - {x}}
    points = torch.tensor(points, dtype=torch.float64).to(dtype).tolist()
    n_checked = 0
    for order, values in enumerate(_derivatives(expr, points, dtype)):
        for point, y in zip(points, values, strict=True):
            t = true_value(expr, order, point, starts, x)
            if t is None:
                continue
            n_checked += 1
            found = error(y, t, kind)
            if found > ulps:
                found -= allowance(lambda z, order=order: true_value(expr, order, z, starts, x), point, kind)
            if found > ulps and order >= absolute and abs(t) < 1:
                found *= float(kind.ulp(t) / kind.eps)
            assert found <= ulps, f"order {order} at {point!r} in {dtype}: {y!r}, not {float(t)!r}: {found:.3g} ulp"
    assert n_checked >= 6, "outside the domain nearly everywhere"


@pytest.mark.parametrize(
    "name", [*(name for name in ROWS if name not in CATALOG), *(f"catalog {name}" for name in sample())]
)
def test_a_few_points_in_float32(name: str) -> None:
    _check(name, list(FEW), torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_grid(name: str, dtype: torch.dtype) -> None:
    _check(name, _grid(dtype, 4 if name in CATALOG else 8), dtype)


def test_the_standard_itself_refuses_what_torch_does() -> None:
    """The measure is strict: torch's own gelu loses its left tail, and the textbook silu its derivative."""
    point = torch.tensor([-9.0], dtype=torch.float64)
    kind = type_of(torch.float64)
    t = true_value(ROWS["form gelu"], 0, -9.0, {}, x)
    assert t is not None
    assert error(torch.nn.functional.gelu(point).item(), t, kind) > 1e6
    assert error(compile("gelu", backend="reference")(point).item(), t, kind) < 16
