"""The public conformance suite: what every activation, primitive, space, task, sampler and exporter promises.

Each ``check_*`` takes one thing, tries it, and raises ``AssertionError`` with a sentence about the first promise that
is not kept. actsearch's own tests run them over everything that ships; run them over what you add:

Example:
    >>> import torch
    >>> check_activation(torch.nn.SiLU)
"""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from actsearch.expr.primitives import Primitive
from actsearch.expr.text import format, parse
from actsearch.space import RandomChooser, RecordingChooser, ReplayChooser, Space
from actsearch.tasks.task import Task


def check_activation(factory: Callable[[], Any], n_channels: int = 4, device: str = "cpu") -> None:
    """Check an activation module: shape in = shape out, dtypes, right gradients, copies, state, no random numbers used.

    Args:
        factory: makes the module; called several times.
        n_channels: size of dimension 1 of the inputs.
        device: where it is checked.

    Raises:
        AssertionError: a promise is not kept.
    """
    import torch

    def made() -> Any:
        return factory().to(device)

    before = torch.get_rng_state()
    module = made()
    assert torch.equal(torch.get_rng_state(), before), "making the module used torch's random numbers"
    generator = torch.Generator().manual_seed(0)
    for shape in ((3, n_channels), (2, n_channels, 5), (0, n_channels)):
        x = torch.randn(shape, generator=generator).to(device)
        y = module(x)
        assert y.shape == x.shape, f"an input of shape {tuple(x.shape)} became one of shape {tuple(y.shape)}"
    x = torch.randn(3, n_channels, generator=generator).to(device)
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        y = copy.deepcopy(module).to(dtype)(x.to(dtype))
        assert y.dtype == dtype, f"an input of {dtype} became {y.dtype}"
    wide = copy.deepcopy(module).double()
    leaf = x.double().requires_grad_()
    assert torch.autograd.gradcheck(wide, (leaf,)), "the gradient is not that of the values"
    expected = module(x)
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(other(x), expected), "a copy gives other values"
    again = made()
    again(x)
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(x), expected), "the state dict does not hold all of the state"


def check_primitive(row: Primitive) -> None:
    """Check a row of the table of primitives: its text reads back, it can be lowered, its slope is that of its values.

    Raises:
        AssertionError: a promise is not kept.
    """
    from actsearch.expr.program import derivative, evaluate, lower

    arguments = ["x", "2*x + 1", "x/2 - 1"][: row.arity or 3]
    expr = row.build(*map(parse, arguments))
    assert parse(f"{row.name}({', '.join(arguments)})") == expr, f"{row.name} is not read from text as it is built"
    assert parse(format(expr)) == expr, f"{format(expr)} does not read back as itself"
    points = np.array([-1.37, -0.61, 0.29, 0.83, 1.71])
    step = 1e-6
    low, high = (evaluate(lower(expr), points + shift) for shift in (-step, step))
    slope = evaluate(derivative(lower(expr), (1,)), points)
    inside = np.isfinite(low) & np.isfinite(high)
    assert np.allclose(slope[inside], ((high - low) / (2 * step))[inside], rtol=1e-4, atol=1e-4), (
        f"the derivative of {row.name} is not that of its values"
    )


def check_space(space: Space, n_samples: int = 20) -> None:
    """Check a space: counted as enumerated, sampled reproducibly, and every sample encodes and decodes to itself.

    Raises:
        AssertionError: a promise is not kept.
    """
    few = sum(1 for _ in itertools.islice(space.enumerate_choices(), 2001))
    assert few == min(space.size(), 2001), f"{space.name} counts {space.size()} candidates and enumerates {few}"
    for seed in range(n_samples):
        expr = space.sample(seed)
        assert expr == space.sample(seed), f"seed {seed} of {space.name} gives two expressions"
        recorder = RecordingChooser(RandomChooser(seed))
        decoded = space.decode(recorder)
        assert space.decode(ReplayChooser(recorder.choices)) == decoded, f"{format(decoded)} does not replay"
        encoded = space.decode(ReplayChooser(space.encode(decoded)))
        assert encoded == decoded, f"{format(decoded)} is encoded as the choices of {format(encoded)}"


def check_task(task: Task) -> None:
    """Check a task: every net makes the activation it is given, and two equal fits agree to the bit.

    Each net is trained for one step, twice.

    Raises:
        AssertionError: a promise is not kept.
    """
    from actsearch.tasks.fit import FitJob, fit

    for cell in task.cells:
        results = []
        for _ in range(2):
            job = FitJob(
                task=task,
                net=cell.net,
                spec="relu",
                normalise=False,
                study_seed=0,
                replicate=0,
                learning_rate_factor=1.0,
                rungs=(1,),
                stop_step=1,
                state_path=None,
                test=True,
            )
            results.append(fit(job))
        first, second = results
        assert first.status == "finished", f"{cell.name}: a step with relu ends as {first.status}: {first.reason}"
        assert len(first.metric) == 1, f"{cell.name}: one rung gave {len(first.metric)} measurements"
        assert math.isfinite(first.metric[0]), f"{cell.name}: the metric is {first.metric[0]}"
        assert first.test_metric is not None, f"{cell.name}: the test split was not measured"
        assert (first.metric, first.test_metric) == (second.metric, second.test_metric), (
            f"{cell.name}: two equal fits gave {first.metric} and {second.metric}"
        )


def check_sampler(make_sampler: Callable[..., Any], space: Space, n_trials: int = 12) -> None:
    """Check a sampler: its choices decode, and the same seed and trials give the same choices.

    Args:
        make_sampler: ``make_sampler(space, seed)``, as in a file of ``actsearch/study/samplers``.
        space: a space that it serves.
        n_trials: how many trials to ask for.

    Raises:
        AssertionError: a promise is not kept.
    """
    import optuna

    def run() -> list[dict[str, Any]]:
        study = optuna.create_study(direction="maximize", sampler=make_sampler(space, 0))
        asked = []
        for number in range(n_trials):
            trial = study.ask()
            space.decode(trial.suggest_categorical)
            study.tell(trial, math.sin(number))
            asked.append(trial.params)
        return asked

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        first, second = run(), run()
    finally:
        optuna.logging.set_verbosity(verbosity)
    assert first == second, "the same seed and trials gave other choices"
    for choices in first:
        space.decode(ReplayChooser(choices))


def check_exporter(exporter: ModuleType, text: str = "x * sigmoid(beta[1.0] * x)") -> None:
    """Check an exporter: what it writes reads back as the same numbers, parameters at other values included.

    Raises:
        AssertionError: it lacks ``SUFFIX``, ``export`` or ``load``. ExportError: the numbers differ.
    """
    from actsearch.report.export import verify

    for name in ("SUFFIX", "export", "load"):
        assert hasattr(exporter, name), f"{exporter.__name__} has no {name}"
    expr = parse(text)
    with tempfile.TemporaryDirectory() as folder:
        path = exporter.export(expr, Path(folder) / f"formula{exporter.SUFFIX}")
        verify(expr, exporter, path, exporter.__name__.rsplit(".", 1)[-1])
