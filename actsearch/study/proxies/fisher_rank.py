"""Fisher spectrum: over how many directions the empirical Fisher matrix is spread before training."""

from __future__ import annotations

from actsearch.study.proxies._start import Start

BETTER = "high"
NEEDS_NET = True


def measure(start: Start) -> float:
    """Return (sum of eigenvalues)^2 / sum of squared eigenvalues of the empirical Fisher matrix: a count of directions.

    From 1, where all examples pull the weights along one line, to the number of examples, where each pulls in a
    direction of its own with the same strength. The eigenvalues are those of the examples' matrix of inner products.

    References:
        Karakida, Akaho, Amari 2019, arXiv:1806.01316. Bingham and Miikkulainen 2023, arXiv:2301.05785.
    """
    gradients = start.loss_gradients.double()
    products = gradients @ gradients.T
    squares = products.square().sum().item()
    return products.trace().item() ** 2 / squares if squares else float("nan")
