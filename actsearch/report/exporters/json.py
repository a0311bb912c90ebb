"""A JSON file for other programs: the text, the parameters, what is known of the function, and sample values."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import sympy

import actsearch
from actsearch.errors import ExportError
from actsearch.expr.fingerprint import fingerprint
from actsearch.expr.moments import gain, moments
from actsearch.expr.parameters import parameters_of
from actsearch.expr.text import format, parse
from actsearch.report.exporters._evaluate import Function, by_program

SUFFIX = ".json"
SCHEMA = "actsearch.activation/1"
SAMPLES = (-8.0, -4.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0)


def export(expr: sympy.Expr, path: Path) -> Path:
    """Write the schema ``actsearch.activation/1``; a number that is not finite is null.

    Keys: schema, text, parameters (name, start, constraint, granularity), fingerprint, moments under a standard normal
    input, gain (1/sqrt(E f^2)), samples (x and f(x) at the start values, to check another implementation), versions.
    """
    values = by_program(expr)(np.array(SAMPLES), *(parameter.start for parameter in parameters_of(expr)))
    content = {
        "schema": SCHEMA,
        "text": format(expr),
        "parameters": [
            {name: getattr(parameter, name) for name in ("name", "start", "constraint", "granularity")}
            for parameter in parameters_of(expr)
        ],
        "fingerprint": fingerprint(expr),
        "moments": _moments(expr),
        "samples": {"x": list(SAMPLES), "f": [_finite(value) for value in values]},
        "versions": {"actsearch": actsearch.__version__, "sympy": sympy.__version__},
    }
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return path


def load(path: Path) -> Function:
    """Return the function that the file's text means.

    Raises:
        ExportError: the file is of another schema, or its sample values are not those of its text.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("schema") != SCHEMA:
        raise ExportError(f"{path.name} has schema {content.get('schema')!r}, not {SCHEMA!r}")
    function = by_program(parse(content["text"]))
    starts = [parameter["start"] for parameter in content["parameters"]]
    stored = np.array([math.nan if value is None else value for value in content["samples"]["f"]])
    values = function(np.array(content["samples"]["x"]), *starts)
    if not np.allclose(np.where(np.isfinite(values), values, math.nan), stored, rtol=1e-12, atol=0, equal_nan=True):
        raise ExportError(f"the sample values of {path.name} are not those of its text {content['text']!r}")
    return function


def _moments(expr: sympy.Expr) -> dict[str, Any]:
    known = moments(expr)
    return {
        "mean": _finite(known.mean),
        "mean_square": _finite(known.mean_square),
        "derivative_mean_square": _finite(known.derivative_mean_square),
        "gain": _finite(gain(expr)),
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
