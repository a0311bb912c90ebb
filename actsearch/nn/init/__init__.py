"""The right weight scale for any activation: gains by quadrature, and initialisers for whole networks.

Start with ``initialise`` (``scaling.py``): one call that returns a table of what it set. ``gains.py`` has the moments
behind it, ``mean_field.py`` the edge of chaos.
"""

from actsearch.nn.init.gains import gain as gain
from actsearch.nn.init.gains import moments_of as moments_of
from actsearch.nn.init.mean_field import edge_of_chaos as edge_of_chaos
from actsearch.nn.init.mean_field import fixed_point as fixed_point
from actsearch.nn.init.result import Initialisation as Initialisation
from actsearch.nn.init.result import Initialised as Initialised
from actsearch.nn.init.scaling import initialise as initialise
