"""Distance to linear: what of a function's variance no line explains."""

from __future__ import annotations

from actsearch.study.proxies._start import Start

BETTER = "high"
NEEDS_NET = False


def measure(start: Start) -> float:
    """Return the share of Var f(z), z ~ N(0, 1), beside the best line: in [0, 1], 0 for lines, 1 for even functions.

    It is 1 - b_1 / (1 - b_0) with the shares b_k of the correlation map C(c) = sum of b_k c^k. For a function of mean 0
    it is also 1 minus the slope of that map at its fixed point 0.

    Reference:
        Daniely, Frostig, Singer 2016, arXiv:1602.05897, for the series.
    """
    shares = start.shares
    return float(1.0 - shares[1] / (1.0 - shares[0])) if shares[0] < 1.0 else float("nan")
