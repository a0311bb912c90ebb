"""Variation of candidates: mutation, crossover and regeneration, each of them "decode with another chooser".

There is no tree surgery: a variant is what the space makes of the parent's choices when some are decided anew.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from actsearch.space.choosers import RandomChooser, ReplayChooser
from actsearch.space.space import Space


def regenerate(space: Space, rng: random.Random) -> dict[str, str]:
    """Return the choices of a new candidate, every choice decided anew.

    Example:
        >>> from actsearch.space.load import load_space
        >>> sorted(regenerate(load_space("tiny"), random.Random(0)))
        ['0:unary', '1:unary', '2:binary']
    """
    return space.choose(RandomChooser(rng.getrandbits(64)))


def mutate(choices: Mapping[str, str], space: Space, rng: random.Random) -> dict[str, str]:
    """Return choices that differ from the given ones in one choice and in what hangs on it.

    One place with more than one option is drawn, every place alike; it gets another option, every one alike; choices
    below it are decided anew at random; all others stay. A space of one candidate gives that candidate.

    Raises:
        SpaceError: the given choices are not a candidate of the space.
    """
    replay, options_of = ReplayChooser(choices), dict[str, tuple[str, ...]]()

    def noting(name: str, options: tuple[str, ...]) -> str:
        options_of[name] = options
        return replay(name, options)

    whole = space.choose(noting)
    open_places = {name: options for name, options in options_of.items() if len(options) > 1}
    if not open_places:
        return whole
    name = rng.choice(list(open_places))
    others = [option for option in open_places[name] if option != whole[name]]
    below = f"{name.partition(':')[0]}."
    kept = {other: option for other, option in whole.items() if not other.startswith(below)}
    return space.choose(ReplayChooser({**kept, name: rng.choice(others)}, RandomChooser(rng.getrandbits(64))))


def crossover(first: Mapping[str, str], second: Mapping[str, str], space: Space, rng: random.Random) -> dict[str, str]:
    """Return choices each of which is one parent's, drawn with equal chances where both have one that fits.

    A choice that neither has, or for which neither's option is on offer, is decided at random.
    """

    def chooser(name: str, options: tuple[str, ...]) -> str:
        offered = [parent[name] for parent in (first, second) if parent.get(name) in options]
        return rng.choice(offered or options)

    return space.choose(chooser)
