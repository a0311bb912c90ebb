"""Adaptive families that are more than an elementwise formula, one a file.

A file's name is the family's name for :func:`actsearch.make`; the file exposes ``make(**settings) -> nn.Module``,
shape in = shape out.
"""
