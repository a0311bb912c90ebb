"""Optuna's own sampler suite on our samplers, where it applies.

| suite | applies to |
|---|---|
| BasicSamplerTestCase | random, tpe, nsgaii, gp, evolution |
| RelativeSamplerTestCase | tpe; gp on categories, which is all that a space has (on all it takes minutes) |
| MultiObjectiveSamplerTestCase | random, tpe, nsgaii, gp |
| SingleOnlySamplerTestCase | evolution, exhaustive |

The basic suite asks for numbers, and exhaustive refuses all but the choices of its space; random, evolution, exhaustive
and surrogate sample no choice relative to others, and NSGA-II does so from its second generation on, where the suite
looks at the first (Optuna leaves its own out, too); evolution, exhaustive and surrogate serve one objective, the others
several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from actsearch.space import load_space
from actsearch.study.samplers import load_sampler

Make = Callable[[], BaseSampler]


def _make(name: str, **settings: int) -> Make:
    space = load_space("tiny")
    return lambda: load_sampler(name, space, 0, **settings)


class TestRandom(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Make:
        return _make("random")


class TestEvolution(BasicSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Make:
        return _make("evolution", population_size=2, tournament_size=2)


class TestExhaustive(SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Make:
        return _make("exhaustive")


class TestSurrogate(BasicSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Make:
        return _make("surrogate", n_initial=2)


class TestNsgaii(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Make:
        return _make("nsgaii", population_size=2)


@pytest.mark.slow
class TestTpe(BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    @pytest.fixture
    def sampler(self) -> Make:
        return _make("tpe", n_startup_trials=0)


@pytest.mark.slow
class TestGp(BasicSamplerTestCase, MultiObjectiveSamplerTestCase):
    test_sample_relative_categorical = RelativeSamplerTestCase.test_sample_relative_categorical

    @pytest.fixture
    def sampler(self) -> Make:
        return _make("gp", n_startup_trials=0)

    @pytest.fixture(autouse=True)
    def one_thread(self) -> Iterator[None]:
        """Keep torch from fighting over two cores with the other tests: Gaussian processes this small gain nothing."""
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(n_threads)
