"""From a learned curve back to a formula: the simplest ``a f(b x + c) + d`` that is the curve up to a stated error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy
import torch
from scipy import stats
from torch import nn

from actsearch.errors import DistillError
from actsearch.expr import catalog
from actsearch.expr.affine_fit import Affine, Table, outer, refined, simpler
from actsearch.expr.functions import x as X
from actsearch.expr.noise import Array, Curve, noise_level
from actsearch.expr.parameters import parameters_of
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import format
from actsearch.space.space import Space

MAX_CANDIDATES = 10_000
"""Largest space whose formulas are all tried; more are a search, not a look-up."""
_N_FINE = 16  # functions that are fitted finely
_COARSE = 3e-3  # share of the variance below which the grid cannot tell functions apart
_N_POINTS = 1024  # where a function is looked at
_FUNCTION_ERROR, _SAMPLE_ERROR = 1e-2, 1e-3  # default of max_error, in standard deviations of the curve

CurveLike = tuple[npt.ArrayLike, npt.ArrayLike] | Callable[..., Any] | nn.Module


@dataclass(frozen=True)
class Distillation:
    """What was found.

    Attributes:
        match: the simplest formula that is the curve, None when none is.
        name: the function's name in the catalog, or its text, without the maps a, b, c and d; None without a match.
        nearest: the formula that comes closest, whether it matches or not.
        error: largest error of ``match``, or of ``nearest`` without one; of noisy samples, of means over neighbours.
        max_error: the largest error allowed, noise apart.
        noise: standard deviation of the noise in the samples.
        complexity: operations and constants of ``match`` (or ``nearest``), its maps included.
        n_candidates: how many functions were tried.
    """

    match: sympy.Expr | None
    name: str | None
    nearest: sympy.Expr
    error: float
    max_error: float
    noise: float
    complexity: int
    n_candidates: int

    def __str__(self) -> str:
        noise = f" beside noise of {self.noise:.2g}" if self.noise else ""
        allowed = f"largest error {self.error:.2g}, allowed {self.max_error:.2g}{noise}"
        if self.match is not None:
            return f"{format(self.match)} ({allowed})"
        return f"no match: the nearest of {self.n_candidates} functions is {format(self.nearest)} ({allowed})"


def distill(
    curve: CurveLike,
    space: Space | str | Iterable[Any] = "catalog",
    *,
    max_error: float | None = None,
    noise: float | None = None,
    distribution: npt.ArrayLike | None = None,
    channel: int | None = None,
) -> Distillation:
    """Return the simplest ``a f(b x + c) + d`` that is the curve, over all f of a space; "no match" is an answer too.

    A formula matches when its error is at most ``max_error`` wherever the distribution has samples. What it leaves of
    noisy samples has to look like noise: means over neighbours, not R^2, decide. Of all that match, the one with the
    fewest operations and constants is taken, maps that do nothing counting nothing; then the closest.

    Args:
        curve: samples (x, y), two arrays of one shape; a function from an array to an array; or an elementwise module.
        space: "catalog": its functions without learnable parameters; a Space of at most 10,000 candidates; or names,
            texts and SymPy expressions. Functions with parameters are left out.
        max_error: largest error, in units of y. By default 0.01 standard deviations of y for a function or module,
            0.001 beside the noise for samples.
        noise: standard deviation of the noise in y; None: estimated from neighbouring samples. Functions have none.
        distribution: inputs that a function or module meets; by default standard normal. 1,024 of its quantiles serve.
        channel: which function of a module with parameters per channel; None where all are the same.

    Raises:
        DistillError: samples that are too few, not finite or not of one shape; a space too large or without
            functions; channels that differ.

    Example:
        >>> points = np.random.default_rng(0).normal(size=1000)
        >>> found = distill((points, np.maximum(points, 0) * 2 + 1))
        >>> found.match, found.name
        (2*relu(x) + 1, 'relu')
        >>> print(distill(lambda x: np.sin(3 * x) * np.exp(-(x**2)), ["relu", "tanh"]).match)
        None
    """
    target = _target(curve, max_error, noise, distribution, channel)
    names = _functions(space)
    table = _table(tuple(names))
    plain = _as_they_are(table, target)
    least = min((fit.complexity for fit in plain if target.excuses(_values(fit, target))), default=None)
    fine = _fine(table, target, least)
    every = [fit for fit in (*plain, *fine) if np.isfinite(_values(fit, target)).all()]
    matches = _simplest(every, target)
    best = min(
        matches or every, key=lambda fit: (fit.complexity, _error(fit, target)) if matches else _error(fit, target)
    )
    best = _rounded(best, target)
    return Distillation(
        match=best.expr if matches else None,
        name=names[best.f] if matches else None,
        nearest=best.expr,
        error=_error(best, target),
        max_error=target.max_error,
        noise=target.noise,
        complexity=best.complexity,
        n_candidates=len(table.functions),
    )


def _values(fit: Affine, target: Curve) -> Array:
    return fit.values(target.x)


def _error(fit: Affine, target: Curve) -> float:
    return float(target.error(_values(fit, target)))


def _as_they_are(table: Table, target: Curve) -> list[Affine]:
    """Return fits without an inner map, or with a mirrored one: f, and ``a f(x) + d``, where they match or are near."""
    found: list[tuple[float, Affine]] = []
    for b in (1.0, -1.0):
        for f, values in zip(table.functions, table.as_they_are(b * target.x), strict=True):
            if not np.isfinite(values).all():
                continue
            a, d = outer(values, target.y)
            for maps in ((1, b, 0, 0), (-1, b, 0, 0), (a, b, 0, 0), (a, b, 0, d)):
                fitted = maps[0] * values + maps[3]
                if target.excuses(fitted):
                    found.append((0.0, f.with_maps(maps)))
                    break
            else:
                found.append((float(target.error(a * values + d)), f.with_maps((a, b, 0, d))))
    found.sort(key=lambda pair: pair[0])
    n_matching = sum(error == 0.0 for error, _ in found)
    return [fit for _, fit in found[: n_matching + 1]]


def _fine(table: Table, target: Curve, below: int | None) -> list[Affine]:
    """Return fits in all four maps of the functions that come closest on a grid, of those that could be simpler."""
    simple = (pair for pair in table.coarse(target) if below is None or pair[1].n_operations < below)
    coarse = sorted(simple, key=lambda pair: (max(pair[0], _COARSE), pair[1].n_operations))
    found = []
    for _, start in coarse[:_N_FINE]:
        a, d = outer(np.nan_to_num(start.values(target.x)), target.y)
        fit = refined(start.with_maps((a, *start.maps[1:3], d)), target)
        if fit is not None:
            found.append(fit)
    return found


def _simplest(fits: list[Affine], target: Curve) -> list[Affine]:
    """Return what matches of some fits, with as many maps neutral as the curve allows."""
    matches = [fit for fit in fits if target.excuses(_values(fit, target))]
    least = min((fit.complexity for fit in matches), default=0)
    for fit in sorted(matches, key=lambda match: match.n_operations):
        for start, free in simpler(fit):
            if start.complexity > least:
                continue
            candidate = refined(start, target, free)
            if candidate is not None and target.excuses(_values(candidate, target)):
                matches.append(candidate)
                least = min(least, candidate.complexity)
                break
    return matches


def _rounded(fit: Affine, target: Curve) -> Affine:
    """Return the fit with as few digits as leave it as close as it is."""
    left = float(np.mean((_values(fit, target) - target.y) ** 2))
    allowed = 1.01 * left + (1e-5 * float(target.y.std())) ** 2
    size = math.floor(math.log10(target.y.std() or 1.0))
    for digits in range(1, 9):
        a, b = (float(f"{value:.{digits}g}") for value in fit.maps[:2])
        shorter = fit.with_maps([a, b, round(fit.maps[2], digits), round(fit.maps[3], digits - size)])
        if float(np.mean((_values(shorter, target) - target.y) ** 2)) <= allowed:
            return shorter
    return fit


def _functions(space: Space | str | Iterable[Any]) -> dict[sympy.Expr, str]:
    """Return formula -> name, of all functions without parameters."""
    if isinstance(space, str):
        if space != "catalog":
            raise DistillError(f"space={space!r} is neither 'catalog' nor a Space nor a list of functions")
        # of names for one formula, those that a second source confirms first
        rows = sorted(map(catalog.get, catalog.names()), key=lambda row: not row.is_confirmed)
        named = {row.name: row.expr for row in rows}
    elif isinstance(space, Space):
        if space.size() > MAX_CANDIDATES:
            raise DistillError(f"{space!r} is too large to try all of it; at most {MAX_CANDIDATES:,} can be")
        named = {format(expr): expr for expr in dict.fromkeys(space.enumerate())}
    else:
        named = {spec if isinstance(spec, str) else format(to_expr(spec)): to_expr(spec) for spec in space}
    found: dict[sympy.Expr, str] = {}
    for name, expr in named.items():
        if expr.has(X) and not parameters_of(expr):
            found.setdefault(expr, name)
    if not found:
        raise DistillError("there is no function of x without parameters to try")
    return found


@lru_cache(maxsize=4)
def _table(functions: tuple[sympy.Expr, ...]) -> Table:
    return Table(functions)


def _target(
    curve: CurveLike,
    max_error: float | None,
    noise: float | None,
    distribution: npt.ArrayLike | None,
    channel: int | None,
) -> Curve:
    if isinstance(curve, tuple):
        x, y = _samples(*curve)
        noise = noise_level(x, y) if noise is None else float(noise)
        share = _SAMPLE_ERROR
    else:
        x = _quantiles(distribution)
        y = (
            _module_values(curve, x, channel)
            if isinstance(curve, nn.Module)
            else np.asarray(curve(x), dtype=np.float64)
        )
        x, y = _samples(x, y)
        noise, share = 0.0, _FUNCTION_ERROR
    spread = float(y.std())
    if max_error is None:
        max_error = share * spread
    if not max_error >= 0:
        raise DistillError(f"max_error={max_error!r} must be at least 0")
    # noise that max_error covers anyway is none: then the largest error itself counts
    return Curve(x, y, noise if noise > 0.1 * max_error else 0.0, max_error)


def _samples(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Array, Array]:
    given, values = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if given.shape != values.shape:
        raise DistillError(f"x has shape {given.shape} and y {values.shape}; a curve has one value for each point")
    given, values = given.ravel(), values.ravel()
    if given.size < 16:
        raise DistillError(f"{given.size} samples are too few to tell functions apart; at least 16 are needed")
    if not (np.isfinite(given).all() and np.isfinite(values).all()):
        raise DistillError("the curve has points or values that are not finite")
    order = np.argsort(given, kind="stable")
    return given[order], values[order]


def _quantiles(distribution: npt.ArrayLike | None) -> Array:
    shares = (np.arange(_N_POINTS) + 0.5) / _N_POINTS
    if distribution is None:
        return np.asarray(stats.norm.ppf(shares))
    given = np.asarray(distribution, dtype=np.float64).ravel()
    if not given.size or not np.isfinite(given).all():
        raise DistillError("the distribution has no samples, or some that are not finite")
    return np.asarray(np.quantile(given, shares))


def _module_values(module: nn.Module, points: Array, channel: int | None) -> Array:
    """Return what an elementwise module makes of points; of parameters per channel, those of one."""
    parameter = next(iter(module.parameters()), None)
    like = {"dtype": parameter.dtype, "device": parameter.device} if parameter is not None else {"dtype": torch.float64}
    n_channels = getattr(module, "n_channels", None) or 1
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            x = torch.tensor(points, **like)[:, None].expand(-1, n_channels)  # (points, channels)
            values = module(x).double().cpu().numpy()
    finally:
        module.train(training)
    if values.shape != (len(points), n_channels):
        raise DistillError(f"{type(module).__name__} is not elementwise: {tuple(x.shape)} became {values.shape}")
    if channel is None and np.ptp(values, axis=1).max() > 0:
        raise DistillError(
            f"the module learned {n_channels} functions; say which one with channel=0 to {n_channels - 1}"
        )
    if channel is not None and not 0 <= channel < n_channels:
        raise DistillError(f"channel={channel} is not one of the module's {n_channels} channels")
    return np.asarray(values[:, channel or 0])
