"""How :func:`actsearch.swap` changes a model: find its activations, then rewrite the code that calls them.

Read in this order: ``selection.py`` (which activations), ``places.py`` (walks the model), ``resolve.py`` (what a name
in its code stands for), ``analysis.py`` and ``reader.py`` (the places in one function), ``rewrite.py`` (a new function
with submodules in their place), ``source.py`` (from function to syntax tree and back).
"""
