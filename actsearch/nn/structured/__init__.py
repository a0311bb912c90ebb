"""Activations that are no elementwise formula, one a file: they gate or join channels, normalise or draw numbers.

A file's name is the name for :func:`actsearch.make`; the file exposes ``make(**settings) -> nn.Module``. Some change
the number of channels: :func:`actsearch.nn.features.n_features_out` tells how many come out.
"""
