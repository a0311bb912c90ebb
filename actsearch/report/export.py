"""One formula in one format, read back and compared with the original before it is called done."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy

from actsearch import plugins
from actsearch.errors import ExportError, MissingExtraError, ReportError
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.program import Program, derivative, evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import format as format_expr

Function = Callable[..., np.ndarray]
FORMATS = "actsearch.report.exporters"
# Where original and read-back are compared: the middle densely, the tails to where exponentials over- and underflow.
POINTS = np.concatenate([np.linspace(-8.0, 8.0, 33), *(sign * np.logspace(-6, 3, 10) for sign in (-1, 1))])
# derivatives off round numbers, where kinks are: a kink whose place a parameter decides is a rounding error away
SLOPE_POINTS = 1.0071 * POINTS
TOLERANCE = 1e-9
"""Largest difference, relative to the value where it is above 1: far above rounding, far below any other formula."""


def export(spec: Any, format: str, path: str | Path, *, check: bool = True) -> Path:
    """Write a formula in ``format``, read it back, compare it numerically, and return the path.

    Args:
        spec: catalog name, text, SymPy expression, an ``Activation`` (with the values it learned), or a study's result
            (its best).
        format: an exporter's name: text, sympy, latex, json, torch, numpy, c, jax, keras, onnx.
        path: the file to write. It appears only when the comparison held.
        check: False writes without the comparison, for a target that cannot run on this machine.

    Raises:
        ExportError: the format is unknown, what was read back differs from the original, or what the comparison needs
            is not installed: JAX, Keras, a C compiler.
        MissingExtraError: the format cannot even be written without its library, as ONNX.
        ReportError: the file cannot be written.

    Example:
        >>> target = Path(tempfile.mkdtemp()) / "swish.txt"
        >>> export("x*sigmoid(beta[1.0]*x)", "text", target).read_text()
        'x*sigmoid(beta[1.0]*x)\\n'
    """
    exporter = plugins.load(FORMATS, format, ExportError)
    expr = expression_of(spec)
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # a folder of its own, so that the file can have its final name while it is read back
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
            written = exporter.export(expr, Path(folder) / path.name)
            if check:
                _checked(expr, exporter, written, format)
            os.replace(written, path)
    except OSError as error:
        raise ReportError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    return path


def _checked(expr: sympy.Expr, exporter: ModuleType, path: Path, format: str) -> None:
    try:
        verify(expr, exporter, path, format)
    except MissingExtraError as error:
        raise ExportError(
            f"the {format} export cannot be compared with the original, since {error.package!r} is not installed: pip "
            f"install 'actsearch[{error.extra}]', or write it uncompared with check=False"
        ) from None


def suffix(format: str) -> str:
    """Return what a file name of this format ends with.

    Raises:
        ExportError: the format is unknown.
    """
    return str(plugins.load(FORMATS, format, ExportError).SUFFIX)


def verify(expr: sympy.Expr, exporter: ModuleType, path: Path, format: str) -> None:
    """Compare what ``path`` holds with ``expr``, at the parameters' start values and at others.

    A format that brings a derivative of its own (``load_derivative``) has that compared too.

    Raises:
        ExportError: a value differs, or the function is finite nowhere, so that nothing can be compared.
    """
    program = lower(expr)
    parameters = parameters_of(expr)
    _compare(f"the {format} export of {format_expr(expr)}", program, parameters, exporter.load(path), POINTS)
    if hasattr(exporter, "load_derivative"):
        slope = derivative(program, (1, *[0] * len(parameters)))
        name = f"the derivative in the {format} export of {format_expr(expr)}"
        _compare(name, slope, parameters, exporter.load_derivative(path), SLOPE_POINTS)


def _compare(
    name: str, program: Program, parameters: Sequence[Parameter], function: Function, points: npt.NDArray[np.float64]
) -> None:
    for values in ([p.start for p in parameters], [_elsewhere(p, place) for place, p in enumerate(parameters)]):
        expected = evaluate(program, points, values)
        comparable = np.isfinite(expected)
        if not comparable.any():
            raise ExportError(f"{name} cannot be compared: the original is finite at none of {len(points)} points")
        actual = np.asarray(function(points, *values), dtype=np.float64)
        wrong = comparable & ~np.isclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)
        if wrong.any():
            place = int(np.argmax(wrong))
            raise ExportError(
                f"{name} differs from the original: at x = {points[place]:g} it is {float(actual[place])!r} in the "
                f"file and should be {float(expected[place])!r}"
            )


def _elsewhere(parameter: Parameter, place: int) -> float:
    """Return another value that the parameter may take, different for each parameter."""
    shift = 0.25 + 0.1 * place
    if parameter.constraint == "unit":
        return parameter.start + (1.0 - parameter.start) * shift / (1.0 + shift)
    return parameter.start + shift


def expression_of(spec: Any) -> sympy.Expr:
    """Return the expression of anything that stands for one: text, SymPy, an ``Activation``, a study's result.

    Of a study it is the best, with the normalising map that it was trained with and its parameters at their start
    values; of a module, the values that it learned.

    Raises:
        StudyError: a study has no best.
        ExportError: a module learned another function in every channel.
    """
    if hasattr(spec, "best_activation"):
        return spec.best_activation(n_channels=1).expr
    if hasattr(spec, "to_expr"):
        learned = spec.to_expr()
        if isinstance(learned, list) and len(set(learned)) != 1:
            raise ExportError(f"it learned {len(learned)} functions, one for each channel; export them one by one")
        return learned[0] if isinstance(learned, list) else learned
    return to_expr(spec)
