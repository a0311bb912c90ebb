"""The reference under torch.compile and torch.export."""

from __future__ import annotations

import pytest
import torch

from actsearch.compiler import CompiledActivation, compile

# torch.compile itself imports and does what torch 2.13 deprecates
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
SPECS = ["silu", "gelu", "x * sigmoid(beta[1.5] * x)", "exp(-0.3*x**2) + max(x, sin(x))", "x if x > 0 else expm1(x)"]


def _inputs(f: CompiledActivation) -> list[torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(4, 6)
    return [x, *(torch.tensor(parameter.start + 0.1) for parameter in f.parameters)]


def _run(function: object, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    leaves = [value.clone().requires_grad_() for value in inputs]
    value = function(*leaves)  # type: ignore[operator]
    value.square().sum().backward()
    return [value.detach(), *(leaf.grad for leaf in leaves)]  # type: ignore[misc]


@pytest.mark.parametrize("spec", SPECS)
def test_compiles_as_one_graph_forward_and_backward(spec: str) -> None:
    f = compile(spec, backend="reference")
    traced = torch.compile(lambda *args: f(*args), fullgraph=True, backend="aot_eager")
    for result, expected in zip(_run(traced, _inputs(f)), _run(f, _inputs(f)), strict=True):
        torch.testing.assert_close(result, expected)


def test_dynamic_shapes_compile_once() -> None:
    f = compile("gelu", backend="reference")
    traced = torch.compile(lambda x: f(x), fullgraph=True, dynamic=True, backend="aot_eager")
    for n in (3, 7, 12):
        torch.testing.assert_close(traced(torch.ones(n, 2)), f(torch.ones(n, 2)))


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["gelu", "x * sigmoid(beta[1.5] * x)"])
def test_inductor(spec: str) -> None:
    f = compile(spec, backend="reference")
    traced = torch.compile(lambda *args: f(*args), fullgraph=True)
    for result, expected in zip(_run(traced, _inputs(f)), _run(f, _inputs(f)), strict=True):
        torch.testing.assert_close(result, expected)


class _Wrapped(torch.nn.Module):
    def __init__(self, f: CompiledActivation) -> None:
        super().__init__()
        self.f = f

    def forward(self, *args: torch.Tensor) -> torch.Tensor:
        return self.f(*args)


@pytest.mark.parametrize("spec", SPECS)
def test_exports_and_runs(spec: str) -> None:
    f = compile(spec, backend="reference")
    inputs = _inputs(f)
    exported = torch.export.export(_Wrapped(f), tuple(inputs)).module()
    torch.testing.assert_close(exported(*inputs), f(*inputs), rtol=0, atol=0)
