"""Tables of recorded fits: how every function of a space trained, kept so that searches can be replayed.

Start with :func:`load_table`; :mod:`actsearch.tasks.table` is the task that answers from one instead of training.
"""

from actsearch.tasks.tables.file import load_table as load_table
from actsearch.tasks.tables.file import save_table as save_table
from actsearch.tasks.tables.file import table_path as table_path
from actsearch.tasks.tables.table import Recorded as Recorded
from actsearch.tasks.tables.table import Table as Table
