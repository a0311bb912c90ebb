"""Adaptive families, one a file: what is built from settings, where a row of the catalog has one formula.

A file's name is the family's name for :func:`actsearch.make` and in texts: ``make("rational", degrees=(3, 2))`` and
``make("rational(degrees=(3, 2))")`` are one. A file has

- ``formula(**settings) -> Formula`` when the family is elementwise: an expression with parameters, and the function
  that it starts at. It is compiled like every other expression, and has the settings of
  :class:`~actsearch.nn.adaptive._adaptive.Adaptive` besides its own;
- else ``make(**settings) -> nn.Module``, shape in = shape out, and ``START``, the text of the function that it starts
  at, if that is elementwise: by it the family is normalised.
"""
