"""Named activations. To add one, add a line to a file in ``rows/``; :mod:`.entry` says what its fields are.

Start at :func:`names` and :func:`get`. Two rows can be one function: :mod:`actsearch.expr.inventions` tells.
"""

from actsearch.expr.catalog.entry import WITNESSES, Entry, get, names

__all__ = ["WITNESSES", "Entry", "get", "names"]
