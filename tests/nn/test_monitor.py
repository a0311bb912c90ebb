"""The monitor: figures that can be counted by hand, no trace in the training, and warnings with a remedy."""

import copy
import csv
import math
import warnings

import pytest
import torch
from torch import nn

from actsearch.errors import ActivationError
from actsearch.nn.health import LayerHealth, complaints, table
from actsearch.nn.make import make
from actsearch.nn.monitor import Monitor

NAN = float("nan")


def watch(activation, x, channel_dim=None):
    """Return the row of one activation for one batch, and the gradient of the mean square."""
    model = nn.Sequential(activation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Monitor(model, every=1, channel_dim=channel_dim) as monitor:
            model(x).square().sum().backward()
        return monitor.history[0][0]


def columns(*values):
    """Return a batch of three rows whose columns are the inputs of one unit each."""
    return torch.tensor(values).T.clone().requires_grad_()


def test_relu_is_counted_by_hand():
    # a unit that is always on, one that never is, one that is now and then
    x = columns([1.0, 2.0, 3.0], [-1.0, -2.0, -5.0], [-1.0, 1.0, 4.0])
    row = watch(nn.ReLU(), x)
    assert (row.kind, row.name, row.activation, row.n_steps) == ("rectifier", "0", "ReLU", 1)
    assert row.active == pytest.approx(5 / 9)
    assert row.saturated == pytest.approx(4 / 9)
    assert row.dead == pytest.approx(1 / 3)
    assert row.linear == pytest.approx(1 / 3)
    assert (row.low, row.high) == (-5, 4)
    # d/dy sum y^2 = 2y
    assert row.gradient == pytest.approx(2 * math.sqrt((1 + 4 + 9 + 1 + 16) / 9))
    assert math.isnan(row.outside)


@pytest.mark.parametrize("activation", [nn.Tanh(), make("tanh")], ids=["torch", "ours"])
def test_tanh_is_counted_by_hand(activation):
    # 1 - tanh^2 is below 0.05 from |x| = 2.18 on, below 0.001 from 4.15 on, and above 0.9 up to 0.327
    x = columns([0.1, -0.2, 0.3], [5.0, 6.0, -7.0], [2.1, 2.3, 0.0])
    row = watch(activation, x)
    assert row.kind == "squashing"
    assert (row.saturated, row.dead, row.linear) == pytest.approx((4 / 9, 1 / 3, 1 / 3))


@pytest.mark.parametrize(
    ("shape", "channel_dim"), [((5, 3, 4), None), ((5, 4, 3), -1), ((5, 3, 2, 2), 1), ((15,), None)]
)
def test_units_are_channels(shape, channel_dim):
    x = -torch.ones(shape)
    if x.ndim > 1:
        x.movedim(channel_dim or 1, 0)[0] = 1.0
    row = watch(nn.ReLU(), x.requires_grad_(), channel_dim)
    assert row.dead == pytest.approx(2 / 3 if x.ndim > 1 else 1)


def test_activations_that_work_in_place_and_parameters_per_channel():
    x = columns([1.0, 2.0, 3.0], [-1.0, -2.0, -5.0])
    model = nn.Sequential(nn.Identity(), nn.ELU(inplace=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Monitor(model, every=1) as monitor:
            model(x * 1.0).sum().backward()
    assert (monitor.history[0][0].low, monitor.history[0][0].high) == (-5, 3)
    assert x.grad[2, 1].item() == pytest.approx(math.exp(-5))
    prelu = make("max(x, 0) + a[0.0, channel]*min(x, 0)")
    prelu(x)
    with torch.no_grad():
        prelu.a[1] = 1.0
    row = watch(prelu, x.detach().requires_grad_())
    assert (row.dead, row.linear) == (0, 1)


def test_dead_means_over_the_whole_epoch():
    model = nn.Sequential(nn.ReLU())
    monitor = Monitor(model, every=1)
    monitor.attach()
    for values in ([1.0, -1.0], [-1.0, -1.0], [-1.0, -1.0]):
        model(torch.tensor([values]))
    with pytest.warns(UserWarning, match="50% of its units passed no gradient"):
        assert monitor.end_epoch()[0].dead == 0.5
    model(torch.tensor([[-1.0, -1.0]]))
    assert monitor.end_epoch()[0].dead == 1  # said before, so without a warning
    monitor.detach()
    model(torch.tensor([[-1.0, -1.0]]))
    assert monitor.end_epoch() == ()
    assert len(monitor.history) == 2


def network(seed=0):
    torch.manual_seed(seed)
    parts = [nn.Linear(6, 12), make("gelu"), nn.Dropout(0.3), nn.Linear(12, 12), nn.RReLU(), make("dynamic_relu"),
             nn.Linear(12, 16), make("swiglu"), nn.Linear(8, 1)]  # fmt: skip
    return nn.Sequential(*parts)


def train(model, n_steps=12):
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(n_steps):
        loss = (model(torch.randn(16, 6)) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_training_is_the_same_to_the_bit():
    plain, watched = network(), network()
    for model in (plain, watched):
        model(torch.zeros(2, 6))  # shapes of lazy parameters
    expected = train(plain)
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in watched.modules()]
    with Monitor(watched, every=3) as monitor:
        got = train(watched)
    assert all(torch.equal(one, other) for one, other in zip(expected, got, strict=True))
    assert hooks == [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in watched.modules()]
    rows = monitor.history[0]
    assert [row.n_steps for row in rows] == [4] * 4
    assert [row.kind for row in rows] == ["rectifier", "open", "unknown", "unknown"]
    assert all(row.gradient > 0 for row in rows)
    # what is no elementwise function has no slopes, but all else
    assert math.isnan(rows[2].dead)
    assert 0 < rows[3].active < 1


def test_evaluation_is_not_sampled_and_epochs_without_a_sample_go_on():
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    monitor = Monitor(model, every=4)
    monitor.attach()
    model(torch.randn(3, 2))
    model.eval()
    model(1e3 * torch.randn(3, 2))
    model.train()
    (row,) = monitor.end_epoch()
    assert row.high < 100
    model(torch.randn(3, 2))
    assert monitor.end_epoch() == ()
    for _ in range(3):
        model(torch.randn(3, 2))
    assert monitor.end_epoch()[0].n_steps == 1
    monitor.detach()


def test_the_range_that_an_activation_was_fitted_on():
    activation = make("tanh")
    activation.fitted_range = (-2.0, 2.0)
    assert watch(activation, columns([0.0, 1.0, 2.0], [1.0, 2.5, -3.0])).outside == pytest.approx(2 / 6)


def test_large_batches_are_sampled_by_rows_and_nested_modules_once():
    model = nn.Sequential(make("glu", gate="silu"), nn.ReLU())
    x = torch.cat([torch.ones(16, 2048), -torch.ones(100, 2048)])
    x[0] = -2.0
    with pytest.warns(UserWarning, match="hardly bends"), Monitor(model, every=1) as monitor:
        model(x)
    rows = monitor.history[0]
    assert [row.name for row in rows] == ["0", "1"]
    # of the first 16 rows, which hold 2^15 elements, one is -2
    assert (rows[0].low, rows[0].high, rows[1].n_steps) == (-2, 1, 1)
    assert rows[0].active == 1


def test_history_as_csv_and_as_a_table(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), nn.GELU())
    with Monitor(model, every=1) as monitor:
        assert str(monitor) == "nothing sampled yet"
        for _ in range(2):
            model(torch.randn(50, 4)).sum().backward()
            monitor.end_epoch()
    with monitor.to_csv(tmp_path / "health.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert float(rows[1]["active"]) == monitor.history[1][0].active
    assert "GELU" in str(monitor)


def row_of(**changes):
    usual = {"name": "act", "activation": "relu(x)", "kind": "rectifier", "n_steps": 5, "active": 0.4, "dead": 0.0,
             "saturated": 0.6, "linear": 0.0, "gradient": 1e-3, "low": -3.0, "high": 3.0, "outside": NAN}  # fmt: skip
    return LayerHealth(**(usual | changes))


@pytest.mark.parametrize(
    ("changes", "what", "words"),
    [
        ({"dead": 0.4}, "dead", r"act \(relu\(x\)\): 40% of its units passed no gradient .* leaky_relu or gelu"),
        ({"active": 0.04}, "inactive", "only 4% of its outputs"),
        ({"active": 0.97}, "always active", "hardly bends"),
        ({"kind": "squashing", "saturated": 0.8}, "saturated", "80% of its inputs are where it is flat; initialise"),
        ({"kind": "squashing", "saturated": 0.1, "linear": 0.95}, "linear", "adds no depth"),
        ({"gradient": 1e-9}, "vanishing gradient", "1.0e-09.* is less than"),
        ({"gradient": math.inf}, "gradient not finite", "clip gradients"),
        ({"outside": 0.05}, "out of range", r"5.0% of its inputs \(from -3 to 3\)"),
        ({"low": NAN, "dead": 0.9}, "not finite", "no longer finite"),
    ],
)
def test_each_complaint_has_a_remedy(changes, what, words):
    other = row_of(name="other")
    said = complaints([row_of(**changes), other])
    assert list(said) == [("act", what)]
    import re

    assert re.search(words, said["act", what])


def test_healthy_layers_get_no_word_and_tables_fit():
    healthy = [
        row_of(),
        row_of(kind="squashing", saturated=0.1),
        row_of(kind="open", active=1.0),
        row_of(kind="unknown"),
    ]
    assert complaints(healthy) == {}
    odd = row_of(name="blocks.12.feed_forward.activation", activation="x*sigmoid(1.702*x)", low=-1234567.0, high=1e-9)
    lines = table([*healthy, odd, row_of(dead=NAN, gradient=NAN)]).splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 7


def test_what_cannot_be_watched_gets_a_sentence():
    with pytest.raises(ActivationError, match=r"Linear has no activation module.*actsearch.swap"):
        Monitor(nn.Linear(2, 2))
    with pytest.raises(ActivationError, match="every is 0"):
        Monitor(nn.Sequential(nn.ReLU()), every=0)


def test_a_copy_of_a_watched_model_is_its_own():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with Monitor(model, every=1) as monitor:
        model(torch.randn(4, 2))
        assert copy.deepcopy(model[1]) is not model[1]
    assert monitor.history[0][0].n_steps == 1


def test_a_rational_tells_the_range_it_was_fitted_on():
    assert make("rational", low=-3.0, high=2.0).fitted_range == (-3, 2)
    assert make("hermite").fitted_range is None
    row = watch(make("rational", low=-3.0, high=2.0), columns([0.0, 1.0, 2.0], [1.0, 2.5, -4.0]))
    assert row.outside == pytest.approx(2 / 6)
