"""Does every candidate of a space make the same choices?"""

from __future__ import annotations

import math

from actsearch.errors import StudyError
from actsearch.space import Space


def has_conditional_choices(space: Space) -> bool:
    """Return whether some candidates of a space make choices that others do not make.

    The choices that all make, if they were the only ones, would give as many candidates as the product of their
    options; every real choice beyond them makes the space larger.
    """
    return space.size() != math.prod(len(options) for options in space.places().values())


def check_all_choices_everywhere(sampler: str, space: Space) -> None:
    """Refuse a space with conditional choices, for samplers that see only choices that every trial made.

    Raises:
        StudyError: some candidates make choices that others do not make.
    """
    if has_conditional_choices(space):
        raise StudyError(
            f"sampler {sampler} cannot serve space {space.name!r}: it sees only choices that every candidate makes, and"
            " here some depend on others; use tpe, evolution, exhaustive or random"
        )
