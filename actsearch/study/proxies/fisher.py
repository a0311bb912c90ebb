"""Fisher: the trace of the empirical Fisher matrix before training."""

from __future__ import annotations

from actsearch.study.proxies._start import Start

BETTER = "high"
NEEDS_NET = True


def measure(start: Start) -> float:
    """Return the mean over examples of |gradient of the example's loss in all weights|^2, in units of the loss squared.

    This is the trace of the empirical Fisher matrix, the sum of its eigenvalues; for a loss in nats it is in nats
    squared (a squared weight being without unit).

    References:
        Karakida, Akaho, Amari 2019, "Universal statistics of Fisher information in deep neural networks",
        arXiv:1806.01316. Bingham and Miikkulainen 2023, arXiv:2301.05785, for its spectrum as a description of
        activations.
    """
    return start.loss_gradients.double().square().sum(dim=1).mean().item()
