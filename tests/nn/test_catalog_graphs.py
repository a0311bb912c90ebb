"""Every named activation under torch.compile (one graph, no break) and torch.export, several in one function."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from actsearch.expr import catalog
from actsearch.nn.make import make
from tests.catalog_sample import sample

pytestmark = [
    pytest.mark.slow,
    # torch's tracing and its inductor warn of themselves
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning"),
]
TOGETHER = 24
GROUPS = [tuple(catalog.names()[i : i + TOGETHER]) for i in range(0, len(catalog.names()), TOGETHER)]
N_CHANNELS = 5


class Several(nn.Module):
    """Activations side by side on one input."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self.activations = nn.ModuleList(make(name, n_channels=N_CHANNELS) for name in names)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [activation(x) for activation in self.activations]


def _input() -> torch.Tensor:
    return torch.randn(7, N_CHANNELS, generator=torch.Generator().manual_seed(0))


def _same(ours: list[torch.Tensor], theirs: list[torch.Tensor], names: tuple[str, ...]) -> None:
    for name, y, expected in zip(names, ours, theirs, strict=True):
        torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-5, msg=lambda told, name=name: f"{name}: {told}")


def _slopes(values: list[torch.Tensor], x: torch.Tensor) -> list[torch.Tensor]:
    return [torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for y in values]


def _compiled(names: tuple[str, ...], backend: str) -> None:
    module, x = Several(names), _input().requires_grad_()
    expected = module(x)
    torch._dynamo.reset()
    found = torch.compile(module, fullgraph=True, backend=backend)(x)
    _same(found, expected, names)
    _same(_slopes(found, x), _slopes(expected, x), names)


def _exported(names: tuple[str, ...]) -> None:
    module, x = Several(names), _input()
    _same(torch.export.export(module, (x,)).module()(x), module(x), names)


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_every_row_in_one_graph(names: tuple[str, ...]) -> None:
    _compiled(names, "aot_eager")
    _exported(names)


def test_the_sample_through_inductor() -> None:
    _compiled(tuple(sample()), "inductor")
