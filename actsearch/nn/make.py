"""One door to every activation: a catalog name, a text, a SymPy expression, or the name of a file that makes one."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import sympy
from torch import nn

from actsearch import plugins
from actsearch.errors import ActivationError, ExprError, suggest
from actsearch.expr import catalog
from actsearch.expr.family import Family, read_family
from actsearch.expr.parameters import parameters_of
from actsearch.expr.resolve import to_expr
from actsearch.nn.activation import Activation
from actsearch.nn.adaptive._make import expression_of_family, family_file, make_adaptive
from actsearch.nn.adaptive._normalised import Normalised
from actsearch.nn.lazy import LazyActivation
from actsearch.nn.normalise import normalised

FAMILIES = "actsearch.nn.adaptive"
STRUCTURED = "actsearch.nn.structured"


def make(
    spec: sympy.Expr | str,
    *,
    normalise: bool = False,
    n_channels: int | None = None,
    channel_dim: int = 1,
    backend: str = "auto",
    **settings: Any,
) -> nn.Module:
    """Return a fresh activation module; torch's random state is left as it is.

    Shape in = shape out, except for gated units, maxout and CReLU, whose channels
    :func:`~actsearch.nn.features.n_features_out` counts.

    Args:
        spec: catalog name (``"silu"``), text (``"x * sigmoid(beta[1.0] * x)"``), SymPy expression in x, or the name of
            an adaptive family (``"dynamic_relu"``) or of what is no elementwise formula (``"swiglu"``), with settings
            by keyword where there are any (``"rational(degrees=(3, 2))"``). A bare name is first a catalog name.
        normalise: wrap to mean 0 and variance 1 for a unit-normal input; the formula contains the affine map.
        n_channels: number of channels for parameters per channel; None: told by the first input.
        channel_dim: dimension of the input that counts channels; -1 for (batch, time, channel).
        backend: as for :func:`actsearch.compile`.
        **settings: settings of a family or of what is no elementwise formula.

    Raises:
        ActivationError: an unknown name, a setting that the activation does not have, or a function that cannot be
            normalised.
        ExprError: a text outside the grammar.

    Example:
        >>> make("gelu")
        Activation(gelu(x))
        >>> make("x * sigmoid(beta[1.0, positive] * x)").beta.item()
        1.0
        >>> make("rational(degrees=(3, 2), start=gelu)")
        Adaptive(rational(degrees=(3, 2), start=gelu), starts within 0.2 of gelu(x) on [-10, 10])
    """
    common = {"normalise": normalise, "n_channels": n_channels, "channel_dim": channel_dim, "backend": backend}
    written = read_family(spec) if isinstance(spec, str) else spec if isinstance(spec, Family) else None
    if written is not None:
        family = _family(written.name, True) or family_file(written.name)
        return _make_family(written.name, family, common, {**written.settings, **settings})
    if isinstance(spec, str) and (named := _family(spec.strip(), bool(settings))) is not None:
        return _make_family(spec.strip(), named, common, settings)
    expr = _expression(spec)
    if settings:
        names = [*inspect.signature(make).parameters][1:-1]
        raise ActivationError(
            f"{spec!s} is a formula and has no setting {', '.join(map(repr, settings))}"
            f"{suggest(next(iter(settings)), names)} (settings: {', '.join(names)})"
        )
    if normalise:
        expr = normalised(expr)
    lazy = n_channels is None and any(parameter.granularity == "channel" for parameter in parameters_of(expr))
    kind = LazyActivation if lazy else Activation
    return kind(expr, n_channels=n_channels, channel_dim=channel_dim, backend=backend)


def expression_at_start(spec: sympy.Expr | str) -> sympy.Expr:
    """Return the expression that an activation starts with: a formula's own, with its parameters; a family's.

    Of a family that is no formula it is the function that it starts at.

    Raises:
        ActivationError: what is no elementwise formula, such as a gated unit.
        ExprError: a text outside the grammar.

    Example:
        >>> expression_at_start("hermite(degree=1)"), expression_at_start("dynamic_relu")
        (a0 + a1*x, relu(x))
    """
    if isinstance(spec, str) and spec.strip() in families() and not _in_catalog(spec.strip()):
        spec = Family(spec.strip())
    expr = _expression(spec)
    return expression_of_family(expr) if isinstance(expr, Family) else expr


def families() -> list[str]:
    """Return the names of the adaptive families."""
    return plugins.names(FAMILIES)


def structured() -> list[str]:
    """Return the names of what is no elementwise formula: gated units, maxout, softmax and the like."""
    return plugins.names(STRUCTURED)


def _family(name: str, has_settings: bool) -> ModuleType | None:
    """Return the file of a name that is no row of the catalog, or of which settings are asked for."""
    for folder in (FAMILIES, STRUCTURED):
        if name.isidentifier() and name in plugins.names(folder) and (has_settings or not _in_catalog(name)):
            return plugins.load(folder, name, ActivationError)
    return None


def _in_catalog(name: str) -> bool:
    try:
        catalog.get(name)
    except ExprError:
        return False
    return True


def _expression(spec: sympy.Expr | str) -> sympy.Expr:
    try:
        return to_expr(spec)
    except ExprError as error:
        if not (isinstance(spec, str) and spec.strip().isidentifier()):
            raise
        known = [*catalog.names(), *families(), *structured()]
        hint = suggest(spec.strip(), known)
        raise ActivationError(f"there is no activation {spec!r}{hint}" if hint else str(error)) from None


def _make_family(name: str, family: ModuleType, common: dict[str, Any], settings: dict[str, Any]) -> nn.Module:
    """Call the family's ``make`` with its own settings, and with those of the common ones that were given."""
    signature = inspect.signature(make)
    given = {key: value for key, value in common.items() if value != signature.parameters[key].default} | settings
    if hasattr(family, "formula"):
        return make_adaptive(name, family, given)
    accepted = inspect.signature(family.make).parameters
    if given.get("normalise") and hasattr(family, "START"):
        return Normalised(_make_family(name, family, {**common, "normalise": False}, settings), family.START)
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in accepted.values()):
        return family.make(**given)
    for setting in given:
        if setting not in accepted:
            raise ActivationError(
                f"{name} has no setting {setting!r}{suggest(setting, accepted)} "
                f"(settings: {', '.join(accepted) or 'none'})"
            )
    return family.make(**given)
