"""Runnable activations: make one, swap it into a model, initialise the model for it.

Start with ``make.py``; ``activation.py`` is the module it returns, ``swap.py`` changes a model's activations in place,
``init/`` sets weights to fit them, ``monitor.py`` watches them in training.
"""

from actsearch.nn.activation import Activation as Activation
from actsearch.nn.init import gain as gain
from actsearch.nn.init import initialise as initialise
from actsearch.nn.monitor import Monitor as Monitor
from actsearch.nn.normalise import normalised as normalised
from actsearch.nn.optim import parameter_groups as parameter_groups
