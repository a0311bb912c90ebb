"""Seeds, derived from study, task, net and replicate, and never from the candidate.

All candidates of a replicate so share initial weights, order of batches and dropout masks (common random numbers):
their differences are paired, and a score depends neither on the order of trials nor on the number of workers.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Purpose = Literal["init", "order", "dropout", "data"]


def derive_seed(study_seed: int, task: str, net: str, replicate: int, purpose: Purpose) -> int:
    """Return a seed in [0, 2**32), which torch, NumPy and :mod:`random` all take.

    Seeds for ``"data"`` do not depend on the net: the nets of a replicate share their data.

    Args:
        study_seed: the study's seed.
        task: the task's name.
        net: the net's name.
        replicate: number of the replicate; search and finals use disjoint ones.
        purpose: what the seed is for.

    Example:
        >>> derive_seed(0, "toy", "mlp", 0, "init") == derive_seed(0, "toy", "mlp", 0, "init")
        True
        >>> derive_seed(0, "toy", "mlp", 0, "init") == derive_seed(0, "toy", "mlp", 1, "init")
        False
    """
    parts = (str(study_seed), task, "" if purpose == "data" else net, str(replicate), purpose)
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")
