"""WHICH activation functions are possible: search spaces, written as YAML rules.

Start with :func:`load_space`; a :class:`Space` turns choices into expressions and back.
"""

from actsearch.space.choosers import RandomChooser as RandomChooser
from actsearch.space.choosers import RecordingChooser as RecordingChooser
from actsearch.space.choosers import ReplayChooser as ReplayChooser
from actsearch.space.load import load_space as load_space
from actsearch.space.load import space_names as space_names
from actsearch.space.space import Space as Space
