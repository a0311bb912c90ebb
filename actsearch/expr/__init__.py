"""What an activation is: SymPy expressions in one real ``x``, their text, and their stable straight-line programs.

Start at :func:`parse` and :func:`to_expr` for expressions, ``primitives.py`` and ``catalog`` for what exists,
:func:`lower` for programs.
"""

from actsearch.expr.fingerprint import fingerprint
from actsearch.expr.functions import x
from actsearch.expr.parameters import Parameter, parameters_of
from actsearch.expr.program import Program, lower
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import format, parse

__all__ = ["Parameter", "Program", "fingerprint", "format", "lower", "parameters_of", "parse", "to_expr", "x"]
