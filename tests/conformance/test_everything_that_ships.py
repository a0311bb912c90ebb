"""The public suite over everything that ships; new rows and files are found by themselves."""

from __future__ import annotations

import pytest

from actsearch import plugins, testing
from actsearch.errors import StudyError
from actsearch.expr.primitives import PRIMITIVES
from actsearch.nn.make import families, make
from actsearch.space import load_space, space_names
from actsearch.study.samplers import sampler_names
from actsearch.tasks import load_task, task_names
from tests.catalog_sample import rows

# Smooth enough for finite differences at the points tried; steps and jumps are tested against mpmath elsewhere.
ACTIVATIONS = [*rows(), *families()]
EXPORTERS = [
    pytest.param(name, marks=pytest.mark.slow)  # it imports another library
    if hasattr(plugins.load("actsearch.report.exporters", name), "EXTRA")
    else name
    for name in plugins.names("actsearch.report.exporters")
]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str) -> None:
    testing.check_activation(lambda: make(name))


@pytest.mark.parametrize("row", PRIMITIVES.values(), ids=lambda row: row.name)
def test_primitive(row) -> None:
    testing.check_primitive(row)


@pytest.mark.parametrize("name", space_names())
def test_space(name: str) -> None:
    testing.check_space(load_space(name), n_samples=5)


@pytest.mark.parametrize("name", task_names())
def test_task(name: str) -> None:
    testing.check_task(load_task(name))


@pytest.mark.parametrize("name", sampler_names())
def test_sampler(name: str) -> None:
    module = plugins.load("actsearch.study.samplers", name)
    testing.check_sampler(module.make_sampler, load_space("tiny"))


@pytest.mark.parametrize("name", EXPORTERS)
def test_exporter(name: str) -> None:
    testing.check_exporter(plugins.load("actsearch.report.exporters", name))


class TestTheSuiteFindsFaults:
    def test_a_shape_that_changes(self) -> None:
        import torch

        with pytest.raises(AssertionError, match="became one of shape"):
            testing.check_activation(lambda: torch.nn.Flatten(0))

    def test_a_wrong_gradient(self) -> None:
        import torch

        class Straight(torch.nn.Module):
            def forward(self, x):
                return x + (x.relu() - x).detach()

        with pytest.raises(RuntimeError, match="Jacobian mismatch"):
            testing.check_activation(Straight)

    def test_a_sampler_without_a_seed(self) -> None:
        import optuna

        with pytest.raises(AssertionError, match="other choices"):
            testing.check_sampler(lambda space, seed: optuna.samplers.RandomSampler(), load_space("tiny"))

    def test_gp_refuses_conditional_choices(self) -> None:
        module = plugins.load("actsearch.study.samplers", "gp")
        with pytest.raises(StudyError):
            module.make_sampler(load_space("pangaea"), 0)
