"""Every named activation as a module: nothing to register, new rows and families are found here."""

import copy
import pickle

import pytest
import torch
from torch import nn

from actsearch.nn.make import families, make
from tests.catalog_sample import rows

NAMES = [*rows(), *families()]


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_is_a_sound_module(name):
    generator = torch.Generator().manual_seed(0)
    before = torch.get_rng_state()
    module = make(name, n_channels=5)
    assert torch.equal(torch.get_rng_state(), before)
    for shape in [(4, 5), (2, 5, 3), (2, 5, 3, 3), (0, 5)]:
        x = torch.randn(shape, generator=generator)
        y = module(x)
        assert y.shape == x.shape
        assert y.dtype == x.dtype
        assert y.isfinite().all()
    x = torch.randn(8, 5, generator=generator)
    y = module(x)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(x), y)
        assert set(other.state_dict()) == set(module.state_dict())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.25)
    again = make(name, n_channels=5)
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(x), module(x))
    for dtype in (torch.float64, torch.bfloat16, torch.float16):
        moved = copy.deepcopy(module).to(dtype)
        assert moved(x.to(dtype)).dtype == dtype


@pytest.mark.parametrize("name", NAMES)
def test_every_activation_trains_a_step(name):
    torch.manual_seed(0)
    module = make(name)
    model = nn.Sequential(nn.Linear(3, 6), module, nn.Linear(6, 1))
    x, target = torch.randn(32, 3), torch.randn(32, 1)
    model(x)  # lazy channels take their shape
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    first = (model(x) - target).square().mean()
    first.backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
    optimiser.step()
    with torch.no_grad():
        assert (model(x) - target).square().mean() < first
