"""Edge of chaos: how far a layer is from keeping small differences and gradients as large as they are."""

from __future__ import annotations

from actsearch.study.proxies._start import Start

BETTER = "low"
NEEDS_NET = False


def measure(start: Start) -> float:
    """Return |chi - 1|, without unit, with chi = E f'(z)^2 / E f(z)^2 for z ~ N(0, 1).

    With weights of variance 1 / (fan_in E f^2) and no biases, layers keep the variance 1 of pre-activations, and
    multiply the squared difference of two nearby inputs forwards, and the variance of gradients backwards, by chi. The
    logarithm of chi is the slope of log E g^2 over the layers of a wide net. For functions of mean 0 chi is at least 1,
    and is 1 for lines alone. Jumps of f count nothing.

    References:
        Poole et al. 2016, arXiv:1606.05340. Schoenholz et al. 2017, "Deep information propagation", arXiv:1611.01232.
    """
    moments = start.moments
    return abs(moments.derivative_mean_square / moments.mean_square - 1.0) if moments.mean_square else float("nan")
