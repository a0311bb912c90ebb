"""Tasks: what an activation is judged on; data, nets around an activation factory, a metric and its direction.

Start with :func:`load_task` for a shipped task or one's own by reference, with
:func:`actsearch.tasks.lightning_task.lightning_task` for one's own Lightning module; :func:`actsearch.tasks.fit.fit`
trains one candidate. A file here that defines ``make_task`` is a task, and its name is the task's name.
"""

from actsearch.tasks.load import load_task as load_task
from actsearch.tasks.load import task_names as task_names
from actsearch.tasks.task import Cell as Cell
from actsearch.tasks.task import Task as Task
