"""What proxies look at: the function that would be fitted and the net around it, each made when it is asked for."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import sympy
from numpy.typing import NDArray
from torch import Tensor

from actsearch.errors import StudyError
from actsearch.expr.family import Family
from actsearch.expr.moments import Moments
from actsearch.expr.text import format
from actsearch.nn.init import moments_of
from actsearch.nn.make import expression_at_start
from actsearch.nn.normalise import normalised
from actsearch.study.proxies._hermite import shares
from actsearch.tasks.fit import FitJob
from actsearch.tasks.task import Cell
from actsearch.tasks.untrained import Untrained, untrained

N_EXAMPLES = 32


class Start:
    """One candidate before any training.

    Args:
        spec: catalog name, text or SymPy expression; an adaptive family stands for the function that it starts at where
            a proxy looks at the function alone.
        cell: the task and the net; None: for proxies of the function alone.
        normalise: whether it is fitted with mean 0 and variance 1 for a unit-normal input.
        seed: the study's; the net's first weights and the batch follow from it, as those of replicate 0 do.

    Attributes:
        cell: the task and the net.
    """

    def __init__(
        self, spec: sympy.Expr | str, cell: Cell | None = None, *, normalise: bool = True, seed: int = 0
    ) -> None:
        self.cell = cell
        self._spec, self._normalise, self._seed = spec, normalise, seed

    @cached_property
    def expr(self) -> sympy.Expr:
        """The function, normalised where it is fitted so."""
        expr = expression_at_start(self._spec)
        return normalised(expr) if self._normalise else expr

    @cached_property
    def moments(self) -> Moments:
        """Its moments under N(0, 1)."""
        return moments_of(self.expr)

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Shares of its mean square by degree of the Hermite polynomials, summing to 1; the last holds the rest."""
        return shares(self.expr)

    @cached_property
    def net(self) -> Untrained:
        """The net with the function in it, and a batch of training data.

        Raises:
            StudyError: no cell is given.
            TaskError: the net cannot be built.
        """
        if self.cell is None:
            raise StudyError("this proxy looks at a net before training, so it needs a task and one of its nets")
        task, spec = self.cell.task, self._spec
        text = spec if isinstance(spec, str) else spec.text if isinstance(spec, Family) else format(spec)
        steps = (task.n_steps,)
        job = FitJob(task, self.cell.net, text, self._normalise, self._seed, 0, 1.0, steps, task.n_steps)
        return untrained(job, N_EXAMPLES)

    @cached_property
    def loss_gradients(self) -> Tensor:
        """The gradient of each example's loss in all weights, float32 of shape (examples, weights)."""
        return self.net.loss_gradients()
