"""NTK condition number: how unevenly a net would learn different patterns, before training."""

from __future__ import annotations

import torch

from actsearch.study.proxies._start import Start

BETTER = "low"
NEEDS_NET = True


def measure(start: Start) -> float:
    """Return ln(largest / smallest eigenvalue) of the neural tangent kernel of a batch; infinite where it is singular.

    The kernel's entries are inner products of the gradients, in all weights, of the sum of a net's outputs for two
    examples, of 32. Gradient descent on a wide net learns the eigenvectors at rates in proportion to their eigenvalues.

    References:
        Jacot, Gabriel, Hongler 2018, "Neural tangent kernel", arXiv:1806.07572. Chen, Gong, Wang 2021, "Neural
        architecture search on ImageNet in four GPU hours", arXiv:2102.11535, for its condition number as a proxy.
    """
    jacobian = start.net.output_gradients().double()
    if not jacobian.isfinite().all():
        return float("nan")
    eigenvalues = torch.linalg.eigvalsh(jacobian @ jacobian.T)
    smallest, largest = eigenvalues[0].item(), eigenvalues[-1].item()
    # what rounding of float32 gradients leaves of a zero
    return float("inf") if smallest <= 1e-14 * largest else float(torch.log(eigenvalues[-1] / eigenvalues[0]))
