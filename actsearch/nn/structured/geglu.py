"""GEGLU: a * gelu(b) for the two halves a, b of the channels (Shazeer 2020, arXiv:2002.05202)."""

from __future__ import annotations

from torch import nn

from actsearch.nn.structured.glu import GLU


def make(gate_first: bool = False, channel_dim: int = 1, backend: str = "auto") -> nn.Module:
    """Return a :class:`~actsearch.nn.structured.glu.GLU` gated by gelu."""
    return GLU("gelu", channel_dim=channel_dim, gate_first=gate_first, backend=backend)
