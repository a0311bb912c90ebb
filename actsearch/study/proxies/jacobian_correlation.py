"""Jacobian correlation: how differently a net answers to different examples, before training."""

from __future__ import annotations

import torch

from actsearch.study.proxies._start import Start

BETTER = "high"
NEEDS_NET = True
_SHIFT = 1e-5  # the published constant


def measure(start: Start) -> float:
    """Return -sum of (ln(v + 1e-5) + 1 / (v + 1e-5)) over the eigenvalues v of the correlation of input gradients.

    Rows are examples, of 32: the gradient of the sum of the net's outputs in the example's inputs. It is highest, minus
    the number of examples, where no two examples' gradients are alike; without unit. NaN where a gradient is constant.

    References:
        Mellor et al. 2020, "Neural architecture search without training", arXiv:2006.04647, first version. Abdelfattah
        et al. 2021, "Zero-cost proxies for lightweight NAS", arXiv:2101.08134 (``jacob_cov``).
    """
    inputs = start.net.inputs.detach().clone().requires_grad_()
    (gradients,) = torch.autograd.grad(start.net.outputs(inputs).sum(), inputs)
    correlations = torch.corrcoef(gradients.flatten(1).double())
    if not correlations.isfinite().all():
        return float("nan")
    eigenvalues = torch.linalg.eigvalsh(correlations).clamp(min=0) + _SHIFT
    return -(eigenvalues.log() + 1 / eigenvalues).sum().item()
