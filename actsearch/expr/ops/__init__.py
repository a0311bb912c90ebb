"""The table of operations a program is made of: ``OPS[name]`` is all that is known about one.

Start with ``row.py``, which says what a row holds; ``basic.py`` has those that every language must print.
"""

from actsearch.expr.ops.row import Op as Op
from actsearch.expr.ops.table import LEAVES as LEAVES
from actsearch.expr.ops.table import OPS as OPS
